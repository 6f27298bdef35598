package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxBody holds the largest post with every byte written as \u00xx.
	maxBody = 6*MaxText + 4096
	// bodyTimeout bounds how long a client may take over its body.
	bodyTimeout = 5 * time.Second
	// writeTimeout drops a reader that stopped reading.
	writeTimeout = 10 * time.Second
)

// Handler serves the API over HTTP, on any listener. Who may connect is the listener's affair.
type Handler struct {
	api    API
	log    *slog.Logger
	mux    *http.ServeMux
	ending chan struct{}
	end    sync.Once

	patterns []string // of the calls there are
}

// request is an HTTP request whose body has been read, so that a slow client holds up nothing but itself.
type request struct {
	*http.Request
	body []byte
}

func (r request) room() string { return r.PathValue("room") }

// call is one call of the API; a nil value is answered with 204.
type call func(request) (any, error)

// NewHandler returns the handler for api.
func NewHandler(api API, log *slog.Logger) *Handler {
	h := &Handler{api: api, log: log, mux: http.NewServeMux(), ending: make(chan struct{})}
	for pattern, call := range map[string]call{
		"GET /v1/status":                func(r request) (any, error) { return api.Status(r.Context()) },
		"GET /v1/config":                func(r request) (any, error) { return api.Config(r.Context()) },
		"GET /v1/peers":                 func(r request) (any, error) { return api.Peers(r.Context()) },
		"GET /v1/devices":               func(r request) (any, error) { return api.Devices(r.Context()) },
		"GET /v1/rooms":                 func(r request) (any, error) { return api.Rooms(r.Context()) },
		"PUT /v1/rooms/{room}":          h.join,
		"DELETE /v1/rooms/{room}":       h.leave,
		"GET /v1/rooms/{room}/members":  func(r request) (any, error) { return api.Members(r.Context(), r.room()) },
		"GET /v1/rooms/{room}/posts":    h.posts,
		"POST /v1/rooms/{room}/posts":   h.say,
		"POST /v1/rooms/{room}/signals": h.signal,
		"GET /v1/posts/{post}/ledger":   func(r request) (any, error) { return api.Ledger(r.Context(), r.PathValue("post")) },
		"POST /v1/posts/{post}/file":    h.fetch,
		"GET /v1/peers/{peer}/verification": func(r request) (any, error) {
			return api.Verification(r.Context(), r.PathValue("peer"))
		},
		"PUT /v1/peers/{peer}/verification": h.pin,
		"PUT /v1/peers/{peer}/block":        h.block,
		"POST /v1/join":                     h.joinInvite,
		"GET /v1/rooms/{room}/invite":       func(r request) (any, error) { return api.Invite(r.Context(), r.room()) },
		"POST /v1/rooms/{room}/rekey":       h.rekey,
		"PUT /v1/nick":                      h.nick,
		"GET /v1/guests":                    h.guests,
		"POST /v1/rooms/{room}/guests":      h.inviteGuests,
		"DELETE /v1/guests/{link}":          h.revokeGuests,
		"POST /v1/bench":                    h.bench,
		"GET /v1/shares":                    func(r request) (any, error) { return api.Shares(r.Context()) },
		"PUT /v1/shares/{share}":            h.share,
		"GET /v1/inbox":                     func(r request) (any, error) { return api.Inbox(r.Context()) },
		"PUT /v1/inbox":                     h.setInbox,
		"PUT /v1/inbox/{offer}":             h.answerOffer,
		"DELETE /v1/shares/{share}": func(r request) (any, error) {
			return nil, api.Unshare(r.Context(), r.PathValue("share"))
		},
		"POST /v1/rooms/{room}/pushes": h.push,
		"GET /v1/posts/{post}/push": func(r request) (any, error) {
			return api.PushStatus(r.Context(), r.PathValue("post"))
		},
		"DELETE /v1/posts/{post}/push": func(r request) (any, error) {
			return nil, api.StopPush(r.Context(), r.PathValue("post"))
		},
		"POST /v1/probe": func(r request) (any, error) { return api.Probe(r.Context()) },
		"/":              noSuchCall,
	} {
		h.handle(pattern, h.answer(call))
	}
	h.handle("GET /v1/events", h.events)
	h.handle("POST /v1/announce", h.announce)
	h.handle("GET /v1/rooms/{room}/records", h.records)
	h.handle("POST /v1/rooms/{room}/records", h.takeRecords)
	h.handle("GET /v1/peers/{peer}/files/{path...}", h.askFiles)
	h.handle("PUT /v1/peers/{peer}/files/{path...}", h.askFiles)
	h.handle("POST /v1/peers/{peer}/files/{path...}", h.askFiles)
	h.handle("GET /v1/posts/{post}/file", h.readFile)
	h.handle("PUT /v1/rooms/{room}/files/{name}", h.offerFile)
	h.handle("GET /v1/openapi.json", serveDescription)
	h.handle("GET /metrics", h.metrics)
	return h
}

