package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	// refusedTimeout bounds how long who is refused may go on sending what nobody reads.
	refusedTimeout = time.Second
	// writeTimeout drops who does not take a file of the page.
	writeTimeout = 10 * time.Second
	// maxQR is more than a QR code of this program holds, in bytes.
	maxQR = 1024
)

// policy lets the page do what it does and nothing else: its own files, no text turned into markup by any way there is,
// no form or frame, nothing from or to elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard stands in front of the API.
type guard struct {
	token [sha256.Size]byte // its hash: comparing hashes tells nothing of how much was right
	cross *http.CrossOriginProtection
	mux   *http.ServeMux
}

func newGuard(token string, api http.Handler) *guard {
	g := &guard{token: sha256.Sum256([]byte(token)), cross: http.NewCrossOriginProtection(), mux: http.NewServeMux()}
	g.mux.Handle("/v1/", g.known(api))
	g.mux.Handle("/metrics", g.known(api))
	g.mux.Handle("POST /page/qr", g.known(http.HandlerFunc(drawQR)))
	g.mux.HandleFunc("GET /{$}", serveAsset)
	g.mux.HandleFunc("GET /assets/{name}", serveAsset)
	g.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no such page: %s", r.URL.Path), "/ is one"))
	})
	return g
}

// protect says in every answer what a browser is to do with none of them.
func protect(w http.ResponseWriter) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      policy,
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cache-Control":                "no-store",
	} {
		w.Header().Set(name, value)
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w)
	if !local(hostOf(r)) {
		refuse(w, control.NewError(control.CodeForbidden, nil, fmt.Sprintf("%q is not a name of this machine", r.Host),
			"use 127.0.0.1 or localhost, from elsewhere by ssh -L"))
		return
	}
	if err := g.cross.Check(r); err != nil {
		refuse(w, foreign(err))
		return
	}
	g.mux.ServeHTTP(w, r)
}

// hostOf is the name under which a request was sent here. A page of another site can have its own name resolved to this
// machine and then reads what we answer, unless we look at that name.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
	}
	return host
}

// known lets through who has the token. It comes in a header that no other site can have a browser send, never in an
// address, which ends in logs and histories, and never in a cookie, which a browser sends to every port of a machine.
func (g *guard) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := ownPage(r, "http://"); err != nil {
			refuse(w, foreign(err))
			return
		}
		sum := sha256.Sum256([]byte(bearer(r)))
		if subtle.ConstantTimeCompare(sum[:], g.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="bcast"`)
			refuse(w, control.NewError(control.CodeNoToken, nil, "the token is missing or wrong",
				"`bcast page` prints the address to open; programs send Authorization: Bearer and the text of http.token"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownPage refuses what a page of another site has a browser ask.
func ownPage(r *http.Request, scheme string) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return fmt.Errorf("the request is %s", site)
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != scheme+r.Host {
		return fmt.Errorf("the request is of a page of %q", origin)
	}
	return nil
}

// bearer is the secret that a request shows; none is the empty one.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

func foreign(err error) *control.Error {
	return control.NewError(control.CodeForbidden, err, fmt.Sprintf("another site may not ask here: %v", err), "")
}

// refuse answers and hangs up: who sends a body that nobody reads is not waited for.
func refuse(w http.ResponseWriter, e *control.Error) {
	w.Header().Set("Connection", "close")
	connection := http.NewResponseController(w)
	connection.SetReadDeadline(time.Now().Add(refusedTimeout))
	connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	control.Refuse(w, e)
}

// drawQR answers with the code of the body, as text: an invite is a secret and leaves the machine for no drawing.
func drawQR(w http.ResponseWriter, r *http.Request) {
	connection := http.NewResponseController(w)
	connection.SetReadDeadline(time.Now().Add(refusedTimeout))
	connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQR))
	var code string
	if err == nil {
		code, err = show.QR(string(body))
	}
	if err != nil {
		refuse(w, control.NewError(control.CodeInvalid, err, err.Error(), ""))
		return
	}
	connection.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, code) // fails only when the reader is gone
}
