package node

import (
	"log/slog"
	"sync"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
)

// batchRecords is how many records are kept in one step at most: a commit costs more than a row, and who waits for one
// waits for the whole step.
const batchRecords = 2048

// keeper does the store's work beside the loop, in the order in which it is asked for: the loop never waits for a disk.
// What it is asked for is bounded by the engine, which stops taking records while too many are on their way.
type keeper struct {
	store Store
	log   *slog.Logger
	done  chan []tell // what is to be told to the engine, on the loop
	ended chan struct{}
	stop  chan struct{}

	mu      sync.Mutex
	queue   []job
	waiting *sync.Cond
	busy    bool // with what it took from the queue last
	untold  int  // results that the engine has not heard
	closed  bool
	failed  error // of an append, until the engine has heard of it: what was handed out meanwhile fails, too
}

// tell passes a result to the engine.
type tell func(engine.Now, *engine.Engine)

// job is one thing to do: an append, which goes together with those behind it, or anything else.
type job struct {
	append *engine.Store
	failed error // the append stands behind one that failed, and would be kept without it
	do     func() tell
}

func newKeeper(store Store, log *slog.Logger) *keeper {
	k := &keeper{
		store: store, log: log, done: make(chan []tell), ended: make(chan struct{}), stop: make(chan struct{}),
	}
	k.waiting = sync.NewCond(&k.mu)
	go k.run()
	return k
}

// quick is a Store that keeps some scopes in memory: there an append takes no longer than to hand it over.
type quick interface{ InMemory(scope uint64) bool }

// atOnce keeps what out asks for on the spot, if all of it is for memory and nothing is under way that it would
// overtake. It is called by whoever calls add.
func (k *keeper) atOnce(out *engine.Output) ([]tell, bool) {
	store, ok := k.store.(quick)
	if !ok || len(out.Keep)+len(out.Load)+len(out.Forget) > 0 || len(out.Store) == 0 {
		return nil, false
	}
	for i := range out.Store {
		if !store.InMemory(out.Store[i].Scope) {
			return nil, false
		}
	}
	k.mu.Lock()
	idle := len(k.queue) == 0 && !k.busy && k.untold == 0 && k.failed == nil
	k.mu.Unlock()
	if !idle {
		return nil, false
	}
	jobs := make([]job, len(out.Store))
	for i := range out.Store {
		jobs[i].append = &out.Store[i]
	}
	return k.append(jobs), true
}

// take queues what out asks of the store, or does it and returns what is to be told.
func (k *keeper) take(out *engine.Output) []tell {
	if done, kept := k.atOnce(out); kept {
		return done
	}
	var jobs []job
	for _, s := range out.Keep {
		jobs = append(jobs, job{do: func() tell {
			k.complain("scope not kept", k.store.KeepScope(s))
			return nil
		}})
	}
	for i := range out.Store {
		jobs = append(jobs, job{append: &out.Store[i]})
	}
	for _, l := range out.Load {
		jobs = append(jobs, job{do: func() tell {
			records, err := k.store.Load(uint64(l.Scope), l.Ranges, l.IDs)
			k.complain("records not loaded", err)
			return func(now engine.Now, e *engine.Engine) { e.Loaded(now, l.Token, records) }
		}})
	}
	for _, scope := range out.Forget {
		jobs = append(jobs, job{do: func() tell {
			k.complain("scope not forgotten", k.store.Forget(uint64(scope)))
			return nil
		}})
	}
	k.add(jobs...)
	return nil
}

// prune has the store give up what is too old.
func (k *keeper) prune() {
	k.add(job{do: func() tell {
		given, err := k.store.Prune(time.Now())
		k.complain("old records not given up", err)
		return func(now engine.Now, e *engine.Engine) {
			for scope, floors := range given {
				e.Given(now, engine.ScopeID(scope), floors)
			}
		}
	}})
}

func (k *keeper) complain(what string, err error) {
	if err != nil {
		k.log.Error(what, "err", err)
	}
}

func (k *keeper) add(jobs ...job) {
	if len(jobs) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range jobs {
		if j.append != nil {
			j.failed = k.failed
		}
		k.queue = append(k.queue, j)
	}
	k.waiting.Signal()
}

// next is what to do now: one job, or all appends in a row as far as they go into one step. It waits; nothing comes
// once the keeper is closed and all is done.
func (k *keeper) next() []job {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = false
	for len(k.queue) == 0 && !k.closed {
		k.waiting.Wait()
	}
	n, records := 0, 0
	for n < len(k.queue) && k.queue[n].append != nil && records < batchRecords &&
		k.queue[n].failed == k.queue[0].failed {
		records += len(k.queue[n].append.Records)
		n++
	}
	jobs := k.queue[:min(max(n, 1), len(k.queue))]
	k.queue, k.busy = k.queue[len(jobs):], true
	return jobs
}

func (k *keeper) run() {
	defer close(k.ended)
	for jobs := k.next(); len(jobs) > 0; jobs = k.next() {
		var done []tell
		if jobs[0].append != nil {
			done = k.append(jobs)
		} else if t := jobs[0].do(); t != nil {
			done = []tell{t}
		}
		if len(done) == 0 {
			continue
		}
		k.mu.Lock()
		k.untold++
		k.mu.Unlock()
		select {
		case k.done <- done:
		case <-k.stop: // the loop has ended: nobody waits for it, but what was asked for is still done
		}
	}
}

// told notes that the engine heard what came out of done last. Until then nothing is kept at once: it would be told
// first.
func (k *keeper) told() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.untold--
}

// append keeps the batches of jobs in one step.
func (k *keeper) append(jobs []job) []tell {
	batches := make([]record.Batch, len(jobs))
	for i, j := range jobs {
		batches[i] = j.append.Batch
	}
	var floors [][]record.Floor
	err := jobs[0].failed
	if err == nil {
		floors, err = k.store.Append(time.Now(), batches)
		k.complain("records not stored", err)
		k.fail(err)
	}
	done := make([]tell, len(jobs))
	for i, j := range jobs {
		var given []record.Floor
		if err == nil {
			given = floors[i]
		}
		done[i] = func(now engine.Now, e *engine.Engine) { e.Stored(now, j.append.Token, given, err) }
	}
	if err != nil && jobs[0].failed == nil {
		done = append(done, func(engine.Now, *engine.Engine) { k.heard() })
	}
	return done
}

// fail has all appends that were handed out before the engine hears of a failure fail as well.
func (k *keeper) fail(err error) {
	if err == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = err
	for i := range k.queue {
		if k.queue[i].append != nil {
			k.queue[i].failed = err
		}
	}
}

// heard ends that: the engine knows.
func (k *keeper) heard() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = nil
}

// close ends the keeper when all that was queued is done. The loop has ended before.
func (k *keeper) close() {
	close(k.stop)
	k.mu.Lock()
	k.closed = true
	k.waiting.Signal()
	k.mu.Unlock()
	<-k.ended
}
