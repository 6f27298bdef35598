package files

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/identity"
)

// impatient gives up when it hears nothing for long, as a dialler does.
type impatient struct {
	net.Conn
	patience time.Duration
}

func (c impatient) Read(p []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(c.patience))
	return c.Conn.Read(p)
}

// A device that looks for minutes at what it has of a large file says so meanwhile, and who waits does not give up.
func TestLongLooksAreNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(&Library{}, &Inbox{}, &Holdings{}, func(context.Context, identity.PublicKey) (Visitor, error) {
			return Visitor{}, nil
		}, nil)
		w := newWire()
		server := &http.Server{Handler: s.answer(func(a *answer) error {
			io.Copy(io.Discard, a)
			err := a.meanwhile(func() error {
				time.Sleep(5 * time.Minute)
				return nil
			})
			if err != nil {
				return err
			}
			return a.json(admitted{Have: 1})
		})}
		go server.Serve(w)
		carrier := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			w.conns <- wireEnd{Conn: far}
			return impatient{near, 3 * stillEach}, nil
		}}
		r := &Remote{Do: carrier.RoundTrip}
		begun := time.Now()
		told, err := askFor[admitted](t.Context(), r, http.MethodPut, target("data", "docs", "big", ""), nil, nil)
		if err != nil || told.Have != 1 || time.Since(begun) < 5*time.Minute {
			t.Errorf("%+v, %v after %s", told, err, time.Since(begun))
		}
		carrier.CloseIdleConnections()
		server.Close()
	})
}

// What is here from before is checked while the rest comes, and the file has its name only if all of it is right.
func TestPutChecksWhatWasThere(t *testing.T) {
	d := newDesk(t)
	content := dice(8 * unit)
	writeAt(t, filepath.Join(d.at, "f"), content)
	h := hashOfAll(t, content)
	left := append([]byte(nil), content[:6*unit]...)
	left[3*unit+9] ^= 1
	d.write(partOf("sent", h.String()), left)
	wantCode(t, "a put on what is wrong", d.put(t.Context(), d.out, "f", "docs", "sent", statOf(t, d.out, "f"), Options{}), CodeBusy)
	if info, err := os.Stat(filepath.Join(d.docs, partOf("sent", h.String()))); err != nil || info.Size() != 3*unit {
		t.Errorf("of what was there stays %v, %v", info, err)
	}
	came := d.server.Counts().ReceivedBytes
	if err := d.Send(t.Context(), d.out, "f", "docs", "sent", Options{}); err != nil {
		t.Error(err)
	}
	has(t, d.docs, "sent", content)
	if came = d.server.Counts().ReceivedBytes - came; came != 5*unit {
		t.Errorf("%d bytes came again", came)
	}
}

func hashOfAll(t *testing.T, content []byte) Hash {
	t.Helper()
	hashes, err := hashBlocks(bytes.NewReader(content), int64(len(content)), func(Hash) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return hashRoot(hashes)
}

func statOf(t *testing.T, dir *os.Root, name string) Entry {
	t.Helper()
	w := walker{ctx: t.Context(), root: dir}
	e, _ := w.entry(name, "", name)
	return e
}

// A file that changes while it is put does not get its name there.
func TestFileChangesWhilePut(t *testing.T) {
	d := newDesk(t)
	at := filepath.Join(d.at, "f")
	writeAt(t, at, dice(4*unit))
	inner := d.server.Handler()
	d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/partial/") { // it was hashed, and is not sent yet
			writeAt(t, at, dice(4*unit + 1)[1:])
		}
		inner.ServeHTTP(w, r)
	}))
	wantCode(t, "put", d.Send(t.Context(), d.out, "f", "docs", "sent", Options{}), CodeDamaged)
	if got := names(t, d.docs); len(got) > 1 || len(got) == 1 && !isPart(got[0]) {
		t.Errorf("there is %q", got)
	}
}

// raw sends what it is told to the server, and tells what comes back and when.
func raw(t *testing.T, d *desk, text string) (answer string, after time.Duration) {
	t.Helper()
	w := newWire()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.server.Serve(ctx, w) }()
	near, far := net.Pipe()
	w.conns <- wireEnd{Conn: far}
	begun := time.Now()
	go io.WriteString(near, text)
	p := make([]byte, 4096)
	n, _ := near.Read(p)
	after = time.Since(begun)
	near.Close()
	stop()
	<-done
	return string(p[:n]), after
}

// A body that stalls ends after the time of one piece, and a head that is too long is not taken.
func TestADV_files_Requests_have_limits(t *testing.T) {
	d := newDesk(t)
	synctest.Test(t, func(t *testing.T) {
		head := "PUT /v1/data/docs/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\nBcast-Size: 3\r\nBcast-Hash: " +
			Hash{}.String() + "\r\n\r\n"
		if got, after := raw(t, d, head+"short"); !strings.HasPrefix(got, "HTTP/1.1 400") || after != stallTime {
			t.Errorf("a stalled body: %.20q after %v", got, after)
		}
		for size, want := range map[int]string{15 << 10: "HTTP/1.1 200", 17 << 10: "HTTP/1.1 431"} {
			head := "GET /v1/shares HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", size) + "\r\n\r\n"
			if got, _ := raw(t, d, head); !strings.HasPrefix(got, want) {
				t.Errorf("a head of %d bytes: %.20q, want %s", size, got, want)
			}
		}
	})
}

// A path that is not what its elements say is refused, and no redirect tells of another.
func TestADV_files_Odd_paths_are_refused(t *testing.T) {
	d := newDesk(t)
	d.write("sub/x", []byte("x"))
	synctest.Test(t, func(t *testing.T) {
		for request, want := range map[string]string{
			"GET /v1/data/docs/sub%2Fx": "404", "GET /v1/data/docs/sub%2fx": "404", "GET /v1/list/..": "404",
			"GET /v1/data/docs//sub/x": "404", "GET //v1/shares": "404", "GET /v1/data/docs/./sub/x": "404",
			"GET /v1/data/docs": "404", "GET /v1/list/docs": "200", "GET /v1/list/docs/": "200", "PUT /v1/bundle/docs": "400",
			"PUT /v1/dir/docs/a%2Fb": "400", "PUT /v1/dir/docs/../b": "400", "PUT /v1/dir/docs": "400",
		} {
			got, _ := raw(t, d, request+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+want) || want != "200" && !strings.Contains(got, `{"error":`) {
				t.Errorf("%s: %.200q, want %s", request, got, want)
			}
		}
	})
}
