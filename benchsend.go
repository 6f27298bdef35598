package bcast

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"bcast/identity"
	"bcast/internal/meter"
	"bcast/internal/record"
)

const (
	// benchAhead is how many calls of Say are under way at once when as many posts go as can, and benchSaid how many
	// bytes each of them says: some forty records under one signature, so that the loop always finds work, few
	// signatures are made and checked, and memory stays small. Few probes are said in benchParts calls: what comes at
	// once tells no rate.
	benchAhead = 2
	benchSaid  = 512 << 10
	benchParts = 32
)

// sending says the probes of one run.
type sending struct {
	n    *Node
	room identity.RoomName
	b    Bench
	run  uint64
	last record.ID // of the last record said
}

// posts is how many are said at once.
func (s *sending) posts() int { return max(min(benchSaid/s.b.Size, s.b.Count/benchParts), 1) }

// say says probes from up to to, and asks for receipts of the last of all.
func (s *sending) say(ctx context.Context, from, to int) error {
	posts := make([]record.Post, 0, to-from)
	p := meter.Probe{Run: s.run, Seq: from, Count: s.b.Count, Sent: time.Now().UnixNano()}
	for ; p.Seq < to; p.Seq++ {
		posts = append(posts, record.Post{Kind: record.KindText, Text: p.Text(s.b.Size)})
	}
	last := to == s.b.Count
	reply, err := s.n.speak(ctx, s.room, posts, last)
	if last {
		s.last = reply.Record
	}
	return err
}

// atRate says what is due. What the node takes longer for than there is time is said together when it is done.
func (s *sending) atRate(ctx context.Context) error {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for said := 0; said < s.b.Count; {
		due := min(int(time.Since(began).Seconds()*s.b.Rate)+1, s.b.Count)
		if due = min(due, said+s.posts()); due > said {
			if err := s.say(ctx, said, due); err != nil {
				return err
			}
			said = due
			continue
		}
		timer.Reset(time.Until(began.Add(time.Duration(float64(said) / s.b.Rate * float64(time.Second)))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// flatOut says as many as the node takes. The last are said when all others are, so that who has them has all.
func (s *sending) flatOut(ctx context.Context) error {
	var next atomic.Int64
	before := s.b.Count - 1
	errs := make([]error, benchAhead)
	var under sync.WaitGroup
	for i := range benchAhead {
		under.Go(func() {
			for errs[i] == nil {
				to := int(next.Add(int64(s.posts())))
				from := to - s.posts()
				if from >= before {
					return
				}
				errs[i] = s.say(ctx, from, min(to, before))
			}
		})
	}
	under.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.say(ctx, before, s.b.Count)
}
