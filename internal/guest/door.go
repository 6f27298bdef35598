// Package guest takes in people without bcast: a link lets them into one room by a browser, for a while.
//
// A guest is a device of its own in this process, with a key that is in memory alone, and is marked by its nick. It
// never speaks by the key of the device that took it in, and sees what any device of the room does, but nothing that
// was said before its link was made.
//
// Its invariant: what is asked in the name of a guest reaches that guest's device and room, and nothing else of this
// process. A call of control.API that a guest does not need is refused here by name.
package guest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
)

// Device is a participant that was started for a guest.
type Device interface {
	control.API
	Close() error
}

// Config is what a Door stands in.
type Config struct {
	// Host is the device that takes guests in.
	Host control.API
	// Start makes a device for one. It outlives ctx.
	Start func(ctx context.Context, nick string) (Device, error)
	// Bases are the addresses of the page for guests, such as https://10.77.0.1:8080.
	Bases func(ctx context.Context) ([]string, error)
	// Fingerprint is that of the certificate that the page shows.
	Fingerprint string
	Log         *slog.Logger
}

// Door is where guests come in. Its links and their guests end with it: nothing of them is on the disk.
type Door struct {
	Config
	coming pace

	mu     sync.Mutex
	links  map[string]*link // by id
	places int              // guests, and those who are coming in
	closed bool
}

// link is one that was made. Of secrets only the hashes are kept, so that nothing that shows this memory opens a room.
type link struct {
	control.GuestLink
	secret digest
	after  string // the post that tells of it: what follows is for its guests
	guests map[digest]*Guest
}

// digest is the hash of a secret. To look one up tells by its time at most something of the hash.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// newSecret is 192 random bits: as an address in a QR code they are still read easily.
func newSecret() string {
	b := make([]byte, 24)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// New makes a Door; Run has to run beside it.
func New(cfg Config) *Door {
	return &Door{Config: cfg, links: map[string]*link{}, coming: pace{most: entries, each: entriesEach}}
}

// Run ends links and guests whose time is over, and all of them when ctx ends.
func (d *Door) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEach)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.end(d.over(time.Now()))
			d.follow(ctx)
		case <-ctx.Done():
			d.mu.Lock()
			d.closed = true
			d.mu.Unlock()
			d.end(d.over(time.Time{}))
			return
		}
	}
}

// over takes out the links whose time is over, with their guests, and the guests that have left; without a time, all.
func (d *Door) over(now time.Time) (gone []*Guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, l := range d.links {
		if now.IsZero() || !now.Before(l.Expires) {
			delete(d.links, id)
			gone = append(gone, l.empty()...)
			continue
		}
		for session, g := range l.guests {
			if g.idle(now) {
				delete(l.guests, session)
				gone = append(gone, g)
			}
		}
	}
	d.places -= len(gone)
	return gone
}

// follow ends the links to rooms that the host has left.
func (d *Door) follow(ctx context.Context) {
	links, _ := d.Guests(ctx)
	if len(links) == 0 {
		return
	}
	rooms, err := d.Host.Rooms(ctx)
	if err != nil {
		return // the next time
	}
	for _, l := range links {
		if !slices.ContainsFunc(rooms, func(r control.Room) bool { return r.Name == l.Room }) {
			d.RevokeGuests(ctx, l.ID) // it fails only if somebody else did it
		}
	}
}

// empty takes all guests out of a link.
func (l *link) empty() (gone []*Guest) {
	for session, g := range l.guests {
		delete(l.guests, session)
		gone = append(gone, g)
	}
	return gone
}

// end sends guests away.
func (d *Door) end(gone []*Guest) {
	var leaving sync.WaitGroup
	for _, g := range gone {
		leaving.Go(func() {
			if err := g.leave(); err != nil {
				d.Log.Warn("a guest's device did not end well", "error", err)
			}
		})
	}
	leaving.Wait()
}