func (h *Handler) handle(pattern string, does http.HandlerFunc) {
	h.patterns = append(h.patterns, pattern)
	h.mux.HandleFunc(pattern, does)
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// EndStreams ends every event stream, those under way and those still to come: the participant is stopping.
func (h *Handler) EndStreams() { h.end.Do(func() { close(h.ending) }) }

// answer makes an HTTP handler of a call: its value as JSON, its error by code.
func (h *Handler) answer(call call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(bodyTimeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			h.fail(w, r, bodyError(err), nil)
			return
		}
		control.SetReadDeadline(time.Time{}) // a call may wait longer than a body may take
		value, err := call(request{r, body})
		control.SetWriteDeadline(time.Now().Add(writeTimeout))
		switch {
		case err != nil:
			h.fail(w, r, err, value)
		case value == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, value)
		}
	}
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return NewError(CodeTooLarge, err, fmt.Sprintf("the request is longer than %d bytes", tooLarge.Limit), "")
	}
	return NewError(CodeInvalid, err, fmt.Sprintf("read request: %v", err), "")
}

// failure is the body of every refusal. Said comes with it when a Say was posted but not all have it in time.
type failure struct {
	Error *Error `json:"error"`
	Said  *Said  `json:"said,omitempty"`
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error, value any) {
	body := failure{Error: AsError(err)}
	if said, ok := value.(Said); ok && said.ID != "" {
		body.Said = &said
	}
	writeJSON(w, h.judge(r, err), body)
}

// Refuse answers with an error as the API does, for what is in front of it.
func Refuse(w http.ResponseWriter, e *Error) { writeJSON(w, statuses[e.Code], failure{Error: e}) }

// judge is the HTTP status of an error. A defect is logged.
func (h *Handler) judge(r *http.Request, err error) int {
	code := AsError(err).Code
	status, known := statuses[code]
	if !known || code == CodeInternal {
		h.log.Error("control call failed", "method", r.Method, "path", r.URL.Path, "error", err)
		return http.StatusInternalServerError
	}
	return status
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value) // fails only when the reader is gone
}

func noSuchCall(r request) (any, error) {
	return nil, NewError(CodeNotFound, nil, fmt.Sprintf("no such call: %s %s", r.Method, r.URL.Path),
		"GET /v1/status is one")
}

// join takes JoinOptions as its body, or none.
func (h *Handler) join(r request) (any, error) {
	var options JoinOptions
	if len(r.body) > 0 {
		if err := parseJSON(r.body, &options); err != nil {
			return nil, err
		}
	}
	return h.api.Join(r.Context(), r.room(), options)
}

// inviteBody is the body of POST /v1/join: an invite is a secret, and a path is not a place for one.
type inviteBody struct {
	Invite string `json:"invite"`
	JoinOptions
}

func (h *Handler) joinInvite(r request) (any, error) {
	var body inviteBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return h.api.Join(r.Context(), body.Invite, body.JoinOptions)
}

// pinBody is the body of PUT /v1/peers/{peer}/verification, blockBody of PUT /v1/peers/{peer}/block.
type (
	pinBody struct {
		Proof string `json:"proof"`
	}
	blockBody struct {
		Blocked bool `json:"blocked"`
	}
)

func (h *Handler) pin(r request) (any, error) {
	var body pinBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return h.api.Pin(r.Context(), r.PathValue("peer"), body.Proof)
}

func (h *Handler) block(r request) (any, error) {
	var body blockBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return nil, h.api.Block(r.Context(), r.PathValue("peer"), body.Blocked)
}

