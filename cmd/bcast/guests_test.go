package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"bcast/internal/control"
)

var (
	guestsAddr = regexp.MustCompile(`guests=(\S+)`)
	guestURL   = regexp.MustCompile(`(https://\S+)/#guest=(\S+)`)
)

// Guests come to the address of --http, over TLS; the page itself goes to the next port of this machine.
func TestDaemonTakesInGuests(t *testing.T) {
	d := newBench(t, alice(t), alice(t))
	d.env["BCAST_GUESTS"] = "true"
	stop := daemonOf(d, "--http 127.0.0.1:0")
	found := guestsAddr.FindStringSubmatch(d.out.String())
	if found == nil || !strings.Contains(d.out.String(), " http=127.0.0.1:") || strings.Contains(d.out.String(), "http="+found[1]) {
		t.Fatalf("ready does not say where: %q", d.out)
	}
	if info, err := os.Stat(d.home + "/" + guestCertificate); err != nil || info.Mode() != 0o600 {
		t.Errorf("the certificate: %v, %v", info, err)
	}
	b := d.beside()
	b.want(b.shell("invite lobby --guest --qr --for 90m"), 0, "▀", "it is the right one if its SHA-256 is ")
	link := guestURL.FindStringSubmatch(b.out.String())
	if link == nil || link[1] != "https://"+found[1] {
		t.Fatalf("no link in %q", b.out)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	ask := func(method, path, secret, body string, into any) int {
		r, err := http.NewRequest(method, link[1]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		json.NewDecoder(response.Body).Decode(into)
		return response.StatusCode
	}
	var in struct{ Session string }
	if code := ask("POST", "/guest/enter", link[2], `{"nick":"anna"}`, &in); code != 200 || in.Session == "" {
		t.Fatalf("coming in: %d", code)
	}
	var status control.Status
	if code := ask("GET", "/v1/status", in.Session, "", &status); code != 200 || status.Home != "" {
		t.Errorf("the guest's status: %d %+v", code, status)
	}
	for _, test := range []struct {
		line, out, err string
		code           int
	}{
		{line: "guests", out: "lobby", code: 0}, {line: "guests --json", out: `"guests":[{"id":"`, code: 0},
		{line: "status", out: "guests      " + found[1] + ", certificate SHA-256 ", code: 0},
		{line: "page", out: "http://127.0.0.1:", err: "guests come to https://" + found[1], code: 0},
		{line: "page --json", out: `"guests":{"addr":"` + found[1] + `","fingerprint":"`, code: 0},
		{line: "config", out: "guests             " + found[1], code: 0},
		{line: "invite nowhere --guest", err: `room "nowhere" is not joined`, code: exitFailed},
		{line: "invite lobby --guest --for soon", err: `"soon" is not a time from 1m to 720h`, code: exitUsage},
		{line: "guests --revoke nosuch", err: `no guest link "nosuch"`, code: exitFailed},
	} {
		b := d.beside()
		b.want(b.shell(test.line), test.code, test.out, test.err)
		if strings.Contains(b.out.String()+b.err.String(), link[2]) || strings.Contains(d.err.String(), link[2]) {
			t.Errorf("%s tells the secret", test.line)
		}
	}
	b = d.beside()
	b.shell("guests --json")
	var told control.GuestLink
	if err := json.Unmarshal([]byte(b.out.String()), &told); err != nil || len(told.Guests) != 1 {
		t.Fatalf("%s: %v", b.out, err)
	}
	b = d.beside()
	b.want(b.shell("guests --revoke "+told.ID), 0, "", "")
	if code := ask("GET", "/v1/status", in.Session, "", &status); code != http.StatusUnauthorized {
		t.Errorf("a guest of a link that ended: %d", code)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, d.err)
	}
}

func TestDaemonRefusesGuestsNowhere(t *testing.T) {
	for line, want := range map[string]string{
		"--guests":                         "hint: bcast daemon --http 0.0.0.0:8080 --guests",
		"--http 0.0.0.0:0":                 "or --guests for people with a link",
		"--http 8080 --guests":             "is not an address and a port",
		"--guests --http 203.0.113.1:8080": "take in guests on 203.0.113.1:8080",
	} {
		b := newBench(t, alice(t))
		if code := b.shell("daemon " + line); code == 0 || !strings.Contains(b.err.String(), want) {
			t.Errorf("%s: exit %d, %s; want %s", line, code, b.err, want)
		}
	}
}
