package control

import "time"

// Interface is one network interface and whether bcast uses it.
type Interface struct {
	Name      string     `json:"name"`
	Index     int        `json:"index"`
	Addrs     []string   `json:"addrs"`               // CIDR
	Addrs6    []string   `json:"addrs6,omitempty"`    // link-local IPv6
	Broadcast []string   `json:"broadcast,omitempty"` // directed broadcast address per IPv4 subnet
	MTU       int        `json:"mtu"`
	MAC       string     `json:"mac,omitempty"`
	Link      string     `json:"link"`           // wired | wifi | loopback
	Kind      string     `json:"kind,omitempty"` // bridge, veth, vlan, tun, wireguard …: absent of hardware
	Up        bool       `json:"up"`
	Used      bool       `json:"used"`
	By        []string   `json:"by,omitempty"`        // the families it is used by: ipv4, ipv6
	Reason    string     `json:"reason,omitempty"`    // why it is not used
	OwnHeard  *time.Time `json:"own_heard,omitempty"` // when our own broadcast last came back on it
}
