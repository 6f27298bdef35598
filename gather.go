package bcast

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"os"
	"path/filepath"
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
	// expectedFor is how long a push whose offer came is listened for.
	expectedFor = time.Minute
	// unmarkedFor is how long a push that was heard may be silent: then it is over, and the rest is fetched.
	unmarkedFor = 5 * time.Second
	// maxDamaged stripes that were not right are enough: the rest is fetched, by connections that tell who lies.
	maxDamaged = 16
)

// gathering is a file that another pushes to a room, as it comes here.
type gathering struct {
	node     *Node
	offer    offeredFile
	ids      [][8]byte
	instance identity.Instance // ours
	woken    chan struct{}
	decided  func() // is called when the file is whole, or will not be

	mu       sync.Mutex
	keys     map[[8]byte]*seal.Push
	config   push.Config
	receiver *push.Receiver
	holder   *push.Holder
	root     *os.Root
	file     *files.Gather // while it is gathered, and afterwards what its blocks are
	whole    *files.Cut    // afterwards
	arrival  *arrival      // while it is gathered
	failure  error
	authorAt netip.AddrPort // where the last mark came from
	iface    int
	markedAt time.Time
	settle   func(came bool) // what the inbox counts
	landing  bool            // it is synced and gets its name
	list     []byte          // the hashes of all blocks, when they are known to be right
	came     int64           // bytes that the arrival was told of
}

// gather takes part in a push until it is over.
func (n *Node) gather(ctx context.Context, e *expectation, post string) error {
	o, err := n.findOffer(ctx, post)
	if err != nil {
		return err
	}
	visitor, err := n.visitor(ctx, o.signer)
	if err != nil || visitor.Blocked || o.Size == 0 || o.Size > push.MaxSize {
		return err
	}
	g := &gathering{
		node: n, offer: o, keys: map[[8]byte]*seal.Push{}, woken: make(chan struct{}, 1),
		settle: func(bool) {}, decided: func() { n.setBusy(e, false) },
	}
	if err := g.lookForKeys(ctx, post); err != nil {
		return err
	}
	if err := g.node.bulk.enter(g, g.ids...); err != nil {
		return pushFailure(err)
	}
	defer g.node.bulk.leave(g, g.ids...)
	if !g.awaitMark(ctx) {
		return nil
	}
	n.setBusy(e, true)
	asked, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { g.consent(asked, visitor) })
	rest := g.run(ctx)
	cancel()
	asking.Wait()
	g.end(ctx, rest)
	return nil
}

func (g *gathering) lookForKeys(ctx context.Context, post string) error {
	ref, err := record.ParseRef(post)
	if err != nil {
		return err
	}
	return g.node.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		_, _, g.instance = e.Own()
		for _, k := range e.PushKeys(g.offer.room, ref) {
			g.keys[k.ID], g.ids = k, append(g.ids, k.ID)
		}
	})
}

