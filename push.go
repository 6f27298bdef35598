package bcast

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/lan"
	"bcast/internal/node"
	"bcast/internal/push"
	"bcast/internal/record"
	"bcast/internal/seal"
)

const (
	// gatherFor is how long a push, when the first takes it, waits for the others who are here to say whether they do.
	gatherFor = 300 * time.Millisecond
	// nobodyFor is how long it waits for somebody to take it.
	nobodyFor = 3 * time.Second
	// askedFor is how long it waits, when all others have it, for whose user is asked.
	askedFor = time.Minute
	// pushTold is how often it is told how far it has come.
	pushTold = 250 * time.Millisecond
	// pushLinger is how long receivers are told that it is over, and helped, after its end.
	pushLinger = 2 * time.Second
)

// pushing is a file on its way to a room.
type pushing struct {
	node   *Node
	room   identity.RoomName
	post   string
	direct string
	name   string
	size   int64
	roster []identity.DeviceID // who was to have it, away or here
	began  time.Time
	end    context.CancelFunc
	woken  chan struct{}

	mu     sync.Mutex
	config push.Config
	sender *push.Sender
	holder *push.Holder
	first  time.Time // when the first took it
	noun   Pushed
	told   time.Time
}

// cutSource is a file of this host as a push reads it: first the hashes of its blocks.
type cutSource struct {
	cut  push.Cut
	file *files.Cut
	list []byte
}

func (s *cutSource) Stripe(n int, p []byte) error {
	i, ofFile := s.cut.Block(n)
	if ofFile {
		return s.file.Block(i, p)
	}
	copy(p, s.list[i*push.StripeSize:])
	return nil
}

// Push offers a file to a room and broadcasts it there once: see [control.API].
func (n *Node) Push(ctx context.Context, order PushOrder) (Pushed, error) {
	name, err := n.roomName(ctx, order.Room)
	if err != nil {
		return Pushed{}, err
	}
	held, err := n.parseOffer(ctx, order.File)
	if err != nil {
		return Pushed{}, err
	}
	switch {
	case isDirect(string(name)):
		return Pushed{}, control.NewError(control.CodeInvalid, nil, "that is one device and no room",
			"bcast files put "+order.File+" "+order.Room)
	case held.Size == 0 || held.Size > push.MaxSize:
		return Pushed{}, control.NewError(control.CodeTooLarge, nil,
			fmt.Sprintf("%s has %d bytes: a file of 1 byte to 16 GiB is pushed", filepath.Base(order.File), held.Size),
			"bcast say "+order.Room+" --file "+order.File)
	case order.Rate < control.RateAsTaken:
		return Pushed{}, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%d bytes a second", order.Rate), "")
	}
	p := &pushing{
		node: n, room: name, name: filepath.Base(order.File), size: held.Size, began: time.Now(),
		woken: make(chan struct{}, 1),
	}
	if err := n.preparePush(); err != nil {
		return Pushed{}, err
	}
	err = p.announce(ctx, held, order.Rate)
	n.mu.Lock()
	n.preparing = false
	n.mu.Unlock()
	if err != nil {
		return Pushed{}, err
	}
	return p.status(), nil
}

// preparePush has one push at a time: two would only slow down each other.
func (n *Node) preparePush() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pushing != nil || n.preparing {
		return control.NewError(control.CodeBusy, nil, "a file is being pushed from here already", "wait until that is over")
	}
	n.preparing = true
	return nil
}

func (n *Node) endPush(p *pushing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pushing == p {
		n.pushing = nil
	}
}

// announce says the offer and begins to push what it offers.
func (p *pushing) announce(ctx context.Context, held files.Holding, rate int) error {
	n := p.node
	offer := record.Offer{Hash: held.Hash, Size: held.Size, Flags: record.OfferPushed, Name: p.name}
	reply, err := n.speak(ctx, p.room, []record.Post{{Kind: record.KindOffer, Data: record.AppendOffer(nil, offer)}}, true)
	if err != nil {
		return roomFailure(err, string(p.room))
	}
	ref := record.Ref{Record: reply.Record}
	p.post = ref.String()
	if err := n.hold(ctx, string(p.room), reply.Record, []files.Holding{held}); err != nil {
		return err
	}
	cut, err := n.files.server.Cut(ctx, held.Hash)
	if err != nil {
		return fileFailure(err)
	}
	keys, wifi := p.look(ctx, ref)
	if keys == nil {
		cut.Close()
		return roomFailure(engine.ErrNotJoined, string(p.room))
	}
	if rate == control.RateBudget {
		rate = push.Granted
	} else if rate == control.RateAsTaken {
		rate = push.AsTaken
	}
	source := &cutSource{push.NewCut(held.Size), cut, cut.List(nil)}
	p.config = push.Config{Cut: source.cut, Keys: keys, Key: n.key, Rand: rand.Reader, Chance: newChance()}
	p.sender = push.NewSender(p.node.bulk.now(), p.config, source, rate)
	p.holder = push.NewHolder(source.cut, keys, source, p.node.bulk.help)
	if err := p.node.bulk.enter(p, keys.ID); err != nil {
		cut.Close()
		return pushFailure(err)
	}
	var run context.Context
	run, p.end = context.WithCancel(n.files.arrivals.ctx)
	n.mu.Lock()
	n.pushing = p
	n.mu.Unlock()
	done := func() {
		p.end()
		n.endPush(p)
		p.node.bulk.leave(p, keys.ID)
		cut.Close()
	}
	if !n.files.arrivals.begin(func() { defer done(); p.run(run, rate == push.Granted && wifi) }) {
		done()
		return errEnding()
	}
	return nil
}

