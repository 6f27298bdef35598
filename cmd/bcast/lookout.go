package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"bcast/internal/control"
	"bcast/internal/show"
)

// lookout has a daemon's node watch the subnet, and writes into the log what becomes of its devices.
type lookout struct {
	node participant
	log  *slog.Logger
	once sync.Once
}

func (l *lookout) begin(ctx context.Context) error {
	if err := l.node.Watch(ctx); err != nil {
		return err
	}
	l.once.Do(func() {
		events := l.node.Events(ctx, "") // now: the first look is near
		go func() {
			for event, err := range events {
				if err != nil {
					l.log.Error("devices are no longer logged", "error", err)
				} else if event.Device != nil {
					l.write(*event.Device)
				}
			}
		}()
	})
	return nil
}

// write logs a change: a conflict is for who runs the network, the rest is news.
func (l *lookout) write(c control.DeviceChange) {
	level, d := slog.LevelInfo, c.Device
	if c.With != nil || len(d.Conflicts) > 0 {
		level = slog.LevelWarn
	}
	attrs := []any{"change", c.Change, "name", show.Clean(d.Name), "kind", show.Clean(d.Kind),
		"addrs", strings.Join(d.Addrs, " "), "mac", show.Clean(d.MAC)}
	if len(c.What) > 0 {
		attrs = append(attrs, "what", show.Clean(strings.Join(c.What, " ")))
	}
	if c.With != nil {
		attrs = append(attrs, "with", strings.Join(c.With.Addrs, " "))
	}
	l.log.Log(context.Background(), level, "device", attrs...)
}
