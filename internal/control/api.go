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
// Room arguments are room names as a user types them (a leading '#' is ignored), or, for the room of this device and
// another, "@" and a nick, nick-tag or the beginning of an id. Answers name such a room by "@" and the whole id, which
// nobody can divert. Errors are *Error values whose Code is
// one of the Code constants; anything else is CodeInternal.
type API interface {
	Library
	Pusher
	Status(ctx context.Context) (Status, error)
	Config(ctx context.Context) ([]Setting, error)
	Peers(ctx context.Context) ([]Peer, error)
	Rooms(ctx context.Context) ([]Room, error)
	// Join makes this device a member of room, which may be an invite. Joining twice is no error; Joined.New tells which
	// it was. What options say counts when the room is new here.
	Join(ctx context.Context, room string, options JoinOptions) (Joined, error)
	// Leave ends membership. What is kept of the room stays readable, unless it is to be forgotten.
	Leave(ctx context.Context, room string, forget bool) error
	Members(ctx context.Context, room string) ([]Member, error)
	// Invite is what lets others into a private room.
	Invite(ctx context.Context, room string) (Invitation, error)
	// Rekey changes the keys of a private room. The members named read nothing that is said from then on.
	Rekey(ctx context.Context, room string, without []string) (Rekeyed, error)
	// Nick changes the name shown to others, here and in every room joined.
	Nick(ctx context.Context, nick string) error
	// Say posts to a joined room and returns when the post is stored here and on its way. With Wait it returns when
	// the members present have it, or when ctx ends (the Said so far and CodeTimeout).
	Say(ctx context.Context, say Say) (Said, error)
	Posts(ctx context.Context, room string, query PostQuery) ([]Post, error)
	// Signal tells the members here what we do at this moment.
	Signal(ctx context.Context, signal Signal) error
	// Ledger tells who has a post, named by its id or a unique prefix of at least four characters.
	Ledger(ctx context.Context, post string) (Ledger, error)
	// Records yields all that is kept of a room, in its order, as it was signed: what Import takes.
	Records(ctx context.Context, room string) iter.Seq2[Record, error]
	// Import takes records of a joined room as if members had sent them: what is not signed by its author is refused,
	// what is known already is passed over, what does not follow what is here waits until it does.
	Import(ctx context.Context, room string, records iter.Seq2[Record, error]) (Imported, error)
	// Events yields what happened after the event with id `after` ("" = from now on), in order, until ctx ends. If
	// events were dropped for this subscriber the first one yielded has type EventGap.
	Events(ctx context.Context, after string) iter.Seq2[Event, error]
	// Verification is what two people compare to know that a device is whose they think. peer is a nick, nick-tag or
	// the beginning of an id.
	Verification(ctx context.Context, peer string) (Verification, error)
	// Pin remembers that it was compared: proof is the words that the other side showed, or its code. It is for good.
	Pin(ctx context.Context, peer, proof string) (Verification, error)
	// Block hides what a device posts, here and in what is kept, or shows it again. Others go on seeing it.
	Block(ctx context.Context, peer string, blocked bool) error
	// Bench measures: it says posts that hold their number and time, or counts those that others say, inside the
	// participant, so that the control socket is no part of what is measured. One at a time.
	Bench(ctx context.Context, bench Bench) (Benched, error)
	// Devices lists every device of the subnet that this one remembers, by all protocols, those that are gone at the end.
	// Is the subnet not watched the error is of CodeNotFound.
	Devices(ctx context.Context) ([]Device, error)
	// Announce makes a service of this host known, by presence and by mDNS, for as long as the sequence is read, and
	// yields what becomes of it: at once that presence tells, then each name that it has on a network. It ends with ctx.
	Announce(ctx context.Context, service Service) iter.Seq2[Announced, error]
	// Probe has some of the peers here send datagrams back, and tells what came. It takes a second or two, more where much
	// is lost; each peer answers no more than a few times a minute.
	Probe(ctx context.Context) ([]Probed, error)
}

