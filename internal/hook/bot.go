package hook

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"bcast/internal/control"
)

const (
	// BotPace is how many posts a bot answers in a minute: two bots in one room that answer each other go on for ever.
	BotPace = 60
	// BotHears is for how many posts a minute its program is run: it must see many to find those that are for it.
	BotHears = 600
)

// Bot runs a program for each post that it hears and says what the program writes, as one post. A nil Bot does nothing.
type Bot struct {
	began time.Time
	say   func(context.Context, string) error
	run   func(ctx context.Context, env []string, input []byte) (string, error)
	log   *slog.Logger
	pool  *pool

	mu      sync.Mutex
	heard   pace
	answers pace
}

// NewBot returns a bot whose answers go to say; it ends with Close, and its programs with ctx.
func NewBot(ctx context.Context, p Program, say func(context.Context, string) error, log *slog.Logger) *Bot {
	return newBot(ctx, p.run, say, log)
}

func newBot(
	ctx context.Context, run func(context.Context, []string, []byte) (string, error),
	say func(context.Context, string) error, log *slog.Logger,
) *Bot {
	return &Bot{
		began: time.Now(), say: say, run: run, log: log, pool: newPool(ctx, log), heard: pace{most: BotHears},
		answers: pace{most: BotPace},
	}
}

// Hear takes a post and never waits. Own posts, and those said before the bot began, are not for it.
func (b *Bot) Hear(e control.Event) {
	if b == nil || e.Type != control.EventPost || e.Post.Own || !b.isNews(e) {
		return
	}
	if !b.affords(&b.heard) {
		return
	}
	p := *e.Post
	input, err := json.Marshal(p)
	if err != nil {
		b.log.Error("post not encoded", "err", err)
		return
	}
	env := environ("post", control.Event{Type: e.Type, Time: e.Time, Post: &p})
	b.pool.do(func(ctx context.Context) { b.answer(ctx, p, env, append(input, '\n')) })
}

// affords tells whether one more keeps to a pace; one that does not is told of.
func (b *Bot) affords(p *pace) bool {
	b.mu.Lock()
	pass := p.pass(time.Now())
	b.mu.Unlock()
	if !pass {
		b.pool.skip()
	}
	return pass
}

// isNews tells whether a post is not of the past. Without an id it is of what is kept.
func (b *Bot) isNews(e control.Event) bool {
	if e.ID == "" {
		return e.Post.Time.After(b.began)
	}
	return news(*e.Post, b.began)
}

func (b *Bot) answer(ctx context.Context, p control.Post, env []string, input []byte) {
	output, err := b.run(ctx, env, input)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		b.log.Warn("the program failed", "post", p.ID, "err", err)
		return
	}
	text := post(output)
	if text == "" || !b.affords(&b.answers) {
		return
	}
	if err := b.say(ctx, text); err != nil && ctx.Err() == nil {
		b.log.Warn("the answer was not posted", "post", p.ID, "err", err)
	}
}

// Close waits for the programs that run.
func (b *Bot) Close() {
	if b != nil {
		b.pool.close()
	}
}
