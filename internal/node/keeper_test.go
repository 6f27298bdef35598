package node_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bcast/chat"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/record"
)

// flaky is a store whose disk can be full or slow.
type flaky struct {
	history.Store
	full  atomic.Bool
	delay time.Duration
	calls atomic.Int32
	steps atomic.Int32
}

var errFull = errors.New("no space left")

func (f *flaky) Append(now time.Time, batches []record.Batch) ([][]record.Floor, error) {
	time.Sleep(f.delay)
	f.steps.Add(1)
	f.calls.Add(int32(len(batches)))
	if f.full.Load() {
		return nil, errFull
	}
	return f.Store.Append(now, batches)
}

func text(s string) []record.Post { return []record.Post{{Kind: record.KindText, Text: s}} }

func storeEvents(h *host) (failed, again int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Kind == engine.StoreEvent && e.Err != nil {
			failed++
		} else if e.Kind == engine.StoreEvent {
			again++
		}
	}
	return failed, again
}

// A full disk: what is said fails loudly, nothing is shown or sent, others are still read; with space again all goes on
// and what came meanwhile is fetched.
func TestFullDiskMakesReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		disk := &flaky{Store: history.NewMemory()}
		a, b := startOn(t, seg, 1, disk), start(t, seg, 2)
		defer a.Close()
		defer b.Close()
		a.do(t, engine.Join{Room: "lobby"})
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(time.Second)
		disk.full.Store(true)
		for range 2 {
			_, err := a.Do(context.Background(), engine.Say{Room: "lobby", Posts: text("lost")})
			if !errors.Is(err, engine.ErrReadOnly) || !errors.Is(err, errFull) {
				t.Errorf("said on a full disk: %v", err)
			}
		}
		b.do(t, engine.Say{Room: "lobby", Posts: text("meanwhile")})
		time.Sleep(time.Minute)
		if a.saw(posted("lost")) || b.saw(posted("lost")) || a.saw(posted("meanwhile")) {
			t.Error("shown though it is not kept")
		}
		disk.full.Store(false)
		time.Sleep(time.Minute)
		if !a.saw(posted("meanwhile")) {
			t.Error("what came while the disk was full is not here")
		}
		a.do(t, engine.Say{Room: "lobby", Posts: text("again")})
		time.Sleep(time.Second)
		if !b.saw(posted("again")) {
			t.Error("what is said with space again does not arrive")
		}
		if failed, again := storeEvents(a); failed != 1 || again != 1 {
			t.Errorf("told %d failures and %d recoveries", failed, again)
		}
	})
}

// A slow disk: the loop goes on, and what waits goes to the disk together.
func TestSlowDiskHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		disk := &flaky{Store: history.NewMemory(), delay: 200 * time.Millisecond}
		a, b := startOn(t, seg, 1, disk), start(t, seg, 2)
		defer a.Close()
		defer b.Close()
		a.do(t, engine.Join{Room: "lobby"})
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(5 * time.Second)
		steps, calls := disk.steps.Load(), disk.calls.Load()
		for range 100 {
			b.do(t, engine.Say{Room: "lobby", Posts: text("one of many")})
		}
		synctest.Wait()
		before := time.Now()
		if err := a.View(context.Background(), func(engine.Now, *engine.Engine, nodeCounters) {}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(before); waited > 0 {
			t.Errorf("the loop was held up for %v", waited)
		}
		time.Sleep(10 * time.Second)
		shown := 0
		a.mu.Lock()
		for _, e := range a.events {
			if e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Posted {
				shown += len(e.Chat.Posts)
			}
		}
		a.mu.Unlock()
		if n := disk.steps.Load() - steps; shown != 100 || n > 30 {
			t.Errorf("%d of 100 shown after %d steps of the disk for %d batches", shown, n, disk.calls.Load()-calls)
		}
	})
}

