package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
)

// record remembers what was done, by however many at once.
type record struct {
	mu        sync.Mutex
	done      []string
	now, most int
	log       bytes.Buffer
}

func (r *record) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, what)
}

func (r *record) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.done)
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *record) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// running counts who is in here at once.
func (r *record) running(f func()) {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	f()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
}

// said is a live post.
func said(text string, change ...func(*control.Post)) control.Event {
	p := control.Post{Room: "lobby", ID: "k7f2.0", From: "b0b", Nick: "bob", Tag: "b0b1", Kind: "text", Text: text, Time: time.Now()}
	for _, c := range change {
		c(&p)
	}
	return control.Event{Type: control.EventPost, ID: "1.1", Time: time.Now(), Post: &p}
}

// botOf answers by what run says.
func botOf(r *record, run func(text string) (string, error)) *Bot {
	return newBot(context.Background(), func(_ context.Context, env []string, input []byte) (out string, err error) {
		var p control.Post
		if err := json.Unmarshal(input, &p); err != nil {
			return "", err
		}
		if !slices.Contains(env, "BCAST_TEXT="+p.Text) {
			return "", errors.New("environment and input differ")
		}
		r.running(func() { out, err = run(p.Text) })
		return out, err
	}, func(_ context.Context, text string) error { r.add(text); return nil }, r.logger())
}

func TestBotAnswersWhatOthersSayNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		b := botOf(r, func(text string) (string, error) {
			switch text {
			case "quiet":
				return "\n", nil
			case "fail":
				return "", errors.New("exit status 1")
			}
			return text + "?\n", nil
		})
		old := func(p *control.Post) { p.Time = p.Time.Add(-time.Hour) }
		b.Hear(said("old", old))
		b.Hear(said("own", func(p *control.Post) { p.Own = true }))
		kept := said("kept", func(p *control.Post) { p.Time = p.Time.Add(-time.Second) })
		kept.ID = ""
		b.Hear(kept)
		edited := said("edited")
		edited.Type = control.EventEdited
		b.Hear(edited)
		for _, e := range []control.Event{
			said("hi"), said("quiet"), said("fail"),
			said("slow clock", old, func(p *control.Post) { p.ClockOff = "behind" }),
			said("a little behind", func(p *control.Post) { p.Time = p.Time.Add(-119 * time.Second) }),
		} {
			b.Hear(e)
		}
		b.Close()
		b.Hear(said("closed"))
		got := slices.Sorted(slices.Values(r.list()))
		if !slices.Equal(got, []string{"a little behind?", "hi?", "slow clock?"}) {
			t.Errorf("said %q", got)
		}
		if log := r.logged(); !strings.Contains(log, "the program failed") || strings.Count(log, "\n") != 1 {
			t.Errorf("logged %s", log)
		}
	})
}

func TestNoBotIsABot(t *testing.T) {
	var b *Bot
	b.Hear(said("hi"))
	b.Close()
}

// A flood of events is no fork bomb: few programs at once, few in a minute, and the log says what is not done.
func TestADV_exec_A_flood_starts_few_programs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		b := botOf(r, func(string) (string, error) { time.Sleep(time.Second); return "", nil })
		for i := range 10_000 {
			b.Hear(said(fmt.Sprint(i)))
		}
		time.Sleep(30 * time.Second)
		r.mu.Lock()
		most := r.most
		r.mu.Unlock()
		if most != atOnce {
			t.Errorf("%d programs at once, want %d", most, atOnce)
		}
		b.Close()
		if log := r.logged(); strings.Count(log, "too much happens") != 1 {
			t.Errorf("logged %s", log)
		}
	})
}

// A bot hears more than it may answer: what is for it is among much that is not.
func TestBotHearsALivelyRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		b := newBot(context.Background(), func(_ context.Context, env []string, _ []byte) (string, error) {
			if slices.Contains(env, "BCAST_TEXT=!dice") {
				return "four", nil
			}
			return "", nil
		}, func(_ context.Context, text string) error { r.add(text); return nil }, r.logger())
		for range 2 * BotPace {
			b.Hear(said("talk"))
			synctest.Wait()
		}
		b.Hear(said("!dice"))
		synctest.Wait()
		if got := r.list(); !slices.Equal(got, []string{"four"}) {
			t.Errorf("answers %q: %s", got, r.logged())
		}
		b.Close()
	})
}

// Two bots that answer each other do so at a pace.
func TestADV_exec_Bots_that_answer_each_other_have_a_pace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		var a, b *Bot
		echo := func(_ context.Context, _ []string, _ []byte) (string, error) { return "hello", nil }
		a = newBot(context.Background(), echo, func(_ context.Context, text string) error {
			r.add(text)
			b.Hear(said(text))
			return nil
		}, r.logger())
		b = newBot(context.Background(), echo, func(_ context.Context, text string) error {
			a.Hear(said(text))
			return nil
		}, r.logger())
		a.Hear(said("hello"))
		time.Sleep(50 * time.Second)
		if n := len(r.list()); n == 0 || n > BotPace {
			t.Errorf("%d answers within a minute, at most %d", n, BotPace)
		}
		a.Close()
		b.Close()
	})
}

func TestPoolDropsWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		p := newPool(context.Background(), r.logger())
		for range atOnce + maxWaiting + 10 {
			p.do(func(context.Context) { time.Sleep(time.Minute); r.add("done") })
			synctest.Wait()
		}
		p.close()
		if n := len(r.list()); n != atOnce+maxWaiting {
			t.Errorf("%d things done, want %d", n, atOnce+maxWaiting)
		}
	})
}

func TestPaceIsByTheMinute(t *testing.T) {
	p := pace{most: 2}
	now := time.Unix(0, 0)
	for i, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, true}, {30 * time.Second, false}, {30 * time.Second, true}, {0, true}, {time.Second, false}} {
		now = now.Add(test.after)
		if got := p.pass(now); got != test.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
