package node_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// forger makes datagrams of a public room, as anyone can who knows its name, that hold a record, a head or a first piece
// with a signature of nobody.
type forger struct {
	t      *testing.T
	room   *seal.Room
	random *rand.ChaCha8
	sound  *record.Record
	count  uint64
}

func newForger(t *testing.T) *forger {
	t.Helper()
	f := &forger{t: t, random: rand.NewChaCha8([32]byte{7})}
	var err error
	if f.room, err = seal.Open(seal.PublicSecret("lobby"), 0, nil); err != nil {
		t.Fatal(err)
	}
	key, err := identity.NewKey(f.random)
	if err != nil {
		t.Fatal(err)
	}
	body, err := record.EncodePosts(text("forged"))
	if err != nil {
		t.Fatal(err)
	}
	h := record.Header{Feed: record.Feed{Author: key.Public(), Epoch: 1}, Seq: 1, Order: 1}
	f.sound = record.Sign(key, record.RoomID(f.room.ID), []record.Draft{{Header: h, Body: body}})[0]
	return f
}

func (f *forger) datagram() []byte {
	f.count++
	b := bytes.Clone(f.sound.Bytes())
	binary.BigEndian.PutUint64(b[10:], f.count) // in the signature
	frame := []wire.Frame{
		wire.Record{Bytes: b}, wire.Head{Bytes: b[:len(f.sound.Head())]},
		wire.Frag{Record: f.sound.ID, Total: uint16(len(b)), Data: b},
	}[f.count%3]
	outer, err := f.room.Outer(wire.Prefix(frame.Type()), f.random)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.room.Seal(outer, wire.AppendFrame(nil, frame), 512)
}

// flood puts n datagrams on the link of h at once, each from the address that from gives.
func (f *forger) flood(to *link, n int, from func(i int) netip.AddrPort) {
	for i := range n {
		data := f.datagram()
		to.inbox <- engine.Datagram{
			Data: data, Size: len(data), From: from(i), Iface: 1, TTL: 255, OnLink: true, Broadcast: true,
		}
	}
}

// CVE-2020-26164 (LAN packets eat CPU): valid-looking datagrams with wrong signatures, 20,000 in a second, cost at most
// 500 checks of strangers and 200 for each address of a peer, 51 µs each; what they refuse is counted, and a peer's post
// is shown within the same second.
func TestADV_03_Wrong_signatures_have_a_budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		var checks atomic.Int64
		a := startWith(t, seg, 1, history.NewMemory(), func(key identity.PublicKey, message, sig []byte) bool {
			checks.Add(1)
			return identitytest.VerifyQuick(key, message, sig)
		})
		b := start(t, seg, 2)
		defer a.Close()
		defer b.Close()
		a.do(t, engine.Join{Room: "lobby"})
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(5 * time.Second)
		f, to := newForger(t), seg.links[0]
		before := checks.Load()
		f.flood(to, 10_000, func(int) netip.AddrPort { return netip.MustParseAddrPort("10.0.0.9:1") })
		f.flood(to, 10_000, func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 27475)
		})
		b.do(t, engine.Say{Room: "lobby", Posts: text("through the flood")})
		time.Sleep(200 * time.Millisecond)
		if n := checks.Load() - before; n > 500+200+50 { // 50 for what b said, and its presence
			t.Errorf("%d signatures were checked", n)
		}
		if !a.saw(posted("through the flood")) {
			t.Error("a peer is not heard through the flood")
		}
		err := a.View(context.Background(), func(_ engine.Now, _ *engine.Engine, c nodeCounters) {
			if bad, refused := c.Drops["bad_signature"], c.Drops["budget"]; bad == 0 || bad+refused+c.Drops["queue_full"] < 20_000 {
				t.Errorf("%d wrong signatures, %d refused unseen: %v", bad, refused, c.Drops)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if a.saw(posted("forged")) {
			t.Error("a forgery is shown")
		}
	})
}
