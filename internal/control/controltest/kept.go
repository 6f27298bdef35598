package controltest

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"bcast/internal/control"
)

// Say implements control.API.
func (d *Device) Say(ctx context.Context, say control.Say) (control.Said, error) {
	if err := control.CheckSay(say); err != nil {
		return control.Said{}, err
	}
	enough, err := parseWait(say.Wait)
	if err != nil {
		return control.Said{}, err
	}
	d.mu.Lock()
	if _, err := d.joined(say.Room); err != nil {
		d.mu.Unlock()
		return control.Said{}, err
	}
	post := control.Post{
		Room: say.Room, Nick: d.status.Nick, Text: say.Text, Kind: say.Kind, ReplyTo: say.Target, Own: true,
	}
	if len(say.Files) > 0 { // of which the first has to do
		name := path.Base(say.Files[0])
		post.Kind, post.File = "offer", &control.OfferedFile{Name: name, Size: 2_100_000, Hash: "ab", Held: true}
	}
	post = d.post(post)
	for {
		ledger, changed := d.ledger(post), d.changed
		d.mu.Unlock()
		said := control.Said{ID: ledger.Post, Members: ledger.Members, Have: ledger.Have}
		if enough == nil {
			return said, nil
		}
		if said.Missing = ledger.Missing; enough(ledger) {
			return said, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return said, control.NewError(control.CodeTimeout, ctx.Err(), "not all have it in time", "")
		}
		d.mu.Lock()
	}
}

// parseWait is when a post has been waited for long enough; nil: at once.
func parseWait(wait string) (func(control.Ledger) bool, error) {
	switch wait {
	case "", "none":
		return nil, nil
	case "all":
		return func(l control.Ledger) bool { return l.Have == l.Members }, nil
	case "here":
		return func(l control.Ledger) bool {
			return !slices.ContainsFunc(l.Missing, func(m control.Missing) bool { return control.Here(m.Status) })
		}, nil
	}
	count, err := strconv.Atoi(wait)
	if err != nil || count < 1 {
		return nil, control.NewError(control.CodeInvalid, err, fmt.Sprintf("wait %q: unknown", wait), "")
	}
	return func(l control.Ledger) bool { return l.Have >= count }, nil
}

// Posts implements control.API.
func (d *Device) Posts(_ context.Context, name string, query control.PostQuery) ([]control.Post, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.joined(name)
	if err != nil {
		return nil, err
	}
	posts := slices.Clone(r.posts)
	if _, err := time.ParseDuration(query.Since); query.Since != "" && err != nil {
		at := slices.IndexFunc(posts, func(p control.Post) bool { return p.ID == query.Since })
		if at < 0 {
			return nil, unknownPost(query.Since)
		}
		posts = posts[at+1:]
	}
	if query.Before != "" {
		at := slices.IndexFunc(posts, func(p control.Post) bool { return p.ID == query.Before })
		if at < 0 {
			return nil, unknownPost(query.Before)
		}
		posts = posts[:at]
	}
	posts = slices.DeleteFunc(posts, func(p control.Post) bool { return !holds(p.Text, query.Search) })
	if query.Limit > 0 && len(posts) > query.Limit {
		posts = posts[len(posts)-query.Limit:]
	}
	return append([]control.Post{}, posts...), nil
}

// holds tells whether text has all words; the last may be the beginning of one.
func holds(text, search string) bool {
	has, words := strings.Fields(strings.ToLower(text)), strings.Fields(strings.ToLower(search))
	for i, word := range words {
		if !slices.ContainsFunc(has, func(w string) bool {
			return w == word || i == len(words)-1 && strings.HasPrefix(w, word)
		}) {
			return false
		}
	}
	return true
}

func unknownPost(post string) error {
	return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: not known here", post), "")
}

// Ledger implements control.API: those who were there when it was said have a post, unless they are deaf.
func (d *Device) Ledger(_ context.Context, post string) (control.Ledger, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rooms {
		for _, p := range r.posts {
			if !r.left && strings.HasPrefix(p.ID, post) {
				return d.ledger(p), nil
			}
		}
	}
	return control.Ledger{}, unknownPost(post)
}

// ledger wants d.mu held.
func (d *Device) ledger(post control.Post) control.Ledger {
	l := control.Ledger{Post: post.ID, Room: post.Room, Partial: !post.Own, Missing: []control.Missing{}}
	r := d.rooms[post.Room]
	if r == nil {
		return l // forgotten
	}
	if !post.Own {
		l.Members, l.Have = 1, 1 // this device
	}
	for _, p := range d.peers {
		if !slices.Contains(r.roster[post.ID], p.Nick) {
			continue
		}
		l.Members++
		if r.have[post.ID][p.Nick] {
			l.Have++
			continue
		}
		l.Missing = append(l.Missing, control.Missing{
			ID: p.ID, Nick: p.Nick, Tag: p.Tag, Status: p.Status, Since: p.LastSeen,
		})
	}
	return l
}