// awaitMark waits for the push itself.
func (g *gathering) awaitMark(ctx context.Context) bool {
	timer := time.NewTimer(expectedFor)
	defer timer.Stop()
	for {
		select {
		case <-g.woken:
			g.mu.Lock()
			marked := g.receiver != nil
			g.mu.Unlock()
			if marked {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (g *gathering) take(d *lan.Datagram) push.Drop {
	g.mu.Lock()
	heard := g.receiver != nil
	g.mu.Unlock()
	if heard && push.IsNeed(d.Data) {
		return g.help(d)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !heard {
		return g.first(d)
	}
	err := g.receiver.Take(g.node.bulk.now(), d.Data)
	if push.IsMark(d.Data) && err == nil {
		g.authorAt, g.iface, g.markedAt = d.From, d.Iface, time.Now()
	}
	drop := push.DropOf(err)
	if err != nil && drop == "" {
		g.failure = err
	}
	return drop
}

// first takes the first mark: it tells under which of the room's keys the push goes.
func (g *gathering) first(d *lan.Datagram) push.Drop {
	if !push.IsMark(d.Data) {
		return push.DropNothingNew
	}
	id, _ := push.ID(d.Data)
	cut := push.NewCut(g.offer.Size)
	c := push.Config{Cut: cut, Keys: g.keys[id], Key: g.node.key, Rand: rand.Reader, Chance: newChance()}
	r := push.NewReceiver(c, g.offer.signer, g.instance, g)
	r.SetState(push.Asking)
	if err := r.Take(g.node.bulk.now(), d.Data); err != nil {
		return push.DropOf(err)
	}
	g.config, g.receiver, g.holder = c, r, push.NewHolder(cut, c.Keys, g, g.node.bulk.help)
	g.authorAt, g.iface, g.markedAt = d.From, d.Iface, time.Now()
	return ""
}

func (g *gathering) help(d *lan.Datagram) push.Drop {
	need, verify, err := push.OpenNeed(g.config, d.Data)
	if err != nil {
		return push.DropOf(err)
	}
	_, answerable, drop := g.node.bulk.speaker(&need, d.From)
	switch {
	case drop != "":
		return drop
	case !need.Ask:
		return push.DropNothingNew
	case !verify():
		return push.DropBadSignature
	}
	return help(g.node.bulk, &g.mu, g.holder, &need, g.receiver.Broadcasts, d, answerable)
}

func (g *gathering) wake() {
	select {
	case g.woken <- struct{}{}:
	default:
	}
}

// consent asks whether the file may come, as the inbox's rule says, and has it begin. What is held for another room is
// not told.
func (g *gathering) consent(ctx context.Context, v files.Visitor) {
	if g.node.files.holdings.HeldFor(v, g.offer.Hash) {
		g.say(push.Whole)
		return
	}
	settle, ok := g.node.files.inbox.Consent(ctx, v,
		files.Offer{Name: g.offer.Name, Files: 1, Bytes: g.offer.Size, Pushed: g.offer.post.ID})
	if !ok {
		g.say(push.Refused)
		return
	}
	here, err := g.open(settle)
	switch {
	case err != nil:
		g.node.cfg.Logger.Warn("a pushed file cannot be taken", "name", g.offer.Name, "err", err)
		settle(false)
		g.say(push.Failed)
	case here:
		settle(false)
		g.say(push.Whole)
	default:
		g.say(push.Taking)
	}
}

// say changes what the others are told of this device.
func (g *gathering) say(state push.State) {
	g.mu.Lock()
	g.receiver.SetState(state)
	g.mu.Unlock()
	if state != push.Taking {
		g.decided()
	}
	g.wake()
}

// open begins the file here, or tells that the file itself is here already.
func (g *gathering) open(settle func(came bool)) (here bool, err error) {
	dir, err := g.node.arrivalDir("")
	if err != nil {
		return false, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	file, name, err := files.NewGather(g.offer.File, root)
	if err != nil {
		root.Close()
		return false, err
	}
	a, begun, err := g.node.arrive(g.offer, dir)
	if err == nil && !begun { // it is fetched already
		err = control.NewError(control.CodeBusy, nil, g.offer.Name+" is on its way here already", "")
	}
	switch {
	case err == nil && file != nil:
		g.mu.Lock()
		g.root, g.file, g.arrival, g.settle = root, file, a, settle
		g.mu.Unlock()
		return false, nil
	case err == nil:
		a.come(g.offer.Size, true)
		a.whole(filepath.Join(dir, name))
	case file != nil:
		file.Close()
	}
	root.Close()
	return file == nil, err
}

// run gathers, and helps others, until the push is over. rest tells that some of the file did not come.
func (g *gathering) run(ctx context.Context) (rest bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if g.progress() {
			g.land()
		}
		g.mu.Lock()
		out, wait, err := g.receiver.Advance(g.node.bulk.now())
		if err != nil && g.failure == nil {
			g.failure = err
		}
		quiet, lies := time.Since(g.markedAt) > unmarkedFor, g.receiver.Damaged() >= maxDamaged
		g.mu.Unlock()
		for _, m := range out {
			g.send(m)
		}
		if quiet || lies {
			return true
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-g.woken:
		case <-ctx.Done():
			return false
		}
	}
}

// progress tells how far the file has come, and whether it is to be given its name now.
func (g *gathering) progress() (whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.arrival == nil {
		g.failure = nil
		return false
	}
	if g.failure != nil {
		g.fail(g.failure)
		return false
	}
	done, all := g.receiver.Done()
	if came := g.offer.Size * int64(done) / int64(all); came > g.came {
		g.arrival.come(came-g.came, false)
		g.came = came
	}
	return g.receiver.Complete()
}

// fail ends the file; g.mu is held.
func (g *gathering) fail(err error) {
	g.receiver.SetState(push.Failed)
	g.file.Close()
	g.settle(false)
	g.arrival.fail(err)
	g.arrival, g.failure = nil, nil
	g.decided()
}

// land gives the file its name. To sync it may take seconds, in which what comes is still read: nobody else uses the
// file then, for all of it is here.
func (g *gathering) land() {
	g.mu.Lock()
	g.landing = true
	g.mu.Unlock()
	name, err := g.file.Land()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.landing = false
	if err != nil {
		g.fail(err)
		return
	}
	if g.whole, err = g.file.Cut(name); err != nil { // others are not helped then
		g.node.cfg.Logger.Warn("a pushed file is not passed on", "name", g.offer.Name, "err", err)
	}
	g.settle(true)
	g.arrival.whole(filepath.Join(g.arrival.dir, name))
	g.arrival = nil
	g.receiver.SetState(push.Whole)
	g.decided()
}

func (g *gathering) send(m push.Message) {
	p, here := g.node.bulk.peer(m.To)
	if !here || !p.Addr.Addr().Is4() {
		return
	}
	to, iface := netip.AddrPortFrom(p.Addr.Addr(), uint16(g.node.bulkPort())), p.Iface
	g.mu.Lock()
	if m.To == g.offer.author && g.authorAt.Addr() == to.Addr() { // else somebody else passed the mark on
		to, iface = g.authorAt, g.iface
	}
	g.mu.Unlock()
	g.node.bulk.send([][]byte{m.Datagram}, to, iface)
}

// end lets go of all, and gets what is missing, if that is wanted, from whoever has the file, as any offered one.
func (g *gathering) end(ctx context.Context, rest bool) {
	g.mu.Lock()
	a, file, whole, root := g.arrival, g.file, g.whole, g.root
	g.arrival, g.whole = nil, nil
	g.receiver.SetState(push.Failed) // nothing comes any more
	if a != nil {
		file.Close()
	}
	g.mu.Unlock()
	if whole != nil {
		whole.Close()
	}
	if root != nil {
		root.Close()
	}
	if a == nil {
		return
	}
	err := context.Cause(ctx)
	path := ""
	if rest {
		path, err = g.node.bring(ctx, a)
	}
	g.settle(err == nil)
	if err != nil {
		a.fail(err)
	} else {
		a.whole(path)
	}
}

// A gathering is the Target of its receiver, and the source of who asks it for help.

// Hashes implements push.Target.
func (g *gathering) Hashes(list []byte) bool {
	if !g.file.Hashes(list) {
		return false
	}
	g.list = bytes.Clone(list)
	return true
}

// Kept implements push.Target.
func (g *gathering) Kept() ([]int, error) {
	kept, err := g.file.Kept()
	if before := min(g.offer.Size, int64(len(kept))*push.StripeSize); before > 0 {
		g.arrival.come(before, true)
		g.came += before
	}
	return kept, err
}

// Block implements push.Target.
func (g *gathering) Block(i int, p []byte) (bool, error) { return g.file.Block(i, p) }

// Aside implements push.Target.
func (g *gathering) Aside(i int, p []byte) error { return g.file.Aside(i, p) }

// Back implements push.Target.
func (g *gathering) Back(i int, p []byte) error { return g.file.Back(i, p) }

// Stripe implements push.Source: of what is here and right, while it is gathered and when it is whole.
func (g *gathering) Stripe(n int, p []byte) error {
	i, ofFile := g.config.Cut.Block(n)
	switch {
	case g.file == nil || g.landing || !g.receiver.Has(n), !ofFile && g.list == nil, g.whole == nil && g.arrival == nil:
		return push.DropNothingNew
	case !ofFile:
		copy(p, g.list[i*push.StripeSize:])
		return nil
	case g.whole != nil:
		return g.whole.Block(i, p)
	}
	return g.file.Back(i, p)
}
