package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// maxAnnouncedLine holds all that is told of one service.
const maxAnnouncedLine = 64 << 10

// Service is something that a device offers.
type Service struct {
	Name string   `json:"name"` // as people read it, at most 63 bytes
	Type string   `json:"type"` // such as _http._tcp
	Port int      `json:"port"`
	Text []string `json:"txt,omitempty"` // key=value
}

// Announced tells what has become of a service: it is announced, by presence once and by mDNS and SSDP on each
// interface, or it is not, with the Problem.
type Announced struct {
	By       string `json:"by"`              // bcast | mdns | ssdp
	Iface    string `json:"iface,omitempty"` // by mDNS and SSDP: where
	Name     string `json:"name"`            // in force there: another than asked for if somebody had that
	Type     string `json:"type"`
	Port     int    `json:"port"`
	Host     string `json:"host,omitempty"`     // by mDNS: the name of this host there, such as shelf.local
	Location string `json:"location,omitempty"` // by SSDP: of its description
	Problem  string `json:"problem,omitempty"`
}

// announce makes a service known for as long as the reader stays, and tells what becomes of it in lines of JSON.
func (h *Handler) announce(w http.ResponseWriter, r *http.Request) {
	out := &lineWriter{w: bufio.NewWriter(w), control: http.NewResponseController(w)}
	out.control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		h.fail(w, r, bodyError(err), nil)
		return
	}
	out.control.SetReadDeadline(time.Time{})
	var service Service
	if err := parseJSON(body, &service); err != nil {
		h.fail(w, r, err, nil)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-h.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	for announced, err := range h.api.Announce(ctx, service) {
		switch {
		case err != nil && !out.begun:
			h.fail(w, r, err, nil)
			return
		case err != nil:
			h.judge(r, err)
			out.line(failure{Error: AsError(err)})
			return
		case out.line(announced) != nil:
			return // the reader is gone
		}
	}
}

// lineWriter writes lines of JSON, each flushed and bounded in time.
type lineWriter struct {
	w       *bufio.Writer
	control *http.ResponseController
	begun   bool
}

func (l *lineWriter) line(value any) error {
	l.begun = true
	l.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return errors.Join(json.NewEncoder(l.w).Encode(value), l.w.Flush(), l.control.Flush())
}

// Announce implements API. It does not connect again: when the participant ends the last error has CodeNoDaemon.
func (c *Client) Announce(ctx context.Context, s Service) iter.Seq2[Announced, error] {
	return func(yield func(Announced, error) bool) {
		response, err := c.send(ctx, http.MethodPost, "/v1/announce", s)
		if err == nil && response.StatusCode >= http.StatusMultipleChoices {
			err = parseFailure(response.Body)
			response.Body.Close()
		}
		if err != nil {
			if ctx.Err() == nil {
				yield(Announced{}, err)
			}
			return
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(make([]byte, 0, 4096), maxAnnouncedLine)
		for lines.Scan() && ctx.Err() == nil {
			var line struct {
				Announced
				Error *Error `json:"error"`
			}
			err := json.Unmarshal(lines.Bytes(), &line)
			switch {
			case err != nil:
				yield(Announced{}, NewError(CodeInternal, err, fmt.Sprintf("announce: parse answer: %v", err), ""))
				return
			case line.Error != nil:
				yield(Announced{}, line.Error)
				return
			case !yield(line.Announced, nil):
				return
			}
		}
		if ctx.Err() == nil {
			yield(Announced{}, callError(io.ErrUnexpectedEOF))
		}
	}
}