// InviteGuests implements control.Hospitality. All members are told: who speaks in a room may know who else reads.
func (d *Door) InviteGuests(ctx context.Context, room string, options control.GuestOptions) (control.GuestLink, error) {
	good, err := options.Duration()
	if err != nil {
		return control.GuestLink{}, err
	}
	of, err := d.room(ctx, room)
	if err != nil {
		return control.GuestLink{}, err
	}
	bases, err := d.Bases(ctx)
	if err != nil {
		return control.GuestLink{}, err
	}
	d.end(d.over(time.Now()))
	if err := d.roomForLink(); err != nil {
		return control.GuestLink{}, err
	}
	said, err := d.Host.Say(ctx, control.Say{Room: of.Name, Kind: "action",
		Text: fmt.Sprintf("lets guests in here by a link, for %s; they read what is said from now on", span(good))})
	if err != nil {
		return control.GuestLink{}, err
	}
	secret, now := newSecret(), time.Now()
	id := digestOf(secret)
	l := &link{secret: id, after: said.ID, guests: map[digest]*Guest{}, GuestLink: control.GuestLink{
		ID: hex.EncodeToString(id[:4]), Room: of.Name, Made: now, Expires: now.Add(good), Fingerprint: d.Fingerprint,
		Guests: []control.Guest{},
	}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.links[l.ID] = l
	made := l.GuestLink
	for _, base := range bases {
		made.URLs = append(made.URLs, base+"/#guest="+secret) // what follows # is in no request and no log
	}
	return made, nil
}

// span is a time in words: 12 hours, 90 minutes.
func span(d time.Duration) string {
	if hours := d.Round(time.Minute).Hours(); hours >= 2 && hours == float64(int(hours)) {
		return fmt.Sprintf("%.0f hours", hours)
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}

// room is a joined room that guests may be let into.
func (d *Door) room(ctx context.Context, name string) (control.Room, error) {
	rooms, err := d.Host.Rooms(ctx)
	if err != nil {
		return control.Room{}, err
	}
	name = strings.ToLower(strings.TrimPrefix(name, "#"))
	at := slices.IndexFunc(rooms, func(r control.Room) bool { return r.Name == name && r.Direct == "" })
	if at < 0 && strings.HasPrefix(name, "@") {
		return control.Room{}, control.NewError(control.CodeInvalid, nil, "a room of two has no guests",
			"make one: bcast join ROOM")
	}
	if at < 0 {
		return control.Room{}, control.NewError(control.CodeNotJoined, nil, fmt.Sprintf("room %q is not joined", name),
			"bcast join "+name)
	}
	return rooms[at], nil
}

func (d *Door) roomForLink() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ended()
	}
	if len(d.links) >= maxLinks {
		return control.NewError(control.CodeBusy, nil, fmt.Sprintf("%d guest links are good at once", maxLinks),
			"`bcast guests` lists them, `bcast guests --revoke ID` ends one")
	}
	return nil
}

// Guests implements control.Hospitality.
func (d *Door) Guests(context.Context) ([]control.GuestLink, error) {
	d.end(d.over(time.Now()))
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []control.GuestLink{}
	for _, l := range d.links {
		told := l.GuestLink
		told.Guests = []control.Guest{}
		for _, g := range l.guests {
			told.Guests = append(told.Guests, g.noun())
		}
		slices.SortFunc(told.Guests, func(a, b control.Guest) int { return a.Since.Compare(b.Since) })
		all = append(all, told)
	}
	slices.SortFunc(all, func(a, b control.GuestLink) int { return a.Made.Compare(b.Made) })
	return all, nil
}

// RevokeGuests implements control.Hospitality.
func (d *Door) RevokeGuests(_ context.Context, id string) error {
	d.mu.Lock()
	l := d.links[id]
	if l == nil {
		d.mu.Unlock()
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no guest link %q", id), "`bcast guests` lists them")
	}
	delete(d.links, id)
	gone := l.empty()
	d.places -= len(gone)
	d.mu.Unlock()
	d.end(gone)
	return nil
}

// Welcome is what who has a link is told before coming in.
type Welcome struct {
	Room    string    `json:"room"`
	By      string    `json:"by"` // nick of the device that made the link
	Expires time.Time `json:"expires"`
}

// Look tells what a link is for.
func (d *Door) Look(ctx context.Context, secret string) (Welcome, error) {
	l, err := d.find(secret)
	if err != nil {
		return Welcome{}, err
	}
	status, err := d.Host.Status(ctx)
	return Welcome{l.Room, status.Nick, l.Expires}, err
}

// find is the link of a secret, as long as it is good.
func (d *Door) find(secret string) (*link, error) {
	wanted, now := digestOf(secret), time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		if l.secret == wanted && now.Before(l.Expires) {
			return l, nil
		}
	}
	return nil, ended()
}

// ended is what all are told whose link or place is not good, whatever it was before.
func ended() error {
	return control.NewError(control.CodeNoToken, nil, "this link has ended, or never was one",
		"ask who invited you for a new one")
}