// Records implements control.API: a record's bytes are its post's text.
func (d *Device) Records(ctx context.Context, name string) iter.Seq2[control.Record, error] {
	return func(yield func(control.Record, error) bool) {
		posts, err := d.Posts(ctx, name, control.PostQuery{})
		if err != nil {
			yield(control.Record{}, err)
			return
		}
		for _, p := range posts {
			r := control.Record{Room: p.Room, ID: p.Record, Bytes: []byte(p.Text), Posts: []control.Post{p}}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Import implements control.API: a record without bytes is refused.
func (d *Device) Import(
	_ context.Context, name string, records iter.Seq2[control.Record, error],
) (done control.Imported, err error) {
	for r, err := range records {
		if err != nil {
			return done, err
		}
		d.mu.Lock()
		in, err := d.joined(name)
		switch {
		case err != nil:
			d.mu.Unlock()
			return done, err
		case len(r.Bytes) == 0:
			done.Refused++
		case slices.ContainsFunc(in.posts, func(p control.Post) bool { return p.Record == r.ID }):
			done.Known++
		default:
			d.post(control.Post{Room: name, Nick: "import", Text: string(r.Bytes)})
			in.posts[len(in.posts)-1].Record = r.ID
			done.New++
		}
		d.mu.Unlock()
	}
	return done, nil
}

// Signal implements control.API.
func (d *Device) Signal(_ context.Context, signal control.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(signal.Room); err != nil {
		return err
	}
	signal.ID, signal.Nick = d.status.ID, d.status.Nick
	d.record(control.Event{Type: control.EventSignal, Signal: &signal})
	return nil
}

// Invite implements control.API.
func (d *Device) Invite(_ context.Context, name string) (control.Invitation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(name); err != nil {
		return control.Invitation{}, err
	}
	return control.Invitation{Room: name, Invite: "bcast:1:" + name + "#secret"}, nil
}

// Rekey implements control.API.
func (d *Device) Rekey(_ context.Context, name string, without []string) (control.Rekeyed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(name); err != nil {
		return control.Rekeyed{}, err
	}
	for _, nick := range without {
		if !slices.ContainsFunc(d.members(name), func(p control.Peer) bool { return p.Nick == nick }) {
			return control.Rekeyed{}, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no member %q", nick), "")
		}
	}
	return control.Rekeyed{Room: name, Epoch: 1}, nil
}

// Verification implements control.API: every peer's words are its nick, said ten times.
func (d *Device) Verification(_ context.Context, peer string) (control.Verification, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.peer(peer)
	if err != nil {
		return control.Verification{}, err
	}
	return control.Verification{
		ID: p.ID, Nick: p.Nick, Tag: p.Tag, Words: slices.Repeat([]string{p.Nick}, 10), Code: "bcast-verify:1:self",
		Verified: p.Verified,
	}, nil
}

// Pin implements control.API.
func (d *Device) Pin(ctx context.Context, peer, proof string) (control.Verification, error) {
	v, err := d.Verification(ctx, peer)
	if err != nil {
		return v, err
	}
	if strings.Join(strings.Fields(proof), " ") != strings.Join(v.Words, " ") {
		return v, control.NewError(control.CodeInvalid, nil, "that is not what it has to show", "compare again")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.peer(peer)
	if err == nil {
		p.Verified, v.Verified = true, true
	}
	return v, err
}

// Block implements control.API.
func (d *Device) Block(_ context.Context, peer string, blocked bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.peer(peer)
	if err == nil {
		p.Blocked = blocked
	}
	return err
}

// peer is the one that a nick, a nick-tag or an id names; it wants d.mu held.
func (d *Device) peer(word string) (found *control.Peer, err error) {
	for i := range d.peers {
		switch p := &d.peers[i]; {
		case p.ID == word || p.Nick+"-"+p.Tag == word:
			return p, nil
		case p.Nick == word && found != nil:
			return nil, control.NewError(control.CodeAmbiguous, nil, fmt.Sprintf("%q is more than one", word), "use nick-tag")
		case p.Nick == word:
			found = p
		}
	}
	if found == nil {
		err = control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no device here is called %q", word), "")
	}
	return found, err
}

// Bench implements control.API: all that is sent comes, a millisecond later.
func (d *Device) Bench(_ context.Context, bench control.Bench) (control.Benched, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := control.Benched{Sent: max(bench.Count, 1), Seconds: 2}
	found.PerSecond = float64(found.Sent) / found.Seconds
	found.Bytes = int64(found.Sent) * control.BenchSize
	if bench.Do == "recv" {
		found.Received = found.Sent
		found.P50ms, found.P99ms, found.MaxMs = 1, 1, 1
		return found, nil
	}
	for _, p := range d.members(bench.Room) {
		if found.Members++; !d.deaf[p.Nick] {
			found.Have++
		}
	}
	return found, nil
}

// Change makes of a post that came what its author makes of it now, and tells of that by an event of a kind.
func (d *Device) Change(kind string, post control.Post) {
	d.mu.Lock()
	defer d.mu.Unlock()
	posts := d.rooms[post.Room].posts
	posts[slices.IndexFunc(posts, func(p control.Post) bool { return p.ID == post.ID })] = post
	d.record(control.Event{Type: kind, Post: &post})
}

// topicOf is what the last topic says that stands.
func topicOf(posts []control.Post) string {
	for _, p := range slices.Backward(posts) {
		if p.Kind == "topic" && !p.Deleted {
			return p.Text
		}
	}
	return ""
}
