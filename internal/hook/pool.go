package hook

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// pool does things beside who asks for them, atOnce at a time.
type pool struct {
	log     *slog.Logger
	ctx     context.Context // ends what is being done
	jobs    chan func(context.Context)
	workers sync.WaitGroup

	mu     sync.Mutex
	closed bool
	lost   int       // not done since that was last logged
	told   time.Time // when that was
}

// tellLost is how often at most the log says that things are not done.
const tellLost = time.Minute

func newPool(ctx context.Context, log *slog.Logger) *pool {
	p := &pool{log: log, ctx: ctx, jobs: make(chan func(context.Context), maxWaiting)}
	for range atOnce {
		p.workers.Go(func() {
			for job := range p.jobs {
				if ctx.Err() == nil {
					job(ctx)
				}
			}
		})
	}
	return p
}

// do has a job done, or not if too many wait already. It never waits.
func (p *pool) do(job func(context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	select {
	case p.jobs <- job:
	default:
		p.miss()
	}
}

// skip counts what is not done because it would be too much.
func (p *pool) skip() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.miss()
}

// miss wants p.mu held.
func (p *pool) miss() {
	if p.lost++; time.Since(p.told) >= tellLost {
		p.log.Warn("too much happens: nothing is done about some of it", "skipped", p.lost)
		p.lost, p.told = 0, time.Now()
	}
}

// close waits for what is being done; what still waits is done only if the context has not ended.
func (p *pool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
	}
	p.mu.Unlock()
	p.workers.Wait()
}

// pace lets through at most so many in any minute.
type pace struct {
	most  int
	times []time.Time // of the last ones that passed, the oldest first
}

func (p *pace) pass(now time.Time) bool {
	if len(p.times) >= p.most {
		if now.Sub(p.times[0]) < time.Minute {
			return false
		}
		p.times = p.times[1:]
	}
	p.times = append(p.times, now)
	return true
}
