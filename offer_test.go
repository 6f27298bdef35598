package bcast

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/record"
)

// crew are nodes of one LAN, each with a home of its own, and a file of the first.
type crew struct {
	*testing.T
	lan     *LAN
	photo   string // of 1 MB and some bytes
	content []byte
	homes   map[string]string
}

func (c *crew) start(nick string, rooms ...string) *Node {
	c.Helper()
	if c.homes[nick] == "" {
		c.homes[nick] = c.TempDir()
	}
	n, err := Start(c.Context(), Config{Nick: nick, Home: c.homes[nick], Rooms: rooms}, OnLAN(c.lan))
	if err != nil {
		c.Fatal(err)
	}
	return n
}

func withCrew(t *testing.T, test func(*crew)) {
	t.Helper()
	c := &crew{photo: filepath.Join(t.TempDir(), "photo.jpg"), content: bytes.Repeat([]byte("snow "), 1<<18),
		homes: map[string]string{}}
	for _, nick := range []string{"alice", "bob", "carol", "dave"} {
		c.homes[nick] = t.TempDir()
	}
	if err := os.WriteFile(c.photo, c.content, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c.T, c.lan = t, NewLAN()
		test(c)
	})
}

func (c *crew) offer(n *Node, room string) Post {
	c.Helper()
	said, err := n.Say(c.Context(), Say{Room: room, Text: "from the roof", Files: []string{c.photo}})
	if err != nil {
		c.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	return c.post(n, room, said.ID)
}

func (c *crew) post(n *Node, room, id string) Post {
	c.Helper()
	posts, err := n.Posts(c.Context(), room, PostQuery{})
	if err != nil {
		c.Fatal(err)
	}
	for _, p := range posts {
		if p.ID == id {
			return p
		}
	}
	c.Fatalf("%s is not in %+v", id, posts)
	return Post{}
}

// get fetches the file of a post and returns how it ended.
func (c *crew) get(n *Node, post string) File {
	c.Helper()
	status, err := n.Status(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	file, err := n.Fetch(c.Context(), post, "")
	if err != nil {
		c.Fatal(err)
	}
	if file.State != control.FileFetching {
		return file
	}
	for e, err := range n.Events(c.Context(), status.EventID) {
		if err != nil {
			c.Fatal(err)
		}
		if e.Type == EventFile && e.File.Post == file.Post {
			if file = *e.File; file.State != control.FileFetching {
				break
			}
		}
	}
	return file
}

func (c *crew) close(all ...*Node) {
	c.Helper()
	for _, n := range all {
		if err := n.Close(); err != nil {
			c.Error(err)
		}
	}
}

// A file that a post offers is got from its author, then, when that is gone, from one who got it, after a restart too.
func TestOffersAreHadFromWhoHasThem(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob, carol := c.start("alice", "lobby"), c.start("bob", "lobby"), c.start("carol", "lobby")
		time.Sleep(3 * time.Second)
		post := c.offer(alice, "lobby")
		want := &OfferedFile{Name: "photo.jpg", Size: int64(len(c.content)), Hash: post.File.Hash, Held: true}
		if post.Kind != "offer" || post.Text != "from the roof" || *post.File != *want {
			c.Errorf("%+v %+v", post, post.File)
		}
		want.Held = false
		if seen := c.post(bob, "lobby", post.ID); *seen.File != *want {
			c.Errorf("bob sees %+v", seen.File)
		}
		got := c.get(bob, post.ID[:8])
		if got.State != control.FileWhole || got.Path != filepath.Join(c.homes["bob"], "inbox", "photo.jpg") || got.Room != "lobby" {
			c.Fatalf("%+v, %v", got, got.Error)
		}
		if now, err := os.ReadFile(got.Path); err != nil || !bytes.Equal(now, c.content) {
			c.Errorf("%d bytes, %v", len(now), err)
		}
		if again := c.get(bob, post.ID); again.State != control.FileWhole || again.Path != got.Path {
			c.Errorf("again: %+v", again)
		}
		if seen := c.post(bob, "lobby", post.ID); !seen.File.Held {
			c.Error("bob does not hold what he got")
		}
		c.close(alice, bob)
		bob = c.start("bob", "lobby")
		time.Sleep(3 * time.Second)
		if got = c.get(carol, post.ID); got.State != control.FileWhole {
			c.Errorf("carol: %+v, %v", got, got.Error)
		}
		time.Sleep(time.Second) // what bob sent counts when his side is done with it, too
		status, err := bob.Status(c.Context())
		if err != nil || status.Files.Held != 1 || status.Files.SentBytes != uint64(len(c.content)) {
			c.Errorf("bob: %+v, %v", status.Files, err)
		}
		c.close(bob)
		if status, _ = carol.Status(c.Context()); status.Files.Fetched != 1 || status.Files.FetchedBytes != uint64(len(c.content)) {
			c.Errorf("carol: %+v", status.Files)
		}
		c.close(carol)
	})
}

