package bcast

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/history"
	"bcast/internal/record"
)

// minPrefix is how much of a post id is enough when it is unique.
const minPrefix = 4

// exportPage is how many records are read at once for Records.
const exportPage = 500

// archive reads what is kept of one room, as its members see it.
type archive struct {
	room   identity.RoomName
	direct string // of a direct room: whom it is with
	id     record.RoomID
	scopes []uint64
	store  history.Reader
	self   identity.DeviceID
	names  func(context.Context, []identity.DeviceID) (map[identity.DeviceID]called, error)
	trust  trust
	held   *files.Holdings // nil: of a home that only is read
}

// called is how a device is named in a room.
type called struct {
	nick   identity.Nick
	tagged bool // another live device looks alike by its nick
}

// archive is that of a joined room.
func (n *Node) archive(ctx context.Context, room string) (*archive, error) {
	var a *archive
	err := n.viewRoom(ctx, room, func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
		self, _, _ := e.Own()
		sight := n.sight(e)
		a = &archive{room: r.Name, id: r.ID, store: n.store, self: self, direct: sight.title(e, r.Name, r.Direct),
			held: n.files.holdings}
		for _, s := range r.Scopes {
			a.scopes = append(a.scopes, uint64(s))
		}
		return nil
	})
	if err != nil && control.AsError(err).Code == control.CodeNotJoined {
		return n.leftArchive(ctx, room, err)
	}
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	a.trust = n.trusted
	n.mu.Unlock()
	a.names = func(ctx context.Context, ids []identity.DeviceID) (map[identity.DeviceID]called, error) {
		names := map[identity.DeviceID]called{}
		err := n.viewRoom(ctx, string(a.room), func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
			sight := n.sight(e)
			for _, id := range ids {
				nick := e.Nick(r.Name, id)
				names[id] = called{nick, sight.tagged(id, nick)}
			}
			return nil
		})
		return names, err
	}
	return a, nil
}

// Posts returns posts of a joined room in the room's order, which is the same on every member.
func (n *Node) Posts(ctx context.Context, room string, query PostQuery) ([]Post, error) {
	a, err := n.archive(ctx, room)
	if err != nil {
		return nil, err
	}
	return a.posts(ctx, query)
}

// posts are those that a query selects.
func (a *archive) posts(ctx context.Context, query PostQuery) ([]Post, error) {
	if query.Limit < 0 {
		return nil, control.NewError(control.CodeInvalid, nil, "limit: below zero", "")
	}
	q := history.Query{
		Scopes: a.scopes, Limit: query.Limit * len(a.scopes), Newest: true, Search: query.Search, Kinds: true,
	}
	first, err := a.since(&q, query.Since)
	if err != nil {
		return nil, err
	}
	last, err := a.before(ctx, &q, query.Before)
	if err != nil {
		return nil, err
	}
	entries, err := a.store.Page(q)
	if err != nil {
		return nil, storeError(err)
	}
	shown, err := a.show(ctx, a.once(entries))
	if err != nil {
		return nil, err
	}
	posts := slices.Concat(first, slices.Concat(shown...), last)
	if posts == nil {
		posts = []Post{} // none, in JSON too
	}
	if query.Limit > 0 && len(posts) > query.Limit {
		posts = posts[len(posts)-query.Limit:]
	}
	return posts, nil
}

// since bounds q to what follows a post, named by its id or a unique prefix, or was said within a duration. What else
// the post's own record says is returned.
func (a *archive) since(q *history.Query, mark string) ([]Post, error) {
	if mark == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(mark); err == nil {
		q.Since = time.Now().Add(-d).UnixNano()
		return nil, nil
	}
	entry, ref, err := a.find(mark)
	if err != nil {
		return nil, err
	}
	q.After = &history.Place{Order: entry.Header.Order, ID: entry.ID}
	shown, err := a.show(context.Background(), []record.Entry{entry})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(shown[0], func(p Post) bool { return p.Index <= int(ref.Index) }), nil
}

