// Package control is the one door between a participant and its faces: the nouns that scripts see as JSON, the API
// interface with two implementations (the node itself and Client), and the HTTP server that carries it over a Unix
// socket.
//
// Its invariant: a face knows nothing that did not come through API. It never opens a datagram socket, reads the home
// directory's secrets or decides anything about the protocol.
package control

import (
	"context"
	"iter"
	"time"
)

// API is one way in for intent and one way out for facts. The running node implements it in process, Client speaks it
// to a daemon; a verb of the command line cannot tell the two apart.
//
// Room arguments are room names as a user types them (a leading '#' is ignored). Errors are *Error values whose Code is
// one of the Code constants; anything else is CodeInternal.
type API interface {
	Status(ctx context.Context) (Status, error)
	Config(ctx context.Context) ([]Setting, error)
	Peers(ctx context.Context) ([]Peer, error)
	Rooms(ctx context.Context) ([]Room, error)
	// Join makes this device a member of room. Joining twice is no error; Joined.New tells which it was.
	Join(ctx context.Context, room string) (Joined, error)
	// Leave ends membership: the room's key and posts are forgotten here.
	Leave(ctx context.Context, room string) error
	Members(ctx context.Context, room string) ([]Member, error)
	// Nick changes the name shown to others, here and in every room joined.
	Nick(ctx context.Context, nick string) error
	// Say posts to a joined room and returns when the post is stored here and on its way. With Wait it returns when
	// the members present have it, or when ctx ends (the Said so far and CodeTimeout).
	Say(ctx context.Context, say Say) (Said, error)
	Posts(ctx context.Context, room string, query PostQuery) ([]Post, error)
	// Events yields what happened after the event with id `after` ("" = from now on), in order, until ctx ends. If
	// events were dropped for this subscriber the first one yielded has type EventGap.
	Events(ctx context.Context, after string) iter.Seq2[Event, error]
}

// Status is what `bcast status` prints: what this node is, hears, sends and refuses.
type Status struct {
	Version    string            `json:"version"`
	ID         string            `json:"id"`
	Nick       string            `json:"nick"`
	Tag        string            `json:"tag"`
	Instance   string            `json:"instance"`
	UptimeS    float64           `json:"uptime_s"`
	Home       string            `json:"home,omitempty"` // empty for a guest, whose key lives in memory
	Port       int               `json:"port"`           // shared broadcast port
	Unicast    int               `json:"unicast_port"`   // this node's own port, first free of 27475–27490
	RecvBuffer int               `json:"recv_buffer"`    // bytes; what is longer is cut
	Watch      bool              `json:"watch"`          // buffer below 512 bytes: sees, cannot take part
	Interfaces []Interface       `json:"interfaces"`
	Peers      int               `json:"peers"` // here or suspect
	Rooms      []Room            `json:"rooms"`
	Cuts       uint64            `json:"cuts"` // datagrams the receive buffer cut, since start
	CutFrom    []CutSource       `json:"cut_from,omitempty"`
	Drops      map[string]uint64 `json:"drops"`    // refused datagrams by reason, since start
	Sent       map[string]uint64 `json:"sent"`     // datagrams by kind, since start
	Received   map[string]uint64 `json:"received"` // accepted datagrams by kind, since start
	SentBytes  uint64            `json:"sent_bytes"`
	Problems   []string          `json:"problems,omitempty"` // what a person should know, one sentence each
	// EventID is the newest event's id, never empty: Events after it, together with Posts read later, misses nothing.
	EventID string `json:"event_id"`
}

// CutSource counts cut datagrams by where they came from; Nick is set when the address is a proven peer's.
type CutSource struct {
	Addr  string `json:"addr"`
	Nick  string `json:"nick,omitempty"`
	Count uint64 `json:"count"`
}

// Interface is one network interface and whether bcast uses it.
type Interface struct {
	Name      string     `json:"name"`
	Index     int        `json:"index"`
	Addrs     []string   `json:"addrs"`               // CIDR
	Broadcast []string   `json:"broadcast,omitempty"` // directed broadcast address per IPv4 subnet
	MTU       int        `json:"mtu"`
	MAC       string     `json:"mac,omitempty"`
	Link      string     `json:"link"` // wired | wifi | loopback
	Up        bool       `json:"up"`
	Used      bool       `json:"used"`
	Reason    string     `json:"reason,omitempty"`    // why it is not used
	OwnHeard  *time.Time `json:"own_heard,omitempty"` // when our own broadcast last came back on it
}