// What a member holds it gives to the rooms that the file came from. An offer that somebody makes up of a file's hash, to
// have it from who holds it for another room, opens nothing: not by itself, and not when its user asks for the file there.
func TestADV_files_Made_up_offers_open_nothing(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob, dave := c.start("alice", "lobby"), c.start("bob", "lobby"), c.start("dave", "lobby")
		time.Sleep(3 * time.Second)
		if _, err := alice.Join(c.Context(), "crew", JoinOptions{Private: true}); err != nil {
			c.Fatal(err)
		}
		invite, err := alice.Invite(c.Context(), "crew")
		if err != nil {
			c.Fatal(err)
		}
		if _, err := bob.Join(c.Context(), invite.Invite, JoinOptions{}); err != nil {
			c.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		post := c.offer(alice, "crew")
		if got := c.get(bob, post.ID); got.State != control.FileWhole {
			c.Fatalf("%+v", got)
		}
		hash, _ := files.ParseHash(post.File.Hash)
		at := "offered/" + post.File.Hash
		for _, holder := range []string{"alice", "bob"} {
			if code, _ := asks(c.T, dave, holder, "GET", at, ""); code != 404 {
				c.Errorf("who is in no room with it gets %d of %s", code, holder)
			}
		}
		data := record.AppendOffer(nil, record.Offer{Hash: hash, Size: post.File.Size, Name: "photo.jpg"})
		reply, err := dave.node.Do(c.Context(), engine.Say{Room: "lobby", Posts: []record.Post{{Kind: record.KindOffer, Data: data}}})
		if err != nil {
			c.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		madeUp := record.Ref{Record: reply.Record}.String()
		if got := c.get(bob, madeUp); got.State != control.FileWhole { // it is here
			c.Errorf("%+v", got)
		}
		elsewhere := c.TempDir()
		if _, err := bob.Fetch(c.Context(), madeUp, elsewhere); err != nil {
			c.Error(err)
		}
		time.Sleep(3 * time.Second)
		if now, err := os.ReadFile(filepath.Join(elsewhere, "photo.jpg")); err != nil || !bytes.Equal(now, c.content) {
			c.Errorf("in another directory: %d bytes, %v", len(now), err)
		}
		if code, _ := asks(c.T, dave, "bob", "GET", at, ""); code != 404 {
			c.Errorf("who made up an offer gets %d", code)
		}
		if got := c.get(dave, madeUp); got.State != control.FileFailed || got.Error.Code != control.CodeNotFound {
			c.Errorf("%+v", got)
		}
		c.close(alice, bob, dave)
	})
}

// A file is no longer to be had of who took the offer back, of who left the room, and by who was shut out of it.
func TestOffersEnd(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob := c.start("alice"), c.start("bob", "lobby")
		time.Sleep(3 * time.Second)
		have := func(what, at string, want int) {
			c.Helper()
			if code, _ := asks(c.T, bob, "alice", "GET", at, ""); code != want {
				c.Errorf("%s: %d, want %d", what, code, want)
			}
		}
		direct := c.offer(alice, c.join(alice, "@bob"))
		at := "offered/" + direct.File.Hash
		have("the other one of a direct room", at, 200)
		if _, err := alice.Say(c.Context(), Say{Room: direct.Room, Kind: "delete", Target: direct.ID}); err != nil {
			c.Fatal(err)
		}
		time.Sleep(time.Second)
		have("taken back", at, 404)
		if p := c.post(bob, "@alice", direct.ID); !p.Deleted || p.File != nil || p.Text != "" {
			c.Errorf("%+v", p)
		}
		c.join(alice, "lobby")
		time.Sleep(3 * time.Second)
		c.offer(alice, "lobby")
		have("a member", at, 200)
		if err := alice.Block(c.Context(), "bob", true); err != nil {
			c.Fatal(err)
		}
		have("blocked", at, 404)
		if err := alice.Block(c.Context(), "bob", false); err != nil {
			c.Fatal(err)
		}
		if err := alice.Leave(c.Context(), "lobby", false); err != nil {
			c.Fatal(err)
		}
		have("of who left", at, 404)
		c.close(alice, bob)
	})
}