// before bounds q to what precedes a post, named by its id or a unique prefix. What else the post's own record says is
// returned.
func (a *archive) before(ctx context.Context, q *history.Query, mark string) ([]Post, error) {
	if mark == "" {
		return nil, nil
	}
	entry, ref, err := a.find(mark)
	if err != nil {
		return nil, err
	}
	q.Before = &history.Place{Order: entry.Header.Order, ID: entry.ID}
	shown, err := a.show(ctx, []record.Entry{entry})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(shown[0], func(p Post) bool { return p.Index >= int(ref.Index) }), nil
}

// once leaves out own records said again: on two networks at once they are said in two scopes, at one time.
func (a *archive) once(entries []record.Entry) []record.Entry {
	if len(a.scopes) < 2 {
		return entries
	}
	said := map[int64]bool{}
	return slices.DeleteFunc(entries, func(e record.Entry) bool {
		if e.Header.Feed.Author.ID() != a.self {
			return false
		}
		again := said[e.Header.Wall]
		said[e.Header.Wall] = true
		return again
	})
}

// find is the record of a post named by its id or a unique prefix of at least minPrefix characters.
func (a *archive) find(post string) (record.Entry, record.Ref, error) {
	name, _, _ := strings.Cut(post, ".")
	ref, refErr := record.ParseRef(post)
	if len(name) < minPrefix {
		return record.Entry{}, ref, control.NewError(control.CodeInvalid, refErr,
			fmt.Sprintf("post %q: at least %d characters of its id are needed", post, minPrefix),
			"`bcast history ROOM --json` shows ids")
	}
	found, err := a.store.Find(a.scopes, name)
	switch {
	case err != nil:
		return record.Entry{}, ref, storeError(err)
	case len(found) == 0:
		return record.Entry{}, ref, control.NewError(control.CodeNotFound, nil,
			fmt.Sprintf("post %q: not known here", post), "`bcast history ROOM --json` shows ids; a time is one like 10m")
	case len(found) > 1 && found[0].ID != found[1].ID:
		return record.Entry{}, ref, control.NewError(control.CodeAmbiguous, nil,
			fmt.Sprintf("post %q: more than one begins so", post), "give more of the id")
	}
	if refErr != nil {
		ref = record.Ref{}
	}
	ref.Record = found[0].ID
	return found[0], ref, nil
}

// show is what each record says, for people and scripts, with what later ones made of it.
func (a *archive) show(ctx context.Context, entries []record.Entry) ([][]Post, error) {
	answered, err := a.answered(entries)
	if err != nil {
		return nil, storeError(err)
	}
	later, err := a.effects(slices.Concat(entries, answered))
	if err != nil {
		return nil, storeError(err)
	}
	names, err := a.names(ctx, append(authorsOf(slices.Concat(entries, answered, later)), a.self))
	if err != nil {
		return nil, err
	}
	made := effectsOf(later, func(id identity.DeviceID) string { return string(names[id].nick) })
	quotes := map[string]*Quote{}
	for _, e := range answered {
		author := e.Header.Feed.Author.ID()
		for _, noun := range recordPosts(a.room, e, names[author].nick, a.self) {
			made.apply(&noun, author, record.Ref{Record: e.ID, Index: uint16(noun.Index)})
			quotes[noun.ID] = a.trust.quote(noun)
		}
	}
	shown := make([][]Post, len(entries))
	for i, e := range entries {
		shown[i] = []Post{} // none, in JSON too
		author := e.Header.Feed.Author.ID()
		if a.trust.blocks(author) {
			continue
		}
		for _, noun := range recordPosts(a.room, e, names[author].nick, a.self) {
			made.apply(&noun, author, record.Ref{Record: e.ID, Index: uint16(noun.Index)})
			noun.Quote = quotes[noun.ReplyTo]
			noun.Verified = a.trust.pinned(author)
			noun.Tagged, noun.Direct = names[author].tagged, a.direct
			noun.Mention = mentions(noun.Text, names[a.self].nick, a.self)
			markHeld(a.held, &noun)
			shown[i] = append(shown[i], noun)
		}
	}
	return shown, nil
}