func newChance() *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
}

// look asks the engine for the keys of a push, who is to have it, and whether only Wi-Fi's budget is left for it.
func (p *pushing) look(ctx context.Context, ref record.Ref) (keys *seal.Push, wifi bool) {
	p.node.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		self, _, _ := e.Own()
		p.roster = membersBut(now, e, p.room, self)
		sight := p.node.sight(e)
		p.direct = sight.title(e, p.room, e.Other(p.room))
		if all := e.PushKeys(p.room, ref); len(all) > 0 {
			keys = all[0]
		}
		_, wifi = e.SpareBudget(now, 0)
	})
	return keys, wifi
}

// run broadcasts until all that take the file have it.
func (p *pushing) run(ctx context.Context, apart bool) {
	var batch push.Batch
	timer := time.NewTimer(0)
	defer timer.Stop()
	over := time.Time{}
	for {
		p.grant(ctx)
		p.mu.Lock()
		begun := p.begin(apart)
		batch.Reset()
		wait, err := p.sender.Next(p.node.bulk.now(), &batch)
		p.mu.Unlock()
		p.node.bulk.send(batch.Datagrams, netip.AddrPort{}, 0)
		switch {
		case err != nil:
			p.fail(err)
			return
		case !over.IsZero() && time.Since(over) > pushLinger:
			return
		case over.IsZero() && (ctx.Err() != nil || p.settled(begun)):
			over = time.Now()
			p.finish(ctx.Err())
			p.node.endPush(p) // who still has to be told holds up no other
			ctx = context.WithoutCancel(ctx)
		}
		p.tell()
		if wait == 0 {
			continue
		}
		timer.Reset(min(wait, pushTold))
		select {
		case <-timer.C:
		case <-p.woken:
		case <-p.node.files.arrivals.ctx.Done():
			return
		case <-ctx.Done():
		}
	}
}

// grant has the sender take of the budget what the rooms leave, if it is to keep to that.
func (p *pushing) grant(ctx context.Context) {
	p.mu.Lock()
	wants := p.sender.Wants()
	p.mu.Unlock()
	if wants == 0 {
		return
	}
	granted, wifi := 0, false
	p.node.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		granted, wifi = e.SpareBudget(now, wants)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if wifi { // somebody on Wi-Fi came
		p.sender.BeginApart()
	}
	p.sender.Grant(granted)
}

// begin has the sender broadcast when all who are here have said whether they take it, or had time to; p.mu is held.
func (p *pushing) begin(apart bool) bool {
	if p.sender.Begun() {
		return true
	}
	spoke := map[identity.DeviceID]bool{}
	for _, t := range p.sender.Takers() {
		if spoke[t.Device] = true; t.State == push.Taking && p.first.IsZero() {
			p.first = time.Now()
		}
	}
	late := !p.first.IsZero() && time.Since(p.first) >= gatherFor
	for _, id := range p.roster {
		if _, here := p.node.bulk.peer(id); here && !spoke[id] && !late {
			return false
		}
	}
	if apart {
		p.sender.BeginApart()
	} else {
		p.sender.Begin()
	}
	return true
}

// settled tells whether nobody is left who takes the file and has it not, or nobody takes it at all.
func (p *pushing) settled(begun bool) bool {
	took := time.Since(p.began)
	p.mu.Lock()
	defer p.mu.Unlock()
	if took < nobodyFor && (!begun || len(p.sender.Takers()) == 0 && len(p.roster) > 0) {
		return false
	}
	return !p.sender.Awaits(p.node.bulk.now(), took < askedFor, func(id identity.DeviceID) bool {
		_, here := p.node.bulk.peer(id)
		return here && !p.node.blocks(id)
	})
}

func (p *pushing) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sender.Finish(p.node.bulk.now())
	_, bytes := p.sender.Sent()
	p.node.bulk.pushes.Add(1)
	p.node.bulk.pushedBytes.Add(bytes)
	p.noun.State = control.PushOver
	if err != nil {
		p.noun.State = control.PushStopped
	}
	p.told = time.Time{}
}

func (p *pushing) fail(err error) {
	p.mu.Lock()
	p.noun.State, p.noun.Error, p.told = control.PushStopped, control.AsError(fileFailure(err)), time.Time{}
	p.mu.Unlock()
	p.tell()
}

