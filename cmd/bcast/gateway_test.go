package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var gateAddr = regexp.MustCompile(`irc=(\S+)`)

// registers fails unless an IRC client is welcomed on conn as alice, and closes it.
func registers(t *testing.T, conn net.Conn, password string) {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "PASS :%s\r\nNICK alice\r\nUSER a 0 * :A\r\n", password)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, ":irc.bcast 001 alice ") {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestDaemonServesIRC(t *testing.T) {
	d := newBench(t, alice(t))
	stop := daemonOf(d, "--irc 127.0.0.1:0")
	found := gateAddr.FindStringSubmatch(d.out.String())
	if found == nil {
		t.Fatalf("ready does not say where: %q", d.out)
	}
	conn, err := net.Dial("tcp", found[1])
	if err != nil {
		t.Fatal(err)
	}
	registers(t, conn, "")
	b := d.beside()
	b.want(b.shell("status"), 0, "irc         "+found[1]+"\n", "")
	b = d.beside()
	b.want(b.shell("status --json"), 0, `"irc":"`+found[1]+`"`, "")
	b = d.beside()
	b.want(b.shell("daemon --irc "+found[1]), exitFailed, "", "address already in use")
	if code := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, d.err)
	}
}

// Others are served with a certificate that the home keeps, or with another one that is named.
func TestDaemonServesIRCToOthers(t *testing.T) {
	d := newBench(t, alice(t), alice(t))
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env["BCAST_IRC"], d.env["BCAST_IRC_PASSWORD_FILE"] = "0.0.0.0:0", password
	made := d.home + "/" + certificateFile
	for _, flags := range []string{"", "--irc-cert " + made + " --irc 127.0.0.1:0"} {
		stop := daemonOf(d, flags)
		if !strings.Contains(d.err.String(), "irc speaks TLS") || strings.Contains(d.out.String(), "[::]") {
			t.Errorf("told %q, logged %q", d.out, d.err)
		}
		_, port, _ := net.SplitHostPort(gateAddr.FindStringSubmatch(d.out.String())[1])
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		registers(t, conn, "open sesame")
		if code := stop(); code != 0 {
			t.Errorf("exit %d: %s", code, d.err)
		}
		if info, err := os.Stat(made); err != nil || info.Mode() != 0o600 {
			t.Errorf("the certificate: %v, %v", info, err)
		}
		d.out, d.err = newBuffer(), newBuffer()
		d.stdio.out, d.stdio.err = d.out, d.err
	}
}

func TestDaemonRefusesAnIRCAddress(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("pw"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"--irc 6667":                                   "--irc \"6667\" is not an address with a port",
		"--irc example.org:6667":                       "neither an IP address nor localhost",
		"--irc 0.0.0.0:0":                              "hint: --irc-password-file FILE; or --irc 127.0.0.1:6667",
		"--irc :0 --irc-password-file /none":           "--irc-password-file: open /none",
		"--irc 0.0.0.0:0 --irc-password-file " + short: "one line of at least 8 bytes",
		"--irc 127.0.0.1:0 --irc-cert /none":           "--irc-cert, --irc-key: open /none",
		"--irc 127.0.0.1:0 --irc-cert " + short:        "irc: certificate: ",
	} {
		b := newBench(t, alice(t))
		b.want(b.shell("daemon "+line), exitUsage, "", want)
	}
}
