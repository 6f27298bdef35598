package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bcast/internal/control"
)

// checkFirewall judges the rules of this host by what they would do with datagrams of bcast.
func checkFirewall(f *Facts) []Finding {
	var all []Finding
	for _, front := range []func(*Facts) (Finding, bool){judgeUfw, judgeFirewalld} {
		if finding, drops := front(f); drops {
			all = append(all, finding)
		}
	}
	for _, hook := range []string{"input", "output"} {
		if len(all) > 0 && hook == "input" {
			continue // the tool in front of these rules has said it, and has the better command
		}
		all = append(all, judgeRules(f, hook)...)
	}
	if len(all) > 0 {
		return f.withOwnPort(all)
	}
	var unread []string
	for _, tool := range []string{"nft", "iptables", "ufw", "firewalld"} {
		if o, there := f.Host.Tools[tool]; there && o.Failed != "" {
			unread = append(unread, tool)
		}
	}
	switch {
	case len(unread) > 0 && !f.Host.Root:
		return []Finding{{"firewall_unread", OK,
			fmt.Sprintf("What %s would drop only root can see.", strings.Join(unread, " and ")), firewallAs}}
	case len(unread) > 0:
		return []Finding{ok("firewall_unread", "%s did not tell its rules: %s.", unread[0], f.Host.Tools[unread[0]].Failed)}
	case len(f.Host.Tools) == 0:
		return []Finding{ok("firewall_unread", "No tool is there that tells the rules of a firewall.")}
	}
	return []Finding{ok("firewall", "No rule of a firewall here stops bcast.")}
}

// judgeRules is what nft or, where that says nothing, iptables drop on the way in or out: for sure, or maybe, if own
// broadcasts do not come back.
func judgeRules(f *Facts, hook string) []Finding {
	var sets []ruleset
	if rules, err := parseNft([]byte(f.Host.Tools["nft"].Text)); err == nil {
		sets = append(sets, rules)
	}
	sets = append(sets, parseIptables(f.Host.Tools["iptables"].Text))
	lost := f.Failed == nil && slices.ContainsFunc(f.used(), func(i control.Interface) bool { return !f.hearsItself(i) })
	for _, rules := range sets {
		for _, p := range packets(f, hook) {
			fate, by := rules.judge(p)
			switch {
			case fate != dropped && (fate&dropped == 0 || !lost || !p.broadcast):
			case p.protocol == "tcp":
				return []Finding{warning("firewall_streams", strings.Replace(by.open, "udp", "tcp", 1),
					"A firewall on this host drops TCP connections to bcast: who was away long catches up slowly.")}
			case hook == "input":
				return []Finding{problem("firewall_in", by.open,
					"A firewall on this host drops what comes in for bcast (UDP %s, chain %s).", ports, by.name)}
			default:
				return []Finding{problem("firewall_out", by.open,
					"A firewall on this host drops what bcast sends (UDP %s, chain %s).", ports, by.name)}
			}
		}
	}
	return nil
}

// packets are what bcast sends and receives on each interface in use: to all, to one, and a stream.
func packets(f *Facts, hook string) []packet {
	var all, streams []packet
	own := f.Status.Unicast
	if own == 0 {
		own = ownPort
	}
	for _, i := range f.used() {
		addrs := prefixes(i)
		if len(addrs) == 0 || i.Link == "loopback" {
			continue
		}
		to, _ := netip.ParseAddr(slices.Concat(i.Broadcast, []string{""})[0])
		p := packet{
			hook: hook, protocol: "udp", iface: i.Name, source: own, target: f.sharedPort(), to: to, broadcast: true,
		}
		single := p
		single.broadcast, single.target, single.to = false, own, netip.Addr{}
		if hook == "input" {
			single.to = addrs[0].Addr()
			p.from = f.somebody(i, addrs[0])
			single.from = p.from
		} else {
			p.from, single.from = addrs[0].Addr(), addrs[0].Addr()
		}
		stream := single
		stream.protocol, stream.source = "tcp", 0
		all, streams = append(all, p, single), append(streams, stream)
	}
	return append(all, streams...)
}

// somebody is an address that what comes in by an interface may be from: that of a peer, or the last of the subnet.
func (f *Facts) somebody(i control.Interface, own netip.Prefix) netip.Addr {
	for _, p := range f.Peers {
		if at, err := netip.ParseAddrPort(p.Addr); err == nil && p.Iface == i.Name && own.Contains(at.Addr()) {
			return at.Addr()
		}
	}
	_, last := ends(own)
	return last.Prev()
}

// judgeUfw reads `ufw status verbose`.
func judgeUfw(f *Facts) (Finding, bool) {
	text := f.Host.Tools["ufw"].Text
	if !strings.Contains(text, "Status: active") || strings.Contains(text, "allow (incoming)") {
		return Finding{}, false
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && words[1] == "ALLOW" && f.opens(words[0]) {
			return Finding{}, false
		}
	}
	return problem("firewall_in", "ufw allow "+ports+"/udp", "ufw on this host drops what comes in for bcast (UDP %s).",
		ports), true
}

// judgeFirewalld reads `firewall-cmd --list-all`, of the zone that is the default.
func judgeFirewalld(f *Facts) (Finding, bool) {
	text := f.Host.Tools["firewalld"].Text
	if text == "" || strings.Contains(text, "target: ACCEPT") {
		return Finding{}, false
	}
	for line := range strings.Lines(text) {
		if list, found := strings.CutPrefix(strings.TrimSpace(line), "ports:"); found {
			if slices.ContainsFunc(strings.Fields(list), f.opens) {
				return Finding{}, false
			}
		}
	}
	return problem("firewall_in", "firewall-cmd --add-port="+nftPorts+"/udp",
		"firewalld on this host drops what comes in for bcast (UDP %s).", ports), true
}

// opens tells whether ports as ufw and firewalld write them let the shared port pass.
func (f *Facts) opens(text string) bool {
	if text == "Anywhere" {
		return true
	}
	list, protocol, named := strings.Cut(text, "/")
	return (!named || protocol == "udp") && portMatches(f.sharedPort(), strings.Replace(list, "-", ":", 1)) == yes
}

func (f *Facts) sharedPort() int {
	if f.Status.Port == 0 {
		return defaultPort
	}
	return f.Status.Port
}

// withOwnPort has findings name the shared port in use, if it is not the one that all of this is written for.
func (f *Facts) withOwnPort(all []Finding) []Finding {
	port := f.sharedPort()
	if port == defaultPort {
		return all
	}
	commands := strings.NewReplacer(
		"--dport "+ports, fmt.Sprintf("-m multiport --dports %d,27475:27490", port),
		"--add-port="+nftPorts, fmt.Sprintf("--add-port=%d/udp --add-port=27475-27490", port),
		nftPorts, fmt.Sprintf("{ %d, 27475-27490 }", port), ports, fmt.Sprintf("%d,27475:27490", port))
	for i := range all {
		all[i].Sentence, all[i].Command = commands.Replace(all[i].Sentence), commands.Replace(all[i].Command)
	}
	return all
}