// Peer is another bcast device on this subnet.
type Peer struct {
	ID            string     `json:"id"`
	Nick          string     `json:"nick"`
	Tag           string     `json:"tag"`
	Addr          string     `json:"addr"`
	Iface         string     `json:"iface"`
	Instance      string     `json:"instance"`
	Status        string     `json:"status"` // here | suspect | lost | left
	FirstSeen     time.Time  `json:"first_seen"`
	LastSeen      time.Time  `json:"last_seen"`
	LastBroadcast *time.Time `json:"last_broadcast,omitempty"`
	LastUnicast   *time.Time `json:"last_unicast,omitempty"`
	RTTms         float64    `json:"rtt_ms"`
	RecvBuffer    int        `json:"recv_buffer"`
	Watch         bool       `json:"watch"`
	Link          string     `json:"link"` // wired | wifi
	Version       int        `json:"version"`
	Rooms         []string   `json:"rooms"`
	Verified      bool       `json:"verified"`
	Unicast       string     `json:"unicast"` // ok | blocked
}

// Room is one joined room.
type Room struct {
	Name          string `json:"name"`
	Public        bool   `json:"public"`
	Members       int    `json:"members"`
	Present       int    `json:"present"` // members here now
	Posts         int    `json:"posts"`
	Missing       int    `json:"missing"`              // records known of and still asked for
	DatagramLimit int    `json:"datagram_limit"`       // bytes of UDP payload
	LimitedBy     string `json:"limited_by,omitempty"` // nick-tag of the member whose buffer sets the limit
}

// Joined answers Join.
type Joined struct {
	Room string `json:"room"`
	New  bool   `json:"new"`
}

// Member is a device that joined a room and was heard within seven days.
type Member struct {
	ID       string    `json:"id"`
	Nick     string    `json:"nick"`
	Tag      string    `json:"tag"`
	Status   string    `json:"status"` // self | here | suspect | lost | left
	LastSeen time.Time `json:"last_seen"`
}

// Say asks for one post.
type Say struct {
	Room string `json:"room"`
	Text string `json:"text"`
	Kind string `json:"kind,omitempty"` // text (default) | action
	Wait string `json:"wait,omitempty"` // "" or "none": do not wait; "all": until the members present have it
}

// Said answers Say. Have counts the members, of those present when it was said, known to hold the post.
type Said struct {
	ID      string `json:"id"`
	Members int    `json:"members"`
	Have    int    `json:"have"`
}

// Receipt tells that of the Members present when an own post was said, Have hold it.
type Receipt struct {
	Post    string `json:"post"`
	Members int    `json:"members"`
	Have    int    `json:"have"`
}

// Post is one post as every member sees it.
type Post struct {
	Room    string    `json:"room"`
	ID      string    `json:"id"`
	Record  string    `json:"record"`
	Index   int       `json:"index"`
	From    string    `json:"from"` // device id
	Nick    string    `json:"nick"`
	Tag     string    `json:"tag"`
	Time    time.Time `json:"time"` // the author's clock: shown, never used for order
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
	ReplyTo string    `json:"reply_to,omitempty"`
	Edited  bool      `json:"edited,omitempty"`
	Deleted bool      `json:"deleted,omitempty"`
	Late    bool      `json:"late,omitempty"` // live views only: belongs above what is already on the screen
	Own     bool      `json:"own,omitempty"`
}

// PostQuery selects posts of a room in room order. The zero value is all of them.
type PostQuery struct {
	Limit int    // the newest Limit; 0 = no limit
	Since string // a post id (exclusive) or a duration such as "10m"
}

// Cut tells of one datagram that the receive buffer cut.
type Cut struct {
	From     string `json:"from"` // address and port
	Nick     string `json:"nick,omitempty"`
	Room     string `json:"room,omitempty"`
	Received int    `json:"received"`
	Size     int    `json:"size"`
}

// MemberChange tells who came to or left a room.
type MemberChange struct {
	Room   string `json:"room"`
	ID     string `json:"id"`
	Nick   string `json:"nick"`
	Tag    string `json:"tag"`
	Change string `json:"change"`        // join | leave | nick
	Was    string `json:"was,omitempty"` // previous nick
}

// Event types. Others may come; a reader ignores what it does not know.
const (
	EventPost      = "post"
	EventMember    = "member"
	EventPeer      = "peer"    // Peer.Status says what changed
	EventReceipt   = "receipt" // more members hold a post of ours
	EventCut       = "cut"
	EventInterface = "interface"
	EventGap       = "gap" // this subscriber missed events: resume from Posts
)

// Event is one fact, in the order it happened. ID resumes the stream; it is opaque and grows.
type Event struct {
	Type      string        `json:"type"`
	ID        string        `json:"id"`
	Time      time.Time     `json:"time"`
	Post      *Post         `json:"post,omitempty"`
	Member    *MemberChange `json:"member,omitempty"`
	Peer      *Peer         `json:"peer,omitempty"`
	Receipt   *Receipt      `json:"receipt,omitempty"`
	Cut       *Cut          `json:"cut,omitempty"`
	Interface *Interface    `json:"interface,omitempty"`
}

// Setting is one line of `bcast config`: the value in force and where it came from.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"` // default | env | flag | home
}