func (p *pushing) take(d *lan.Datagram) push.Drop {
	if !push.IsNeed(d.Data) {
		return push.DropOwn // what is broadcast comes back
	}
	need, verify, err := push.OpenNeed(p.config, d.Data)
	if err != nil {
		return push.DropOf(err)
	}
	peer, answerable, drop := p.node.bulk.speaker(&need, d.From)
	switch {
	case drop != "":
		return drop
	case !verify():
		return push.DropBadSignature
	}
	if need.Ask {
		return help(p.node.bulk, &p.mu, p.holder, &need, p.sender.Broadcasts, d, answerable)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sender.Need(p.node.bulk.now(), &need, peer.Wifi)
	return ""
}

// help sends who asks what it lacks, by the way that it asked. Only what is read is read under the lock.
func help(
	b *bulk, mu *sync.Mutex, h *push.Holder, need *push.Need, broadcasts func() bool, d *lan.Datagram, answerable bool,
) push.Drop {
	if !answerable {
		return push.DropStranger
	}
	var batch push.Batch
	mu.Lock()
	b.helpMu.Lock()
	drop := h.Answer(b.now(), need, d.From.Addr(), broadcasts(), &batch)
	b.helpMu.Unlock()
	mu.Unlock()
	b.send(batch.Datagrams, d.From, d.Iface)
	return drop
}

func (p *pushing) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// tell has events tell how far it has come.
func (p *pushing) tell() {
	p.mu.Lock()
	due := time.Since(p.told) >= pushTold
	if due {
		p.told = time.Now()
	}
	p.mu.Unlock()
	if due {
		noun := p.status()
		p.node.events.add(Event{Type: control.EventPush, Time: time.Now().UTC(), Push: &noun})
	}
}

// takerStates are what receivers say of themselves.
var takerStates = map[push.State]string{
	push.Asking: control.TakerAsked, push.Taking: control.TakerTaking, push.Whole: control.TakerWhole,
	push.Refused: control.TakerRefused, push.Failed: control.TakerFailed,
}

// status is how far it has come.
func (p *pushing) status() Pushed {
	noun, takers, stripes, bytes, begun := p.counts()
	all := p.config.Cut.Stripes()
	noun.Post, noun.Room, noun.Direct, noun.Name, noun.Size = p.post, string(p.room), p.direct, p.name, p.size
	noun.Sent, noun.Wire, noun.Seconds = p.size*int64(stripes)/int64(all), int64(bytes), time.Since(p.began).Seconds()
	noun.Members, noun.Takers = len(p.everybody(takers)), []Taker{}
	if noun.State == "" {
		noun.State = control.PushGathering
		if begun {
			noun.State = control.PushSending
		}
	}
	p.node.view(context.WithoutCancel(p.node.files.arrivals.ctx), func(now engine.Now, e *engine.Engine, _ node.Counters) {
		sight := p.node.sight(e)
		known := map[identity.DeviceID]push.Taker{}
		for _, t := range takers {
			known[t.Device] = t
		}
		for _, id := range p.everybody(takers) {
			m := p.node.missingNoun(now, e, sight, p.room, id)
			t := Taker{ID: m.ID, Nick: m.Nick, Tag: m.Tag, Tagged: m.Tagged, Verified: m.Verified,
				Here: control.Here(m.Status), State: control.TakerSilent}
			if told, spoke := known[id]; spoke {
				t.State, t.Apart = takerStates[told.State], told.Apart && told.State == push.Taking
				if t.Bytes = p.size * int64(told.Base) / int64(all); told.State == push.Whole {
					t.Bytes = p.size
					noun.Have++
				}
			}
			noun.Takers = append(noun.Takers, t)
		}
	})
	return noun
}

// counts are what the sender counted.
func (p *pushing) counts() (noun Pushed, takers []push.Taker, stripes int, bytes uint64, begun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stripes, bytes = p.sender.Sent()
	return p.noun, p.sender.Takers(), stripes, bytes, p.sender.Begun()
}

// everybody is who was to have it and who takes it beside those.
func (p *pushing) everybody(takers []push.Taker) []identity.DeviceID {
	all := slices.Clone(p.roster)
	for _, t := range takers {
		if !slices.Contains(all, t.Device) {
			all = append(all, t.Device)
		}
	}
	return all
}

// PushStatus tells how far a push has come: see [control.API].
func (n *Node) PushStatus(_ context.Context, post string) (Pushed, error) {
	p, err := n.pushOf(post)
	if err != nil {
		return Pushed{}, err
	}
	return p.status(), nil
}

// StopPush ends a push. Who has not all of it gets the rest from who has, if any.
func (n *Node) StopPush(_ context.Context, post string) error {
	p, err := n.pushOf(post)
	if err == nil {
		p.end()
	}
	return err
}

func (n *Node) pushOf(post string) (*pushing, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pushing; p != nil && p.post == post {
		return p, nil
	}
	return nil, control.NewError(control.CodeNotFound, nil,
		fmt.Sprintf("what post %q offers is not being pushed from here", post), "")
}
