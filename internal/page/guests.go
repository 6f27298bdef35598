package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/fair"
	"bcast/internal/guest"
)

const (
	// maxGuestConnections bounds what the whole LAN can have open at the page for guests, maxOfOne what one address can:
	// two browsers, which have at most six each.
	maxGuestConnections = 96
	maxOfOne            = 12
	// maxGuestBody is more than the longest post of a guest with every byte written as \u00xx.
	maxGuestBody = 32 << 10
	// maxForm is more than a nick.
	maxForm = 1024
)

// guestCalls are the calls of the API that are open to guests, whatever else there is or comes. What of them a guest is
// answered is package guest's affair.
var guestCalls = []string{
	"GET /v1/status", "GET /v1/rooms", "GET /v1/rooms/{room}/members", "GET /v1/rooms/{room}/posts",
	"POST /v1/rooms/{room}/posts", "POST /v1/rooms/{room}/signals", "GET /v1/posts/{post}/ledger", "PUT /v1/nick",
	"GET /v1/events", "GET /v1/posts/{post}/file",
}

// ListenGuests opens addr for guests: of this machine, or of the whole LAN. TLS is spoken there by ServeGuests.
func ListenGuests(addr string) (net.Listener, error) {
	if err := CheckForm(addr); err != nil {
		return nil, err
	}
	ln, err := control.ListenTCP(addr, "take in guests on", "choose another address and port: --http ADDR:PORT")
	if err != nil {
		return nil, err
	}
	return fair.Limit(ln, maxOfOne, maxGuestConnections), nil
}

// ServeGuests answers on ln until ctx ends, over TLS with that certificate: who has a link of door's may come in, and
// who has come in reaches guestCalls. It closes ln. The token of this device counts for nothing there.
func ServeGuests(ctx context.Context, ln net.Listener, door *guest.Door, certified []byte, log *slog.Logger) error {
	secured, err := certificate.Listen(ln, certified)
	if err != nil {
		ln.Close()
		return err
	}
	return control.ServeBehind(ctx, secured, guest.API{}, log, func(open http.Handler) http.Handler {
		return newGuestGuard(door, open)
	})
}

// guestGuard stands in front of the API as guests have it.
type guestGuard struct {
	door  *guest.Door
	cross *http.CrossOriginProtection
	mux   *http.ServeMux
}

func newGuestGuard(door *guest.Door, api http.Handler) *guestGuard {
	g := &guestGuard{door: door, cross: http.NewCrossOriginProtection(), mux: http.NewServeMux()}
	for _, call := range guestCalls {
		g.mux.Handle(call, g.guest(api))
	}
	g.mux.Handle("GET /guest/link", g.own(g.look))
	g.mux.Handle("POST /guest/enter", g.own(g.enter))
	g.mux.Handle("POST /guest/leave", g.own(g.leave))
	g.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("name", guestDocument)
		serveAsset(w, r)
	})
	g.mux.HandleFunc("GET /assets/{name}", serveAsset)
	g.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, control.NewError(control.CodeForbidden, nil,
			fmt.Sprintf("not for guests: %s %s", r.Method, r.URL.Path), ""))
	})
	return g
}

func (g *guestGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w)
	if !reached(r) {
		refuse(w, control.NewError(control.CodeForbidden, nil, fmt.Sprintf("%q is not the address that this came to", r.Host),
			"open the link as it was given"))
		return
	}
	if err := g.cross.Check(r); err != nil {
		refuse(w, foreign(err))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxGuestBody)
	g.mux.ServeHTTP(w, r)
}

// reached tells whether a request names the address at which it came: no name does, so that none that another site has
// resolved to this machine can.
func reached(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	came, err := netip.ParseAddrPort(local.String())
	named, err2 := netip.ParseAddrPort(r.Host)
	if err2 != nil { // the port of https is left out
		ip, err3 := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]"))
		named, err2 = netip.AddrPortFrom(ip, httpsPort), err3
	}
	return err == nil && err2 == nil && named.Port() == came.Port() &&
		named.Addr().Unmap() == came.Addr().Unmap().WithZone("")
}

const httpsPort = 443

// own lets through what the page itself asks. The page may be opened from anywhere: links come by mail.
func (g *guestGuard) own(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := ownPage(r, "https://"); err != nil {
			refuse(w, foreign(err))
			return
		}
		next(w, r)
	})
}

// guest lets through who has come in, as whom that is.
func (g *guestGuard) guest(api http.Handler) http.Handler {
	return g.own(func(w http.ResponseWriter, r *http.Request) {
		who, err := g.door.Guest(bearer(r))
		if err != nil {
			unknown(w, err)
			return
		}
		if !who.Ask() {
			refuse(w, control.NewError(control.CodeBusy, nil, "too many requests of a guest", "wait a little"))
			return
		}
		if r.URL.Path == "/v1/events" {
			closed := who.Open()
			if closed == nil {
				refuse(w, control.NewError(control.CodeBusy, nil, "this guest has too many pages open", "close one"))
				return
			}
			defer closed()
		}
		api.ServeHTTP(w, r.WithContext(guest.As(r.Context(), who)))
	})
}

// unknown refuses who has neither a link nor a place.
func unknown(w http.ResponseWriter, err error) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="bcast guests"`)
	refuse(w, control.AsError(err))
}

// look tells who has a link what it is for.
func (g *guestGuard) look(w http.ResponseWriter, r *http.Request) {
	welcome, err := g.door.Look(r.Context(), bearer(r))
	g.answer(w, welcome, err)
}

// enter takes a nick from who has a link, and answers with the secret of the session.
func (g *guestGuard) enter(w http.ResponseWriter, r *http.Request) {
	if _, err := g.door.Look(r.Context(), bearer(r)); err != nil { // a body is read of those alone who may send one
		unknown(w, err)
		return
	}
	connection := http.NewResponseController(w)
	connection.SetReadDeadline(time.Now().Add(refusedTimeout))
	var form struct {
		Nick string `json:"nick"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	connection.SetReadDeadline(time.Time{})
	if err == nil {
		err = json.Unmarshal(body, &form)
	}
	if err != nil {
		refuse(w, control.NewError(control.CodeInvalid, err, fmt.Sprintf("read nick: %v", err), ""))
		return
	}
	session, err := g.door.Enter(r.Context(), bearer(r), form.Nick)
	g.answer(w, map[string]string{"session": session}, err)
}

func (g *guestGuard) leave(w http.ResponseWriter, r *http.Request) {
	g.door.Leave(bearer(r))
	w.WriteHeader(http.StatusNoContent)
}

func (g *guestGuard) answer(w http.ResponseWriter, value any, err error) {
	connection := http.NewResponseController(w)
	connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	switch e := control.AsError(err); {
	case e == nil:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(value) // fails only when the reader is gone
	case e.Code == control.CodeNoToken:
		unknown(w, err)
	default:
		refuse(w, e)
	}
}
