package files

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/identity"
)

// What becomes of files that a device wants to bring here and that no share is for.
const (
	AcceptAsk   = "ask"   // the user is asked
	AcceptRoom  = "room"  // those of members of a private room are taken, the user is asked about others
	AcceptNever = "never" // none is taken
)

const (
	// maxOffers wait for an answer or are being brought, offersFrom of them of one device and offersFromAddr of one
	// address: a host can be as many devices as it likes.
	maxOffers      = 64
	offersFrom     = 4
	offersFromAddr = 16
	// maxOfferNames are offered together: a person reads them.
	maxOfferNames = 32
	// offerLife is how long an offer waits for an answer, and an accepted one for more of it.
	offerLife = 15 * time.Minute
	// offerPoll is how long one request waits for an answer.
	offerPoll = 20 * time.Second
)

// offerMark begins the names of what is a share for who brings files to the inbox, and for nobody else.
const offerMark = "~"

// Offer is what a device wants to bring here.
type Offer struct {
	ID     string
	Device identity.DeviceID
	Name   string   // of the first file or directory
	Names  []string // of the others
	Files  int
	Bytes  int64
	At     time.Time
	State  string // waiting | accepted | refused
	Pushed string // the post that a push follows; it brings nothing by itself
}

// States of an offer.
const (
	OfferWaiting  = "waiting"
	OfferAccepted = "accepted"
	OfferRefused  = "refused"
)

// Inbox is where files go that other devices bring of their own accord. Its methods may be called from many goroutines.
type Inbox struct {
	// Told is called for each offer that waits for an answer.
	Told func(Offer)

	mu     sync.Mutex
	dir    string
	accept string
	offers []*offer // the oldest first
	// unasked is what came, or comes, of offers about which nobody was asked, in bytes.
	unasked int64
}

type offer struct {
	Offer
	from     netip.Addr // where its device is
	used     time.Time
	answered chan struct{}
	names    map[string]string // what the first element of a path is called here
	unasked  bool              // it was accepted once for all
	came     load              // what of it came, or comes
}

// Set says where files go and whose are taken.
func (b *Inbox) Set(dir, accept string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dir, b.accept = dir, accept
}

// Waiting are the offers that wait for an answer, the oldest first.
func (b *Inbox) Waiting() []Offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	waiting := []Offer{}
	for _, o := range b.offers {
		if o.State == OfferWaiting {
			waiting = append(waiting, o.Offer)
		}
	}
	return waiting
}

// Answer accepts or refuses a waiting offer and tells whether there is such a one.
func (b *Inbox) Answer(id string, accept bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	for _, o := range b.offers {
		if o.ID == id && o.State == OfferWaiting {
			o.State = OfferRefused
			if accept {
				o.State = OfferAccepted
			}
			o.used = time.Now()
			close(o.answered)
			return true
		}
	}
	return false
}

