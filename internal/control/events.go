package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

const (
	// keepAlive is how often a silent stream shows that it lives, so that readers and proxies keep it.
	keepAlive = 15 * time.Second
	// maxEventLine bounds one line of a stream: the longest post, escaped, in its event.
	maxEventLine = maxBody + 64<<10
	// eventFailure is the stream's own event: the participant refused to go on.
	eventFailure = "error"
)

// events streams what happens as server-sent events. A reader that comes back resumes with the Last-Event-ID header,
// as browsers do, or with ?after=.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	params, err := parseQuery(request{Request: r}, "after")
	if err != nil {
		h.fail(w, r, err, nil)
		return
	}
	after := r.Header.Get("Last-Event-ID")
	if params.Has("after") {
		after = params.Get("after")
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	if out.comment("bcast") != nil {
		return
	}
	h.copyEvents(ctx, out, after)
}

// copyEvents writes until the reader, the participant or the handler ends.
func (h *Handler) copyEvents(ctx context.Context, out *eventWriter, after string) {
	happenings := Watch(ctx, h.api, after)
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		var err error
		select {
		case next, ok := <-happenings:
			if !ok {
				return
			}
			if next.Err != nil {
				out.failure(next.Err)
				return
			}
			err = out.event(next.Event)
		case <-ticker.C:
			err = out.comment("")
		case <-h.ending:
			return
		}
		if err != nil {
			return // the reader is gone
		}
	}
}

// eventWriter writes server-sent events, each flushed and bounded in time.
type eventWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (e *eventWriter) comment(text string) error { return e.write(": %s\n\n", text) }

func (e *eventWriter) event(event Event) error {
	data, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", event.ID, err)
	}
	return e.write("id: %s\nevent: %s\ndata: %s\n\n", event.ID, event.Type, data)
}

func (e *eventWriter) failure(err error) {
	data, _ := json.Marshal(failure{Error: AsError(err)}) // strings only: it cannot fail
	e.write("event: %s\ndata: %s\n\n", eventFailure, data)
}

func (e *eventWriter) write(format string, args ...any) error {
	e.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return err
	}
	return e.control.Flush()
}

// readEvents parses a stream of server-sent events up to its end. Fields and comments that it does not know are
// skipped. The last pair carries an error unless the stream ended between two events.
func readEvents(stream io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := bufio.NewScanner(stream)
		lines.Buffer(make([]byte, 0, 4096), maxEventLine)
		kind, data := "", []byte(nil)
		for lines.Scan() {
			field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch {
			case len(lines.Bytes()) == 0 && data != nil:
				event, err := parseEvent(kind, data)
				if !yield(event, err) || err != nil {
					return
				}
				kind, data = "", nil
			case string(field) == "event":
				kind = string(value)
			case string(field) == "data":
				data = bytes.Clone(value)
			}
		}
		err := lines.Err()
		if err == nil && data != nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			yield(Event{}, err)
		}
	}
}

func parseEvent(kind string, data []byte) (Event, error) {
	if kind == eventFailure {
		return Event{}, parseFailure(strings.NewReader(string(data)))
	}
	var event Event
	if err := json.Unmarshal(data, &event); err != nil {
		return Event{}, fmt.Errorf("parse event: %w", err)
	}
	return event, nil
}

// parseFailure returns the error that body carries, in its own words and code.
func parseFailure(body io.Reader) error {
	var f failure
	if err := json.NewDecoder(body).Decode(&f); err != nil {
		return fmt.Errorf("parse refusal: %w", err)
	}
	if f.Error == nil {
		return errors.New("a refusal without an error")
	}
	return known(f.Error)
}

// known gives an error of a code that is not ours one that is.
func known(e *Error) *Error {
	if _, ours := statuses[e.Code]; !ours {
		e.Code = CodeInternal
	}
	return e
}