func (c *crew) join(n *Node, room string) string {
	c.Helper()
	joined, err := n.Join(c.Context(), room, JoinOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return joined.Room
}

// What is no offer shows nothing, and what stands beside it does.
func TestMalformedOffersShowNothing(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob := c.start("alice", "lobby"), c.start("bob", "lobby")
		time.Sleep(3 * time.Second)
		posts := []record.Post{{Kind: record.KindText, Text: "first"}, {Kind: record.KindOffer, Text: "no data"},
			{Kind: record.KindOffer, Text: "short", Data: []byte("short")}}
		for _, name := range []string{"../x", "a/b", "\u202ex", "CON", ".bcast-x.part", "x."} {
			posts = append(posts, record.Post{Kind: record.KindOffer, Text: name,
				Data: record.AppendOffer(nil, record.Offer{Name: name})})
		}
		posts = append(posts, record.Post{Kind: record.KindText, Text: "last"})
		reply, err := alice.node.Do(c.Context(), engine.Say{Room: "lobby", Posts: posts})
		if err != nil {
			c.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		shown, err := bob.Posts(c.Context(), "lobby", PostQuery{Limit: 9})
		if err != nil || len(shown) != 2 || shown[0].Text != "first" || shown[1].Text != "last" {
			c.Errorf("%+v, %v", shown, err)
		}
		if _, err := bob.Fetch(c.Context(), record.Ref{Record: reply.Record, Index: 3}.String(), ""); control.AsError(err).Code != control.CodeNotFound {
			c.Errorf("%v", err)
		}
		c.close(alice, bob)
	})
}

func TestOffersThatAreRefused(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice := c.start("alice", "lobby")
		odd := filepath.Join(filepath.Dir(c.photo), "odd\u202e")
		if err := os.WriteFile(odd, nil, 0o644); err != nil {
			c.Fatal(err)
		}
		for _, wrong := range []Say{
			{Room: "lobby", Files: []string{"photo.jpg"}}, {Room: "lobby", Files: []string{filepath.Dir(c.photo)}},
			{Room: "lobby", Files: []string{c.photo + "x"}}, {Room: "lobby", Files: []string{odd}},
			{Room: "lobby", Files: []string{c.photo}, Kind: "action"},
			{Room: "lobby", Files: strings.Split(strings.Repeat(c.photo+" ", 17), " ")},
		} {
			if _, err := alice.Say(c.Context(), wrong); err == nil || control.AsError(err).Code != control.CodeInvalid {
				c.Errorf("%+v: %v", wrong, err)
			}
		}
		said, err := alice.Say(c.Context(), Say{Room: "lobby", Files: []string{c.photo, c.photo}})
		if err != nil {
			c.Fatal(err)
		}
		posts, err := alice.Posts(c.Context(), "lobby", PostQuery{Search: "photo"})
		if err != nil || len(posts) != 2 || posts[0].ID != said.ID || posts[1].Record != posts[0].Record || posts[1].Index != 1 {
			c.Errorf("%+v, %v", posts, err)
		}
		for _, wrong := range []string{"relative", c.photo, filepath.Join(c.homes["alice"], "none")} {
			if _, err := alice.Fetch(c.Context(), said.ID, wrong); err == nil || control.AsError(err).Code != control.CodeInvalid {
				c.Errorf("into %s: %v", wrong, err)
			}
		}
		c.close(alice)
	})
}