// Enter starts a device for who has a link and returns the secret of its session.
func (d *Door) Enter(ctx context.Context, secret, nick string) (session string, err error) {
	l, err := d.find(secret)
	if err != nil {
		return "", err
	}
	marked, err := mark(nick)
	if err != nil {
		return "", err
	}
	if err := d.takePlace(); err != nil {
		return "", err
	}
	vouched := ""
	g, err := d.start(ctx, l, marked)
	if err == nil {
		session = newSecret()
		vouched = fmt.Sprintf("lets %s-%s in as a guest", g.nick, g.tag)
		if !d.admit(l, session, g) {
			g.leave()
			err = ended()
		}
	}
	if err != nil {
		d.mu.Lock()
		d.places--
		d.mu.Unlock()
		return "", err
	}
	// Who vouches for the guest says so under its own key.
	if _, err := d.Host.Say(ctx, control.Say{Room: l.Room, Kind: "action", Text: vouched}); err != nil {
		d.Log.Warn("members were not told of a guest", "error", err)
	}
	return session, nil
}

// Mark is what the nick of every guest ends with.
const Mark = "_guest"

// maxNick is what a nick holds beside the mark, in bytes.
const maxNick = 32 - len(Mark)

// mark is a nick with the mark of a guest. What else is wrong with it its device says.
func mark(nick string) (string, error) {
	nick = strings.TrimSpace(nick)
	for strings.HasSuffix(nick, Mark) {
		nick = strings.TrimSuffix(nick, Mark)
	}
	if nick == "" || len(nick) > maxNick {
		return "", control.NewError(control.CodeInvalid, nil,
			fmt.Sprintf("a guest's nick has 1 to %d bytes", maxNick), "e.g. anna")
	}
	return nick + Mark, nil
}

// takePlace keeps a place for one more guest.
func (d *Door) takePlace() error {
	d.end(d.over(time.Now()))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.places >= maxGuests {
		return control.NewError(control.CodeBusy, nil,
			fmt.Sprintf("%d guests are here already", maxGuests), "try again later")
	}
	if !d.coming.take(time.Now()) {
		return control.NewError(control.CodeBusy, nil, "many guests came within a minute", "try again in a minute")
	}
	d.places++
	return nil
}

// admit gives a guest its place, unless its link ended meanwhile.
func (d *Door) admit(l *link, session string, g *Guest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.links[l.ID] != l {
		return false
	}
	l.guests[digestOf(session)] = g
	return true
}

// start starts a device and has it join the room of a link.
func (d *Door) start(ctx context.Context, l *link, nick string) (*Guest, error) {
	of, err := d.room(ctx, l.Room)
	if err != nil {
		return nil, err
	}
	key := of.Name
	if !of.Public {
		invitation, err := d.Host.Invite(ctx, of.Name)
		if err != nil {
			return nil, err
		}
		key = invitation.Invite
	}
	device, err := d.Start(ctx, nick)
	if err != nil {
		return nil, err
	}
	g := &Guest{
		device: device, nick: nick, since: time.Now(), seen: time.Now(), sight: sight{after: l.after},
		asks:    pace{most: asks, each: asksEach},
		posts:   pace{most: posts, each: postsEach},
		signals: pace{most: signals, each: signalsEach},
		nicks:   pace{most: nicks, each: nicksEach},
	}
	status, err := device.Status(ctx)
	if err == nil {
		g.id, g.tag, g.nick = status.ID, status.Tag, status.Nick
		var joined control.Joined
		joined, err = device.Join(ctx, key, control.JoinOptions{
			Ephemeral: true, Retention: &control.Retention{Count: keptRecords, Bytes: keptBytes},
		})
		g.room = joined.Room
	}
	if err != nil {
		device.Close()
		return nil, err
	}
	return g, nil
}

// Leave ends a session, as its guest wants.
func (d *Door) Leave(session string) {
	d.mu.Lock()
	var gone []*Guest
	for _, l := range d.links {
		if g := l.guests[digestOf(session)]; g != nil {
			delete(l.guests, digestOf(session))
			gone = append(gone, g)
		}
	}
	d.places -= len(gone)
	d.mu.Unlock()
	d.end(gone)
}

// Guest is whose session it is, as long as its link is good.
func (d *Door) Guest(session string) (*Guest, error) {
	wanted, now := digestOf(session), time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		if g := l.guests[wanted]; g != nil && now.Before(l.Expires) {
			g.touch(now)
			return g, nil
		}
	}
	return nil, ended()
}
