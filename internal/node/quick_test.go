package node

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
)

// swift keeps scope 1 in memory; a Load takes until it is let go.
type swift struct {
	letGo chan struct{}
	order []string
}

func (s *swift) InMemory(scope uint64) bool { return scope == 1 }

func (s *swift) Append(_ time.Time, batches []record.Batch) ([][]record.Floor, error) {
	s.order = append(s.order, "append")
	return make([][]record.Floor, len(batches)), nil
}

func (s *swift) Load(uint64, []record.Span, []record.ID) ([]record.Entry, error) {
	<-s.letGo
	s.order = append(s.order, "load")
	return nil, nil
}

func (s *swift) KeepScope(record.Scope) error                       { return nil }
func (s *swift) Forget(uint64) error                                { return nil }
func (s *swift) Prune(time.Time) (map[uint64][]record.Floor, error) { return nil, nil }

// What goes to memory is kept on the spot, but never before what was asked for earlier.
func TestMemoryIsNotWaitedFor(t *testing.T) {
	store := &swift{letGo: make(chan struct{})}
	k := newKeeper(store, slog.New(slog.DiscardHandler))
	batch := func(scope uint64) *engine.Output {
		return &engine.Output{Store: []engine.Store{{Token: scope, Batch: record.Batch{Scope: scope}}}}
	}
	if done := k.take(batch(1)); len(done) != 1 || len(store.order) != 1 {
		t.Errorf("%d tells, %v", len(done), store.order)
	}
	if done := k.take(batch(2)); done != nil {
		t.Error("what is not in memory was kept by the loop")
	}
	<-k.done
	if done := k.take(batch(1)); done != nil {
		t.Error("an append was told of before one that was kept earlier")
	}
	k.told()
	<-k.done
	k.told()
	k.take(&engine.Output{Load: []engine.Load{{Token: 3}}})
	if done := k.take(batch(1)); done != nil {
		t.Error("an append overtook a load")
	}
	close(store.letGo)
	<-k.done
	<-k.done
	k.close()
	if want := []string{"append", "append", "append", "load", "append"}; !slices.Equal(store.order, want) {
		t.Errorf("%v, want %v", store.order, want)
	}
}