// rekeyBody is the body of POST /v1/rooms/{room}/rekey.
type rekeyBody struct {
	Without []string `json:"without"`
}

func (h *Handler) rekey(r request) (any, error) {
	var body rekeyBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return h.api.Rekey(r.Context(), r.room(), body.Without)
}

func (h *Handler) leave(r request) (any, error) {
	params, err := parseQuery(r, "forget")
	if err != nil {
		return nil, err
	}
	forget := params.Get("forget")
	if forget != "" && forget != "true" && forget != "false" {
		return nil, NewError(CodeInvalid, nil, fmt.Sprintf("forget %q is neither true nor false", forget), "")
	}
	return nil, h.api.Leave(r.Context(), r.room(), forget == "true")
}

func (h *Handler) signal(r request) (any, error) {
	var signal Signal
	if err := parseJSON(r.body, &signal); err != nil {
		return nil, err
	}
	if signal.Room != "" && signal.Room != r.room() {
		return nil, otherRoom(signal.Room, r.room())
	}
	signal.Room = r.room()
	return nil, h.api.Signal(r.Context(), signal)
}

func otherRoom(body, path string) error {
	return NewError(CodeInvalid, nil, fmt.Sprintf("the body says room %q, the path %q", body, path),
		"leave room out of the body")
}

func (h *Handler) posts(r request) (any, error) {
	params, err := parseQuery(r, "since", "before", "limit", "search")
	if err != nil {
		return nil, err
	}
	query := PostQuery{Since: params.Get("since"), Before: params.Get("before"), Search: params.Get("search")}
	if text := params.Get("limit"); text != "" {
		query.Limit, err = strconv.Atoi(text)
		if err != nil || query.Limit < 0 {
			return nil, NewError(CodeInvalid, err, fmt.Sprintf("limit %q is not a number of posts", text), "")
		}
	}
	return h.api.Posts(r.Context(), r.room(), query)
}

// say takes ?timeout= beside the body: the deadline has to be the participant's, else who has it so far could not be
// told.
func (h *Handler) say(r request) (any, error) {
	params, err := parseQuery(r, "timeout")
	if err != nil {
		return nil, err
	}
	var say Say
	if err := parseJSON(r.body, &say); err != nil {
		return nil, err
	}
	room := r.room()
	if say.Room != "" && say.Room != room {
		return nil, otherRoom(say.Room, room)
	}
	say.Room = room
	if err := CheckSay(say); err != nil {
		return nil, err
	}
	ctx := r.Context()
	if text := params.Get("timeout"); text != "" {
		timeout, err := time.ParseDuration(text)
		if err != nil || timeout <= 0 {
			return nil, NewError(CodeInvalid, err, fmt.Sprintf("timeout %q is not a duration such as 10s", text), "")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return h.api.Say(ctx, say)
}

// nickBody is the body of PUT /v1/nick.
type nickBody struct {
	Nick string `json:"nick"`
}

func (h *Handler) nick(r request) (any, error) {
	var body nickBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return nil, h.api.Nick(r.Context(), body.Nick)
}

func (h *Handler) bench(r request) (any, error) {
	var bench Bench
	if err := parseJSON(r.body, &bench); err != nil {
		return nil, err
	}
	return h.api.Bench(r.Context(), bench)
}

// parseQuery returns the query, refusing names that the call does not know: a misspelt limit must not mean no limit.
func parseQuery(r request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, NewError(CodeInvalid, err, fmt.Sprintf("query: %v", err), "")
	}
	for name := range values {
		if !slices.Contains(known, name) {
			return nil, NewError(CodeInvalid, nil, fmt.Sprintf("unknown parameter %q", name), "")
		}
	}
	return values, nil
}

// parseJSON reads one JSON object and nothing after it. Unknown fields are refused: a misspelt one would silently do
// something else than was asked. So is invalid UTF-8, which encoding/json would replace.
func parseJSON(body []byte, into any) error {
	if !utf8.Valid(body) {
		return NewError(CodeInvalid, nil, "the body is not valid UTF-8", "")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return NewError(CodeInvalid, err, fmt.Sprintf("body: %v", err), "")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return NewError(CodeInvalid, nil, "body: more follows the object", "")
	}
	return nil
}
