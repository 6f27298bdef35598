package irc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
)

func TestRegistration(t *testing.T) {
	for name, test := range map[string]struct {
		password string
		send     []string
		want     []string // the first lines
		closed   bool
	}{
		"plain": {
			send: []string{"NICK alice", "USER a 0 * :A"},
			want: []string{":irc.bcast 001 alice :Welcome to bcast, the network you are on, alice!aaaa@bcast"},
		},
		"another nick": {
			send: []string{"USER a 0 * :A", "NICK joe", "PING x"},
			want: []string{":irc.bcast 001 joe …", ":irc.bcast 002 joe …", ":irc.bcast 003 joe …", ":irc.bcast 004 joe …",
				":irc.bcast 005 joe CHANTYPES=# PREFIX=(v)+ CHANMODES=,,,in …", ":irc.bcast 005 joe CHATHISTORY=1000 …",
				":irc.bcast 251 joe …", ":irc.bcast 254 joe 0 …", ":irc.bcast 255 joe …", ":irc.bcast 375 …", ":irc.bcast 372 …",
				":irc.bcast 372 …", ":irc.bcast 372 …", ":irc.bcast 372 …", ":irc.bcast 376 …",
				":joe!aaaa@bcast NICK alice", ":irc.bcast PONG irc.bcast :x"},
		},
		"capabilities hold it up": {
			send: []string{"CAP LS 302", "NICK alice", "USER a 0 * :A", "CAP REQ :batch no-such", "CAP REQ :batch server-time",
				"CAP REQ -batch", "CAP LIST", "CAP X", "CAP END"},
			want: []string{":irc.bcast CAP * LS :account-tag away-notify batch draft/chathistory echo-message …",
				":irc.bcast CAP alice NAK :batch no-such", ":irc.bcast CAP alice ACK :batch server-time",
				":irc.bcast CAP alice ACK :-batch", ":irc.bcast CAP alice LIST :server-time", ":irc.bcast 410 alice X …",
				":irc.bcast 001 alice …"},
		},
		"too early, too little, unknown": {
			send: []string{"JOIN #lobby", "USER a", "NICK", "NICK a!b", "NICK alice", "USER a 0 * :A", "USER a 0 * :A", "PASS x"},
			want: []string{":irc.bcast 451 * …", ":irc.bcast 461 * USER …", ":irc.bcast 431 * …", ":irc.bcast 432 * a.b …",
				":irc.bcast 001 alice …"},
		},
		"the password": {
			password: "open sesame",
			send:     []string{"PASS :open sesame", "NICK alice", "USER a 0 * :A"},
			want:     []string{":irc.bcast 001 alice …"},
		},
		"a wrong password": {
			password: "open sesame",
			send:     []string{"PASS open", "NICK alice", "USER a 0 * :A"},
			want:     []string{":irc.bcast 464 alice :Password incorrect", "ERROR :Closing link: the password is missing or wrong: PASS"},
			closed:   true,
		},
		"no password": {
			password: "open sesame",
			send:     []string{"NICK alice", "USER a 0 * :A"},
			want:     []string{":irc.bcast 464 alice :Password incorrect", "ERROR :…"},
			closed:   true,
		},
		"quit": {
			send: []string{"QUIT :bye"}, want: []string{"ERROR :Closing link: bye"}, closed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			serving(t, Config{Password: test.password}, func(g *gateway) {
				c := g.dial()
				c.send(test.send...)
				time.Sleep(passPause) // of the bubble's time
				got := c.take()
				for i, want := range test.want {
					if i >= len(got) || !matches(got[i], want) {
						t.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
					}
				}
				if c.isClosed() != test.closed {
					t.Errorf("closed: %t", !test.closed)
				}
			})
		})
	}
}

// A client is shown the rooms of the device, whatever face joined them, with who is there and what was said.
func TestTheRoomsOfTheDeviceAreTheClients(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		g.device.Meet("carol", "lobby")
		g.device.Lose("carol")
		g.device.Hear("lobby", "bob", "before you came")
		c := g.dial()
		c.send("CAP REQ server-time", "CAP END", "NICK alice", "USER a 0 * :A")
		got := c.take()
		for len(got) > 0 && !strings.Contains(got[0], "376") {
			got = got[1:]
		}
		want := []string{":irc.bcast 376 …", "@time=… :alice!aaaa@bcast JOIN #lobby", ":irc.bcast 353 alice = #lobby :alice bob",
			":irc.bcast 366 alice #lobby …", "@time=2026-01-02T03:04:… :bob!626f@bcast PRIVMSG #lobby :before you came"}
		if len(got) != len(want) {
			t.Fatalf("got %q", got)
		}
		for i := range want {
			if !matches(got[i], want[i]) {
				t.Errorf("got %q, want %q", got[i], want[i])
			}
		}
	})
}

