package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// steady is a small link without faults.
func steady(nodes int) Options {
	return Options{
		Seed: 7, Nodes: nodes, Duration: time.Minute, Posts: 1, Largest: 300, Delay: time.Millisecond,
		Together: time.Second,
	}
}

// planted are bugs put between the engines and the world, and the rule that each breaks.
var planted = []struct {
	name, rule string
	tamper     func(*node, *engine.Output)
}{
	{"a post is shown twice", "I3", func(n *node, out *engine.Output) {
		if i := slices.IndexFunc(out.Events, isPost); i >= 0 {
			out.Events = append(out.Events, out.Events[i])
		}
	}},
	{"an old post is shown again", "I4", func(n *node, out *engine.Output) {
		if i := slices.IndexFunc(out.Events, isPost); n.index == 1 && i >= 0 {
			old := out.Events[i]
			if h := old.Chat.Record.Header; h.Seq > 2 {
				old.Chat.Record = n.w.check.feeds[h.Feed].records[h.Seq-2]
				old.Chat.Posts = []record.Post{{Text: n.w.check.texts[old.Chat.Record.ID]}}
				out.Events = slices.Insert(out.Events, i+1, old)
			}
		}
	}},
	{"a post is changed", "I2", func(n *node, out *engine.Output) {
		for i := range out.Events {
			if isPost(out.Events[i]) && n.index == 1 {
				out.Events[i].Chat.Posts[0].Text += "!"
			}
		}
	}},
	{"a record is stored that nobody said", "I2", func(n *node, out *engine.Output) {
		stranger, err := identity.KeyFromSeed([]byte(strings.Repeat("x", 32)))
		if err != nil {
			panic(err) // the seed is long enough
		}
		for i := range out.Store {
			if len(out.Store[i].Records) == 0 {
				continue
			}
			r := out.Store[i].Records[0]
			h := record.Header{Feed: record.Feed{Author: stranger.Public(), Epoch: 1}, Seq: 1}
			forged := record.Sign(stranger, record.RoomID{}, []record.Draft{{Header: h, Body: r.Body}})
			out.Store[i].Records = append(out.Store[i].Records, record.Entry{Record: forged[0]})
		}
	}},
	{"a record is passed over", "I6", func(n *node, out *engine.Output) {
		for i := range out.Store {
			out.Store[i].Records = slices.DeleteFunc(slices.Clone(out.Store[i].Records), func(r record.Entry) bool {
				return n.index == 1 && r.Header.Seq == 3 && r.Header.Feed.Author != n.key.Public()
			})
		}
	}},
	{"a datagram is sent without end", "I9", func(n *node, out *engine.Output) {
		for _, s := range out.Send {
			if !s.Type.Presence() && !s.To.IsValid() {
				out.Send = append(out.Send, slices.Repeat([]engine.Send{s}, 1000)...)
				return
			}
		}
	}},
	{"an answer is sent twice to who proved nothing", "I9", func(n *node, out *engine.Output) {
		for _, s := range out.Send {
			if s.Type == wire.TypeAnswer {
				out.Send = append(out.Send, s)
			}
		}
	}},
	{"presence is signed by another key", "bad_signature", func(n *node, out *engine.Output) {
		for i, s := range out.Send {
			if s.Type == wire.TypeBeat && n.index == 1 {
				data := slices.Clone(s.Data)
				copy(data[len(data)-identity.SignatureSize:], n.w.nodes[0].signer().Sign(nil))
				out.Send[i].Data = data
			}
		}
	}},
	{"nothing of others is shown", "L1", func(n *node, out *engine.Output) {
		out.Events = slices.DeleteFunc(out.Events, func(e engine.Event) bool { return n.index == 1 && isPost(e) })
	}},
}

// The checkers must find each planted bug and name its rule: they can fail.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range planted {
		w := newWorld(steady(4))
		w.tamper = bug.tamper
		if r := w.run(); r.Err == nil || !strings.HasPrefix(r.Err.Error(), bug.rule+" violated") {
			t.Errorf("%s: want %s violated, got %v", bug.name, bug.rule, r.Err)
		}
	}
}

func isPost(e engine.Event) bool { return e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Posted }

// What a device sent on one segment, sent by it on another, is found (N1).
func TestPlantedLeakIsFound(t *testing.T) {
	opt := steady(5)
	opt.Strangers = true
	w := newWorld(opt)
	w.at(20*time.Second, func() { w.move(w.nodes[0]) })
	var said engine.Send
	w.tamper = func(n *node, out *engine.Output) {
		switch {
		case n.index != 0 || len(out.Send) == 0:
		case n.on(w.segments[1]):
			out.Send = append(out.Send, said)
		default:
			if i := slices.IndexFunc(out.Send, func(s engine.Send) bool { return s.Type == wire.TypeHead }); i >= 0 {
				said = out.Send[i]
			}
		}
	}
	if r := w.run(); r.Err == nil || !strings.HasPrefix(r.Err.Error(), "N1 violated") {
		t.Errorf("want N1 violated, got %v", r.Err)
	}
}

// Where few listen and no head is ever said, a digest tells of what got lost, and that is too late (L1).
func TestPlantedSilenceIsFound(t *testing.T) {
	opt := steady(5)
	opt.Loss, opt.Posts, opt.Duration = 0.05, 2, 2*time.Minute
	if r := Run(opt); r.Err != nil {
		t.Error(r.Err)
	}
	w := newWorld(opt)
	w.tamper = func(_ *node, out *engine.Output) {
		out.Send = slices.DeleteFunc(out.Send, func(s engine.Send) bool { return s.Type == wire.TypeHead })
	}
	if r := w.run(); r.Err == nil || !strings.HasPrefix(r.Err.Error(), "L1 violated") {
		t.Errorf("want L1 violated, got %v", r.Err)
	}
}

// A signed datagram that a process takes a second time is found (P12), and a record is not one.
func TestPlantedReplayIsFound(t *testing.T) {
	opt := steady(2)
	opt.Duplicate = 1
	w := newWorld(opt)
	n := w.nodes[0]
	n.ledger = newLedger()
	of := func(t wire.Type, b byte) *packet { return &packet{data: []byte{'b', 'c', 1, byte(t), b}} }
	for _, p := range []*packet{
		of(wire.TypeBeat, 1), of(wire.TypeBeat, 2), of(wire.TypeWant, 1), of(wire.TypeRecord, 1), of(wire.TypeRecord, 1),
	} {
		w.check.once(n, p)
	}
	if w.err != nil {
		t.Error(w.err)
	}
	w.check.once(n, of(wire.TypeBeat, 2))
	if w.err == nil || !strings.HasPrefix(w.err.Error(), "P12 violated") {
		t.Errorf("want P12 violated, got %v", w.err)
	}
}