// answered are the records that replies among entries answer, as far as they are kept.
func (a *archive) answered(entries []record.Entry) ([]record.Entry, error) {
	var ids []record.ID
	for _, e := range entries {
		posts, err := e.Posts()
		if err != nil {
			continue
		}
		for _, p := range posts {
			if p.Kind == record.KindReply && !slices.Contains(ids, p.Target.Record) {
				ids = append(ids, p.Target.Record)
			}
		}
	}
	var all []record.Entry
	for _, scope := range a.scopes {
		if len(ids) == 0 {
			break
		}
		found, err := a.store.Load(scope, nil, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// quote is how a post is quoted by those that answer it; nil if it is not to be seen.
func (t trust) quote(post Post) *Quote {
	id, err := identity.ParseDeviceID(post.From)
	if err != nil || post.Deleted || t.blocks(id) {
		return nil
	}
	text := post.Text
	if text == "" && post.File != nil {
		text = post.File.Name
	}
	line, _, more := strings.Cut(text, "\n")
	if letters := []rune(line); len(letters) > control.QuoteLength {
		line, more = string(letters[:control.QuoteLength-1]), true
	}
	if more {
		line += "…"
	}
	return &Quote{From: post.From, Nick: post.Nick, Text: line}
}

// effects are the records that change how entries are shown: those that target them, and those that take back what
// these do.
func (a *archive) effects(entries []record.Entry) ([]record.Entry, error) {
	var all []record.Entry
	for range 2 {
		ids := make([]record.ID, len(entries))
		for i, e := range entries {
			ids[i] = e.ID
		}
		var err error
		if entries, err = a.store.Targets(a.scopes, ids); err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(x, y record.Entry) int { return record.Compare(x.Record, y.Record) })
	return slices.CompactFunc(all, func(x, y record.Entry) bool { return x.ID == y.ID }), nil
}

// authorsOf are the authors of entries, once each.
func authorsOf(entries []record.Entry) []identity.DeviceID {
	var ids []identity.DeviceID
	known := map[identity.DeviceID]bool{}
	for _, e := range entries {
		if id := e.Header.Feed.Author.ID(); !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// recordPosts is what one record says. What its author garbled says nothing.
func recordPosts(room identity.RoomName, e record.Entry, nick identity.Nick, self identity.DeviceID) []Post {
	said, err := e.Posts()
	if err != nil {
		return nil
	}
	var posts []Post
	for i, p := range said {
		if noun, ok := postNoun(room, e, i, p, nick, self); ok {
			posts = append(posts, noun)
		}
	}
	return posts
}

// records yields all that is kept, in the room's order.
func (a *archive) records(ctx context.Context, yield func(Record, error) bool) {
	q := history.Query{Scopes: a.scopes, Limit: exportPage}
	for {
		if err := ctx.Err(); err != nil {
			yield(Record{}, failure(err)) // a part must not be taken for the whole
			return
		}
		entries, err := a.store.Page(q)
		if err != nil {
			yield(Record{}, storeError(err))
			return
		}
		shown, err := a.show(ctx, entries)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for i, e := range entries {
			if !yield(Record{Room: string(a.room), ID: e.ID.String(), Bytes: e.Bytes(), Posts: shown[i]}, nil) {
				return
			}
		}
		if len(entries) < exportPage {
			return
		}
		last := entries[len(entries)-1]
		q.After = &history.Place{Order: last.Header.Order, ID: last.ID}
	}
}

// ledger is against whom a record counts and who is known to have it, as the store knows.
func (a *archive) ledger(entry record.Entry) ([]identity.DeviceID, map[identity.DeviceID]bool, error) {
	have := map[identity.DeviceID]bool{}
	var members []identity.DeviceID
	for _, scope := range a.scopes {
		roster, known, err := a.store.Roster(scope, entry.Header.Feed, entry.Header.Seq)
		if err != nil {
			return nil, nil, err
		}
		if known {
			members = roster.Members
		}
		levels, err := a.store.Levels(scope, entry.Chain())
		if err != nil {
			return nil, nil, err
		}
		for _, l := range levels {
			if l.Low <= entry.Header.Seq && entry.Header.Seq <= l.High {
				have[l.Device] = true
			}
		}
	}
	return members, have, nil
}