// What says nothing at all, or stops saying anything, goes.
func TestADV_irc_A_silent_connection_ends(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		half := g.dial()
		c := g.enter("")
		time.Sleep(registerLimit + time.Second)
		if got := half.take(); len(got) != 1 || got[0] != "ERROR :Closing link: registration timed out" || !half.isClosed() {
			t.Errorf("a connection that said nothing got %q", got)
		}
		time.Sleep(pingAfter)
		c.want("PING irc.bcast")
		c.send("PONG irc.bcast")
		time.Sleep(pingAfter + time.Second)
		c.want("PING irc.bcast")
		time.Sleep(pingLimit)
		c.want("ERROR :Closing link: ping timeout")
		if !c.isClosed() {
			t.Error("the connection goes on")
		}
	})
}

// Connections that say nothing keep nobody out, and those of one host give way to others first.
func TestADV_irc_Half_open_connections_keep_nobody_out(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		var half []*client
		for range 3 * maxUnregistered {
			half = append(half, g.dial())
			synctest.Wait()
		}
		open := 0
		for _, c := range half {
			if !c.isClosed() {
				open++
			}
		}
		if open != maxUnregistered {
			t.Errorf("%d connections that said nothing are open, want %d", open, maxUnregistered)
		}
		for range maxConns {
			if c := g.enter(""); c.isClosed() {
				t.Error("a client was kept out")
			}
		}
		last := g.dial()
		last.want("ERROR :Closing link: too many connections")
		if !last.isClosed() {
			t.Errorf("more than %d clients", maxConns)
		}
	})
}

// Who sends too much is told which lines were not taken, and ended if it goes on.
func TestADV_irc_A_flood_is_refused(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		c := g.enter("standard-replies")
		for range floodBurst + 50 {
			c.send("PRIVMSG #lobby :spam")
		}
		posts, _ := g.device.Posts(t.Context(), "lobby", control.PostQuery{})
		if len(posts) < floodBurst/2 || len(posts) > floodBurst {
			t.Errorf("%d posts of %d lines", len(posts), floodBurst+50)
		}
		got := c.take()
		if len(got) != floodBurst+50-len(posts) || !matches(got[0], ":irc.bcast FAIL PRIVMSG RATE_LIMITED :…") {
			t.Fatalf("%d refusals of %d lines, the first %q", len(got), floodBurst+50-len(posts), got[0])
		}
		time.Sleep(time.Second)
		c.send("PRIVMSG #lobby :again")
		c.want()
		for !c.isClosed() {
			c.send("PRIVMSG #lobby :spam")
		}
		if got := c.take(); got[len(got)-1] != "ERROR :Closing link: excess flood" {
			t.Errorf("ended with %q", got[len(got)-1])
		}
	})
}

// A client that does not read costs nobody anything, and not for long.
func TestADV_irc_A_client_that_does_not_read_ends(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		deaf := g.pipe()
		deaf.Write([]byte("NICK alice\r\nUSER a 0 * :A\r\n"))
		c := g.enter("")
		g.device.Hear("lobby", "bob", "hi")
		c.want(":bob!626f@bcast PRIVMSG #lobby :hi")
		time.Sleep(writeLimit + byeLimit + time.Second)
		if _, err := deaf.Write([]byte("PING x\r\n")); err == nil {
			t.Error("it is still served")
		}
		deaf = g.pipe()
		deaf.Write([]byte("NICK alice\r\nUSER a 0 * :A\r\n"))
		synctest.Wait()
		ends := time.Now()
		g.stop()
		time.Sleep(2 * byeLimit) // a daemon has 2 s to stop
		if _, err := deaf.Write([]byte("PING x\r\n")); err == nil || time.Since(ends) > 2*byeLimit {
			t.Error("it holds up the end")
		}
	})
}
