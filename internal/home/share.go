package home

import (
	"time"

	"bcast/identity"
)

// sharesFile keeps what is shared.
const sharesFile = "shares.json"

// Share is a directory that the device shares: with the members of a room, with one device, or with all.
type Share struct {
	Name     string            `json:"name"`
	Dir      string            `json:"dir"`
	Public   bool              `json:"public,omitempty"`
	Room     identity.RoomName `json:"room,omitempty"`
	Peer     string            `json:"peer,omitempty"` // a device id
	PeerNick identity.Nick     `json:"peer_nick,omitempty"`
	Write    bool              `json:"write,omitempty"`
	Quota    int64             `json:"quota,omitempty"` // bytes; 0: what is usual
}

// Shares are the directories shared.
func (h *Home) Shares() []Share { return h.shares }

// SetShares remembers them.
func (h *Home) SetShares(shares []Share) error {
	h.shares = shares
	return h.writeFile(sharesFile, shares)
}

// inboxFile keeps where files go that others bring.
const inboxFile = "inbox.json"

// Inbox is where files go that others bring of their own accord, and whose are taken; what is empty was not chosen.
type Inbox struct {
	Dir    string `json:"dir,omitempty"`
	Accept string `json:"accept,omitempty"`
}

// Inbox is what was chosen.
func (h *Home) Inbox() Inbox { return h.inbox }

// SetInbox remembers it.
func (h *Home) SetInbox(inbox Inbox) error {
	h.inbox = inbox
	return h.writeFile(inboxFile, inbox)
}

// holdingsFile keeps which files of this host are held for others.
const holdingsFile = "holdings.json"

// Holding is a file of this host that was offered in rooms, or came from there.
type Holding struct {
	Hash     string      `json:"hash"`
	Size     int64       `json:"size"`
	Path     string      `json:"path"`
	Modified time.Time   `json:"modified"`
	Offers   []OfferedIn `json:"offers"`
	Used     time.Time   `json:"used"`
}

// OfferedIn is a post that offered a file, and its room.
type OfferedIn struct {
	Room string `json:"room"` // its id
	Post string `json:"post"`
}

// ReadHoldings reads what is held; without a file nothing is.
func (h *Home) ReadHoldings() (all []Holding, err error) {
	_, err = h.readFile(holdingsFile, &all)
	return all, err
}

// WriteHoldings remembers it.
func (h *Home) WriteHoldings(all []Holding) error { return h.writeFile(holdingsFile, all) }