// Consent tells whether a file that a device pushes may come: at once where the user said so once for all, else when
// they answer, or until ctx ends or nobody answered in offerLife. What comes counts as what an offer brings; settle is
// told whether it did.
func (b *Inbox) Consent(ctx context.Context, v Visitor, o Offer) (settle func(came bool), ok bool) {
	made, err := b.take(v, o)
	if err != nil {
		return nil, false
	}
	life := time.NewTimer(offerLife)
	defer life.Stop()
	select {
	case <-made.answered:
	case <-life.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	accepted := made.State == OfferAccepted
	b.offers = slices.DeleteFunc(b.offers, func(o *offer) bool { return o == made })
	b.mu.Unlock()
	if !accepted {
		return nil, false
	}
	settle, err = b.reserve(made, fileLoad(o.Bytes))
	return settle, err == nil
}

// isOf tells whether an offer is of the same things.
func (o *offer) isOf(other Offer) bool {
	return o.Name == other.Name && slices.Equal(o.Names, other.Names) && o.Files == other.Files &&
		o.Bytes == other.Bytes && o.Pushed == other.Pushed
}

// brings tells whether a name was offered: the user was asked about no other.
func (o *offer) brings(name string) bool { return name == o.Name || slices.Contains(o.Names, name) }

// expire forgets offers of which nothing was heard for long; b.mu is held.
func (b *Inbox) expire() {
	b.offers = slices.DeleteFunc(b.offers, func(o *offer) bool { return time.Since(o.used) > offerLife })
}

// take enters an offer, and answers it if the user did so once for all.
func (b *Inbox) take(v Visitor, o Offer) (*offer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if v.Blocked || b.accept == AcceptNever || b.dir == "" {
		return nil, errRefused
	}
	for _, known := range b.offers {
		if known.Device == v.Device && known.State != OfferRefused && known.isOf(o) {
			known.used = time.Now()
			return known, nil // it comes again for what broke off
		}
	}
	b.makePlace(offersFrom, func(o *offer) bool { return o.Device == v.Device })
	b.makePlace(offersFromAddr, func(o *offer) bool { return v.From.IsValid() && o.from == v.From })
	if len(b.offers) >= maxOffers {
		return nil, newError(CodeBusy, nil, "too many files are offered to this device already", "try again later")
	}
	id := make([]byte, 8)
	rand.Read(id)
	made := &offer{
		Offer: o, from: v.From, used: time.Now(), answered: make(chan struct{}), names: map[string]string{},
	}
	made.ID, made.Device, made.At, made.State = hex.EncodeToString(id), v.Device, made.used.UTC(), OfferWaiting
	if b.accept == AcceptRoom && v.Member {
		made.State, made.unasked = OfferAccepted, true
		close(made.answered)
	} else if b.Told != nil {
		b.Told(made.Offer)
	}
	b.offers = append(b.offers, made)
	return made, nil
}

// makePlace has one more of these offers be no more than so many: their oldest goes. b.mu is held.
func (b *Inbox) makePlace(most int, of func(*offer) bool) {
	n := 0
	for _, o := range b.offers {
		if of(o) {
			n++
		}
	}
	if n >= most {
		at := slices.IndexFunc(b.offers, of)
		b.offers = slices.Delete(b.offers, at, at+1)
	}
}

// of is an offer of a visitor's own.
func (b *Inbox) of(v Visitor, id string) (*offer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	for _, o := range b.offers {
		if o.ID == id && o.Device == v.Device && !v.Blocked {
			o.used = time.Now()
			return o, nil
		}
	}
	return nil, errNotFound
}

// share is an accepted offer as what may be written to.
func (b *Inbox) share(v Visitor, id string) (Share, *offer, error) {
	o, err := b.of(v, id)
	if err != nil {
		return Share{}, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.State != OfferAccepted {
		return Share{}, nil, errNotFound
	}
	return Share{Dir: b.dir, Write: true}, o, nil
}

// reserve takes place for what an offer brings: it is no more than it said, and what those bring about which nobody is
// asked is no more together than a share may hold. What else is in the directory is the user's own affair.
func (b *Inbox) reserve(o *offer, l load) (settle func(came bool), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case l.bytes > o.Bytes-o.came.bytes:
		return nil, newError(CodeSpace, nil, fmt.Sprintf("%d bytes were offered, and this is more", o.Bytes), "put it again")
	case l.files > 0 && o.came.files >= o.Files:
		return nil, newError(CodeSpace, nil, fmt.Sprintf("%d files were offered, and this is more", o.Files), "put it again")
	case l.dirs > 0 && o.came.dirs+l.dirs-spareDirs > o.Files:
		return nil, newError(CodeSpace, nil, "there are many more directories than files were offered", "put it again")
	case o.unasked && l.weight > DefaultQuota-b.unasked:
		return nil, newError(CodeSpace, nil, "the device has taken as much as it does without a question",
			"put it into a share, or try again when it was restarted")
	}
	count := func(n int) {
		o.came.add(l, n)
		if o.unasked {
			b.unasked += int64(n) * l.weight
		}
	}
	count(1)
	return func(came bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !came {
			count(-1)
		}
	}, nil
}

var errRefused = newError(CodeRefused, nil, "the device does not take these files",
	"ask its user, or put them into one of its shares")

var errNotOffered = newError(CodeRefused, nil, "the device was asked about other names than this one",
	"offer it; a bcast that is older offers only the first of several: put them one by one")

// place is where a path of an offer goes: what is called like something that is there gets a number. To look at that
// may take minutes, and nobody else waits for it.
func (b *Inbox) place(o *offer, at *place, taken func(name string) bool) {
	top, rest, _ := strings.Cut(at.path, "/")
	b.mu.Lock()
	name, known := o.names[top]
	b.mu.Unlock()
	for n := 2; !known; n++ {
		if name == "" {
			name = top
		} else {
			name = numbered(top, n-1)
		}
		known = !taken(name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if first, chosen := o.names[top]; chosen {
		name = first // of another file of the offer, meanwhile
	}
	o.names[top] = name
	at.path = path.Join(name, rest)
}

// offerHead is what a device says of what it wants to bring.
type offerHead struct {
	Name  string   `json:"name"`
	Names []string `json:"names,omitempty"`
	Files int      `json:"files"`
	Bytes int64    `json:"bytes"`
}

// offered is what is answered.
type offered struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// offer takes an offer.
func (s *Server) offer(a *answer) error {
	var head offerHead
	if err := json.NewDecoder(limited(a)).Decode(&head); err != nil || head.Files < 0 || head.Bytes < 0 {
		return newError(CodeInvalid, err, "the offer does not say what it is", "")
	}
	if len(head.Names) >= maxOfferNames {
		return newError(CodeInvalid, nil, "those are too many at once", "")
	}
	for _, name := range append(head.Names, head.Name) {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	o, err := s.inbox.take(a.visitor, Offer{Name: head.Name, Names: head.Names, Files: head.Files, Bytes: head.Bytes})
	if err != nil {
		return err
	}
	return s.tellOffer(a, o)
}

// asked waits a while for the answer to an offer.
func (s *Server) asked(a *answer) error {
	o, err := s.inbox.of(a.visitor, a.PathValue("offer"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.Context(), offerPoll)
	defer cancel()
	select {
	case <-o.answered:
	case <-ctx.Done():
	}
	return s.tellOffer(a, o)
}

func (s *Server) tellOffer(a *answer, o *offer) error {
	s.inbox.mu.Lock()
	told := offered{o.ID, o.State}
	s.inbox.mu.Unlock()
	if told.State == OfferRefused {
		return errRefused
	}
	return a.json(told)
}

// openInbox is openWritable for what an offer brings.
func (s *Server) openInbox(a *answer, id, p string, w *wanted) (*place, error) {
	share, o, err := s.inbox.share(a.visitor, id)
	if err != nil {
		return nil, err
	}
	if top, _, _ := strings.Cut(p, "/"); !o.brings(top) {
		return nil, errNotOffered
	}
	if err := os.MkdirAll(share.Dir, 0o700); err != nil {
		return nil, err
	}
	at, err := openPlace(share, p)
	if err != nil {
		return nil, err
	}
	at.offer = o
	s.inbox.place(o, at, func(name string) bool {
		info, err := at.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return s.looks.check(&place{Share: share, root: at.root, path: name}) != nil
		}
		same := place{Share: share, root: at.root, path: name}
		return err != nil || w == nil || info.Size() != w.size || !info.ModTime().Equal(w.modified) || !w.is(&same)
	})
	return at, nil
}