// The next process goes on where the last one ended.
func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		store := history.NewMemory()
		first := startOn(t, seg, 1, store)
		first.do(t, engine.Join{Room: "lobby"})
		first.do(t, engine.Say{Room: "lobby", Posts: text("before")})
		var room engine.RoomState
		err := first.View(context.Background(), func(now engine.Now, e *engine.Engine, _ nodeCounters) {
			room = e.Rooms(now)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		scopes, err := store.Scopes(room.ID)
		if err != nil || len(scopes) != 1 {
			t.Fatalf("%d scopes, %v", len(scopes), err)
		}
		kept, err := store.Kept(scopes[0].ID, room.ID)
		if err != nil {
			t.Fatal(err)
		}
		second, b := startOn(t, seg, 1, store), start(t, seg, 2)
		defer second.Close()
		defer b.Close()
		second.do(t, engine.Join{
			Room: "lobby", Kept: []engine.KeptScope{{Scope: scopes[0], Kept: kept}}, Resume: true,
		})
		second.do(t, engine.Say{Room: "lobby", Posts: text("after")})
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(10 * time.Second)
		if !b.saw(posted("before")) || !b.saw(posted("after")) || second.saw(posted("before")) {
			t.Error("what was said before is not handed on, or is shown again")
		}
		kept, err = store.Kept(scopes[0].ID, room.ID)
		if err != nil || len(kept.Chains) != 2 || len(kept.Standing) != 2 {
			t.Errorf("%d chains, %d memberships, %v", len(kept.Chains), len(kept.Standing), err)
		}
	})
}

// once is a store that fails at one call and works before and after.
type once struct {
	history.Store
	delay time.Duration
	at    int32
	calls atomic.Int32
}

func (o *once) Append(now time.Time, batches []record.Batch) ([][]record.Floor, error) {
	time.Sleep(o.delay)
	if o.calls.Add(1) == o.at {
		return nil, errFull
	}
	return o.Store.Append(now, batches)
}

// What stands behind an append that failed fails with it: a chain would be kept without its first records.
func TestFailureTakesWhatStandsBehindIt(t *testing.T) {
	for at := int32(2); at < 8; at++ {
		synctest.Test(t, func(t *testing.T) {
			seg := &segment{}
			store := history.NewMemory()
			disk := &once{Store: store, delay: 50 * time.Millisecond, at: at}
			a, b := startOn(t, seg, 1, disk), start(t, seg, 2)
			defer a.Close()
			defer b.Close()
			a.do(t, engine.Join{Room: "lobby"})
			b.do(t, engine.Join{Room: "lobby"})
			time.Sleep(time.Second)
			for range 40 {
				b.do(t, engine.Say{Room: "lobby", Posts: text("in a row")})
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(30 * time.Second)
			var id record.RoomID
			err := a.View(context.Background(), func(now engine.Now, e *engine.Engine, _ nodeCounters) { id = e.Rooms(now)[0].ID })
			if err != nil {
				t.Fatal(err)
			}
			scopes, err := store.Scopes(id)
			if err != nil || len(scopes) != 1 {
				t.Fatalf("%d scopes, %v", len(scopes), err)
			}
			kept, err := store.Kept(scopes[0].ID, id)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range kept.Chains {
				if c.Low != 1 {
					t.Errorf("failing at call %d: a chain is kept from %d on", at, c.Low)
				}
			}
		})
	}
}

// Who was away for longer than the others keep gets what they still have, goes on with it, and never says that nothing
// can be stored.
func TestBackAfterLongerThanOthersKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		stores := []history.Store{history.NewMemory(), history.NewMemory()}
		a, b := startOn(t, seg, 1, stores[0]), startOn(t, seg, 2, stores[1])
		defer a.Close()
		defer b.Close()
		var scope uint64
		a.do(t, engine.Join{Room: "lobby", Retention: record.Retention{Count: 10}})
		b.do(t, engine.Join{Room: "lobby"})
		say := func(texts ...string) {
			for _, s := range texts {
				a.do(t, engine.Say{Room: "lobby", Posts: text(s)})
			}
		}
		time.Sleep(time.Second)
		say("before")
		time.Sleep(5 * time.Second)
		seg.unplug(1, true)
		time.Sleep(time.Minute)
		for range 30 {
			say("missed")
		}
		say("kept")
		seg.unplug(1, false)
		time.Sleep(time.Minute)
		say("after")
		time.Sleep(5 * time.Second)
		if !b.saw(posted("kept")) || !b.saw(posted("after")) {
			t.Error("b does not get what a still has")
		}
		if failed, _ := storeEvents(b); failed > 0 {
			t.Errorf("b's store failed %d times", failed)
		}
		if err := b.View(context.Background(), func(_ engine.Now, e *engine.Engine, _ nodeCounters) {
			scope = uint64(e.Scopes("lobby")[0])
		}); err != nil {
			t.Fatal(err)
		}
		kept, err := stores[1].Page(history.Query{Scopes: []uint64{scope}, Kinds: true})
		if err != nil || len(kept) < 11 || len(kept) > 13 {
			t.Errorf("b keeps %d posts, %v", len(kept), err)
		}
	})
}