// A file that comes by a page is the node's own: it goes when it is offered no more, or when a run was killed before it
// was. Who does not keep a file reads it through its node, checked.
func TestUploadsAndReading(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob := c.start("alice", "lobby"), c.start("bob", "lobby")
		time.Sleep(3 * time.Second)
		read := func(n *Node, post string) []byte {
			c.Helper()
			file, content, err := n.ReadFile(c.Context(), post)
			if err != nil {
				c.Fatal(err)
			}
			defer content.Close()
			now, err := io.ReadAll(content)
			if err != nil || file.Name != "photo.jpg" || file.Size != int64(len(now)) {
				c.Errorf("%+v, %d bytes, %v", file, len(now), err)
			}
			return now
		}
		offer := func(name string, size int) (Said, error) {
			return alice.OfferFile(c.Context(), "lobby", name, int64(size), bytes.NewReader(c.content))
		}
		var posts []string
		for range 2 { // the second is called as the first, and has another name on the disk
			said, err := offer("photo.jpg", len(c.content))
			if err != nil {
				c.Fatal(err)
			}
			posts = append(posts, said.ID)
		}
		time.Sleep(3 * time.Second)
		if post := c.post(bob, "lobby", posts[1]); post.File.Name != "photo.jpg" || post.File.Held {
			c.Errorf("%+v", post.File)
		}
		for _, n := range []*Node{alice, bob} {
			if got := read(n, posts[1]); !bytes.Equal(got, c.content) {
				c.Errorf("%d bytes are read", len(got))
			}
		}
		if post := c.post(bob, "lobby", posts[1]); post.File.Held {
			c.Error("what passes is kept")
		}
		for name, size := range map[string]int{"../x": 5, "short": len(c.content) + 1, "none": -1, "large": offeredQuota + 1} {
			if _, err := offer(name, size); err == nil {
				c.Errorf("%s of %d bytes was taken", name, size)
			}
		}
		dir := filepath.Join(c.homes["alice"], offeredDir)
		if names := c.names(dir); !slices.Equal(names, []string{"photo (2).jpg", "photo.jpg"}) {
			c.Errorf("%q", names)
		}
		for _, post := range posts {
			if _, err := alice.Say(c.Context(), Say{Room: "lobby", Kind: "delete", Target: post}); err != nil {
				c.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if names := c.names(dir); len(names) > 1 { // the first copy was replaced as what is held
			c.Errorf("%q stay", names)
		}
		if _, _, err := bob.ReadFile(c.Context(), posts[0]); control.AsError(err).Code != control.CodeNotFound {
			c.Errorf("%v", err)
		}
		c.close(alice)
		if err := os.WriteFile(filepath.Join(dir, ".bcast-00.part"), nil, 0o600); err != nil {
			c.Fatal(err)
		}
		alice = c.start("alice", "lobby")
		if names := c.names(dir); len(names) != 0 {
			c.Errorf("%q stay after a start", names)
		}
		c.close(alice, bob)
	})
}

func (c *crew) names(dir string) (all []string) {
	c.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// What is put into a share, and by a hand that others can see, is told of.
func TestPutsAreTold(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob := c.start("alice"), c.start("bob")
		time.Sleep(3 * time.Second)
		if _, err := alice.Share(c.Context(), Share{Name: "drop", Dir: c.homes["carol"], Peer: "bob", Write: true}); err != nil {
			c.Fatal(err)
		}
		before, err := alice.Status(c.Context())
		if err != nil {
			c.Fatal(err)
		}
		remote := files.Remote{Do: func(r *http.Request) (*http.Response, error) { return bob.AskFiles("alice", r) }}
		root, err := os.OpenRoot(filepath.Dir(c.photo))
		if err != nil {
			c.Fatal(err)
		}
		defer root.Close()
		if err := remote.Send(c.Context(), root, "photo.jpg", "drop", "photo.jpg", files.Options{}); err != nil {
			c.Fatal(err)
		}
		for e, err := range alice.Events(c.Context(), before.EventID) {
			if err != nil {
				c.Fatal(err)
			}
			if e.Type != EventFile {
				continue
			}
			if f := e.File; f.Nick != "bob" || f.Share != "drop" || f.State != control.FileWhole ||
				f.Path != filepath.Join(c.homes["carol"], "photo.jpg") {
				c.Errorf("%+v", f)
			}
			break
		}
		c.close(alice, bob)
	})
}