// Verification is how a device is known: Words are the same on both sides if nobody stands in between, Code is our own
// key for the other side to scan.
type Verification struct {
	ID       string   `json:"id"`
	Nick     string   `json:"nick"`
	Tag      string   `json:"tag"`
	Words    []string `json:"words"`
	Code     string   `json:"code"`
	Verified bool     `json:"verified"`
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
	Unicast    int               `json:"unicast_port"`   // this node's own port, first free of 27475–27489
	RecvBuffer int               `json:"recv_buffer"`    // bytes; what is longer is cut
	RecvQueue  int               `json:"recv_queue"`     // bytes that the system queues of what is received; 0: not told
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
	// Rates are the datagrams sent a second by kind, over the last ten to twenty seconds of sending.
	Rates          map[string]float64 `json:"rates"`
	Files          *FileCounts        `json:"files,omitempty"` // carried for others, since start
	BytesPerSecond float64            `json:"bytes_per_second"`
	HTTP           string             `json:"http,omitempty"`     // where the page is served
	Guests         *Guesthouse        `json:"guests,omitempty"`   // where guests are taken in
	IRC            string             `json:"irc,omitempty"`      // where IRC clients are served
	Problems       []string           `json:"problems,omitempty"` // what a person should know, one sentence each
	// EventID is the newest event's id, never empty: Events after it, together with Posts read later, misses nothing.
	EventID string `json:"event_id"`
}

// CutSource counts cut datagrams by where they came from; Nick is set when the address is a proven peer's.
type CutSource struct {
	Addr  string `json:"addr"`
	Nick  string `json:"nick,omitempty"`
	Count uint64 `json:"count"`
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
	Services      []Service  `json:"services,omitempty"` // what it says to offer
	Verified      bool       `json:"verified"`           // its key was compared: see Pin
	Tagged        bool       `json:"tagged,omitempty"`   // another live device looks alike by its nick: show the tag
	Blocked       bool       `json:"blocked,omitempty"`  // its posts are not shown here
	Unicast       string     `json:"unicast"`            // ok | blocked
	Missed        *float64   `json:"missed,omitempty"`   // share of its beats that did not arrive here, if counted
	Misses        *float64   `json:"misses,omitempty"`   // share of all beats that it says to miss, if it said
}

// Room is one joined room.
type Room struct {
	Name      string `json:"name"`
	Public    bool   `json:"public"`
	Members   int    `json:"members"`
	Present   int    `json:"present"` // members here now
	Posts     int    `json:"posts"`
	Missing   int    `json:"missing"`             // records known of and still asked for
	Ephemeral bool   `json:"ephemeral,omitempty"` // kept in memory only
	// Retention bounds what is kept of it; nil: not told.
	Retention     *Retention `json:"retention,omitempty"`
	Topic         string     `json:"topic,omitempty"`
	DatagramLimit int        `json:"datagram_limit"`       // bytes of UDP payload
	LimitedBy     string     `json:"limited_by,omitempty"` // nick-tag of the member whose buffer sets the limit
	ShutOut       bool       `json:"shut_out,omitempty"`   // a rekey shut this device out of it
	// Direct is whom a direct room is with, as people are shown it: a nick, with the tag where it could be another's.
	Direct string `json:"direct,omitempty"`
}

// JoinOptions say how a room that is new here is kept.
type JoinOptions struct {
	Private   bool       `json:"private,omitempty"`   // a new room with a secret: see Invite
	Ephemeral bool       `json:"ephemeral,omitempty"` // in memory only
	Retention *Retention `json:"retention,omitempty"` // nil: DefaultRetention
}

