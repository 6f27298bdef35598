package irc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

func TestCheckAddr(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:6667": "local", "localhost:6667": "local", "[::1]:6667": "local", "127.0.0.1:0": "local",
		"0.0.0.0:6667": "open", ":6667": "open", "10.77.0.1:6697": "open", "[::]:6667": "open",
		"6667": "wrong", "127.0.0.1": "wrong", "example.org:6667": "wrong", "127.0.0.1:x": "wrong", "": "wrong",
	} {
		local, err := CheckAddr(addr)
		got := map[bool]string{true: "local", false: "open"}[local]
		if err != nil {
			got = "wrong"
		}
		if got != want {
			t.Errorf("%q is %s, want %s (%v)", addr, got, want, err)
		}
	}
}

// Whoever connects speaks as this device: what others can reach takes a password and TLS, or is not opened.
func TestADV_irc_Others_need_a_password_and_TLS(t *testing.T) {
	for _, test := range []struct {
		addr, password string
		code           control.Code
	}{
		{"0.0.0.0:0", "", control.CodeUsage}, {":0", "", control.CodeUsage}, {"0.0.0.0:0", "short", control.CodeUsage},
		{"127.0.0.1:0", "short", control.CodeUsage}, {"127.0.0.1:0", "two\nlines here", control.CodeUsage},
		{"nonsense", "", control.CodeUsage},
	} {
		ln, err := Listen(test.addr, test.password)
		if err == nil {
			ln.Close()
		}
		if control.AsError(err) == nil || control.AsError(err).Code != test.code {
			t.Errorf("%s with %q: %v", test.addr, test.password, err)
		}
	}
	ln, err := Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := Listen(ln.Addr().String(), ""); control.AsError(err) == nil || control.AsError(err).Code != control.CodePortTaken {
		t.Errorf("a port that is taken: %v", err)
	}
	for _, cfg := range []Config{{Password: "open sesame"}, {Certificate: []byte("x")}, {}} {
		if err := Serve(t.Context(), reachable{controltest.NewListener()}, controltest.New("alice"), cfg); err == nil ||
			!strings.Contains(err.Error(), "it takes a password and TLS") {
			t.Errorf("%+v is served to others: %v", cfg, err)
		}
	}
	if err := Serve(t.Context(), controltest.NewListener(), controltest.New("alice"), Config{Certificate: []byte("x")}); err == nil {
		t.Error("what is no certificate is served with")
	}
}

// reachable is a listener that others can reach.
type reachable struct{ *controltest.Listener }

func (reachable) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 6697} }

func TestTLSWithACertificateOfItsOwn(t *testing.T) {
	made, err := MakeCertificate(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	serving(t, Config{Certificate: made, Password: "open sesame"}, func(g *gateway) {
		near := g.pipe()
		pinned := ""
		conn := tls.Client(near, &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			pinned = hex.EncodeToString(sum[:])
			return nil
		}})
		if _, err := conn.Write([]byte("PASS :open sesame\r\nNICK alice\r\nUSER a 0 * :A\r\n")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		if err != nil || !strings.Contains(string(answer[:n]), " 001 alice ") || pinned != certificate.Fingerprint(made) {
			t.Errorf("got %q, %v, pinned %s", answer[:n], err, pinned)
		}
		plain := g.dial()
		plain.conn.Write([]byte("NICK alice\r\nUSER a 0 * :A\r\n"))
		time.Sleep(registerLimit)
		synctest.Wait()
		if got := strings.Join(plain.raw(), ""); strings.Contains(got, "001") {
			t.Errorf("a client without TLS got %q", got)
		}
	})
}