// Retention bounds what is kept of a room; what came first goes first. Zero is no bound.
type Retention struct {
	Age   string `json:"age,omitempty"` // a duration such as 2160h
	Count int    `json:"count,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
}

// Joined answers Join.
type Joined struct {
	Room string `json:"room"`
	New  bool   `json:"new"`
	// Direct is as in Room.
	Direct string `json:"direct,omitempty"`
}

// Invitation is a private room's secret as text; whoever has it reads the room.
type Invitation struct {
	Room   string `json:"room"`
	Invite string `json:"invite"`
}

// Rekeyed answers Rekey: Epoch counts the rekeys of the room.
type Rekeyed struct {
	Room  string `json:"room"`
	Epoch uint32 `json:"epoch"`
}

// Member is a device that joined a room and was here, or said something, within seven days. Of one that was never here
// while this device was, LastSeen is when it said what it said last.
type Member struct {
	ID       string    `json:"id"`
	Nick     string    `json:"nick"`
	Tag      string    `json:"tag"`
	Status   string    `json:"status"` // self | here | suspect | lost | left
	LastSeen time.Time `json:"last_seen"`
	Away     string    `json:"away,omitempty"` // it said to be away, and maybe why
	Verified bool      `json:"verified,omitempty"`
	Tagged   bool      `json:"tagged,omitempty"` // show the tag: see Peer
	Blocked  bool      `json:"blocked,omitempty"`
}

// Say asks for one post.
type Say struct {
	Room string `json:"room"`
	Text string `json:"text"`
	// Kind is text (default), action, reply, edit, delete, reaction or topic.
	Kind string `json:"kind,omitempty"`
	// Target is the post that a reply, edit, delete or reaction is for: its id or a unique prefix.
	Target string `json:"target,omitempty"`
	// Wait is "" or "none": do not wait; "all": until all members have it, those away included; "here": until those
	// who were here have it; a number: until so many have it.
	Wait string `json:"wait,omitempty"`
	// Files are offered with the text, which may be empty then: absolute paths of files that the participant can read, at
	// most MaxFiles. Each is a post of its own, of kind offer; the first has the text.
	Files []string `json:"files,omitempty"`
}

// Said answers Say. Members are the others who were members when it was said, away or here; Have of them are known to
// have stored the post.
type Said struct {
	ID      string    `json:"id"`
	Members int       `json:"members"`
	Have    int       `json:"have"`
	Missing []Missing `json:"missing,omitempty"` // with Wait: who is not known to have it
}

// Ledger is who has a post, against the members of the moment when it was said, its author left out. Only its author
// is sent receipts: for all others it is what members' digests tell, and Partial.
type Ledger struct {
	Post    string    `json:"post"`
	Room    string    `json:"room"`
	Members int       `json:"members"`
	Have    int       `json:"have"`
	Partial bool      `json:"partial"`
	Direct  string    `json:"direct,omitempty"` // as in Room
	Missing []Missing `json:"missing"`
}

// Missing is a member that is not known to have a post.
type Missing struct {
	ID     string    `json:"id"`
	Nick   string    `json:"nick"`
	Tag    string    `json:"tag"`
	Status string    `json:"status"` // here | suspect | lost | left
	Since  time.Time `json:"since"`  // when it was last seen: see Member
	// Tagged and Verified are as in Post.
	Tagged   bool `json:"tagged,omitempty"`
	Verified bool `json:"verified,omitempty"`
}

// Receipt tells that of the Members when an own post was said, Have hold it.
type Receipt struct {
	Post    string    `json:"post"`
	Room    string    `json:"room"`
	Members int       `json:"members"`
	Have    int       `json:"have"`
	Missing []Missing `json:"missing,omitempty"` // at most the first ten
}

// Record is one record as its author signed it, with what it says for people to read. Bytes alone counts.
type Record struct {
	Room  string `json:"room"`
	ID    string `json:"id"`
	Bytes []byte `json:"bytes"`
	Posts []Post `json:"posts,omitempty"`
}

// Imported answers Import: how many records were new, known already, and refused.
type Imported struct {
	New     int `json:"new"`
	Known   int `json:"known"`
	Refused int `json:"refused"`
}

// Fork tells that the key of a member signed two histories: a copied key, or a lie. All of both is shown; what is from
// number Seq of the feed on is marked as forked.
type Fork struct {
	Room string `json:"room"`
	ID   string `json:"id"` // of the member
	Nick string `json:"nick"`
	Seq  uint64 `json:"seq"`
}

// Sync tells how far catching up from a member has come.
type Sync struct {
	Room  string `json:"room"`
	ID    string `json:"id"` // of the member
	Nick  string `json:"nick"`
	Have  int    `json:"have"` // records taken so far
	Total int    `json:"total"`
	Done  bool   `json:"done"`
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
	// Quote is what a reply answers, as it is now: who said it and how it begins; nil if it is not kept here.
	Quote   *Quote `json:"quote,omitempty"`
	Edited  bool   `json:"edited,omitempty"`  // Text is what its author made of it later
	Deleted bool   `json:"deleted,omitempty"` // its author took it back: Text is empty
	Mention bool   `json:"mention,omitempty"` // it names us
	// Reactions to it, by what was reacted, in the order of the first of each.
	Reactions []Reaction `json:"reactions,omitempty"`
	// ClockOff says that the author's clock was more than two minutes wrong when the post came: ahead or behind.
	ClockOff string `json:"clock_off,omitempty"`
	Late     bool   `json:"late,omitempty"`   // live views only: belongs above what is already on the screen
	Forked   bool   `json:"forked,omitempty"` // its author signed two of this number, or follows one of two
	Own      bool   `json:"own,omitempty"`
	Direct   string `json:"direct,omitempty"` // as in Room
	// File is what a post of kind offer offers: see Fetch.
	File *OfferedFile `json:"file,omitempty"`
	// Verified tells that the author's key was compared; Tagged, that its nick alone does not say who it is.
	Verified bool `json:"verified,omitempty"`
	Tagged   bool `json:"tagged,omitempty"`
}

// Quote is the beginning of the post that another answers.
type Quote struct {
	From string `json:"from"` // device id
	Nick string `json:"nick"`
	Text string `json:"text"` // of its first line, at most QuoteLength characters
}

// QuoteLength is how many characters of a post are quoted.
const QuoteLength = 40

// Reaction is one sign of several people's to a post.
type Reaction struct {
	Text  string   `json:"text"`
	From  []string `json:"from"` // device ids
	Nicks []string `json:"nicks"`
}

// Signal tells what a member does at this moment; it is not kept.
type Signal struct {
	Room string `json:"room"`
	ID   string `json:"id,omitempty"` // who; empty in a request: us
	Nick string `json:"nick,omitempty"`
	Kind string `json:"kind"` // typing | away | here
	Text string `json:"text,omitempty"`
	// Tagged and Verified are as in Post.
	Tagged   bool `json:"tagged,omitempty"`
	Verified bool `json:"verified,omitempty"`
}

const (
	// TypingEach is how often a face says that a person goes on typing.
	TypingEach = 3 * time.Second
	// TypingFor is how long one who said so is taken to be typing: one lost signal does not matter.
	TypingFor = 7 * time.Second
)

// PostQuery selects posts of a room in room order. The zero value is all of them.
type PostQuery struct {
	Limit int    // the newest Limit; 0 = no limit
	Since string // a post id (exclusive) or a duration such as "10m"
	// Before is a post id (exclusive): with Limit, the page before what is known already.
	Before string
	// Search selects the posts that hold all of these words; the last one may be the beginning of a word.
	Search string
}

// Cut tells of datagrams that the receive buffer cut: the last of Count from one source within a second. Without a
// source they came from so many that these were not told apart.
type Cut struct {
	From     string `json:"from,omitempty"` // address and port
	Nick     string `json:"nick,omitempty"`
	Room     string `json:"room,omitempty"`
	Received int    `json:"received"`
	Size     int    `json:"size"`
	Count    int    `json:"count"`
}

// MemberChange tells who came to or left a room.
type MemberChange struct {
	Room   string `json:"room"`
	ID     string `json:"id"`
	Nick   string `json:"nick"`
	Tag    string `json:"tag"`
	Change string `json:"change"`        // join | leave | nick
	Was    string `json:"was,omitempty"` // previous nick
	// Tagged and Verified are as in Post.
	Tagged   bool `json:"tagged,omitempty"`
	Verified bool `json:"verified,omitempty"`
}

// Event types. Others may come; a reader ignores what it does not know.
const (
	EventPost      = "post"
	EventEdited    = "edited"   // Post as it is now
	EventDeleted   = "deleted"  // Post as it is now
	EventReaction  = "reaction" // Post as it is now
	EventTopic     = "topic"    // Post is what sets it
	EventSignal    = "signal"
	EventMember    = "member"
	EventPeer      = "peer"    // Peer.Status says what changed
	EventReceipt   = "receipt" // more members hold a post of ours
	EventCut       = "cut"
	EventSync      = "sync" // catching up by a stream
	EventFork      = "fork" // a member's key signed two histories
	EventInterface = "interface"
	EventDevice    = "device"  // what became of a device of the subnet, if it is watched
	EventProblem   = "problem" // what a person should know; without a text: it is over
	EventPush      = "push"    // how far a file has come that is pushed from here
	EventOffer     = "offer"   // a device wants to bring files to the inbox and waits for an answer
	EventFile      = "file"    // what becomes of a file: it is held from now on, on its way here, here, or it failed
	EventGap       = "gap"     // this subscriber missed events: resume from Posts
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
	Signal    *Signal       `json:"signal,omitempty"`
	Cut       *Cut          `json:"cut,omitempty"`
	Sync      *Sync         `json:"sync,omitempty"`
	Fork      *Fork         `json:"fork,omitempty"`
	Offer     *Offer        `json:"offer,omitempty"`
	Push      *Pushed       `json:"push,omitempty"`
	File      *File         `json:"file,omitempty"`
	Interface *Interface    `json:"interface,omitempty"`
	Device    *DeviceChange `json:"device,omitempty"`
	Problem   string        `json:"problem,omitempty"`
}

// Setting is one line of `bcast config`: the value in force and where it came from.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"` // default | env | flag | home
}
