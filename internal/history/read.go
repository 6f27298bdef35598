package history

import (
	"cmp"
	"database/sql"
	"encoding/binary"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// reader reads a database, and what is kept beside it in memory.
type reader struct {
	*statements
	read      *sql.DB
	ephemeral *Memory
	log       *slog.Logger
	bad       atomic.Int64 // rows passed over because they are no records
}

// columns are what entry needs, of record joined with chain and scope.
const columns = "record.id, record.rid, record.bytes, record.kept, chain.branch, scope.room"

const joined = " FROM record JOIN chain ON chain.id = record.chain JOIN scope ON scope.id = record.scope "

// badLogged is how many of the bad rows are logged: a damaged file may have many.
const badLogged = 10

// entry reads a row of columns. A row that is not the record it was is passed over: the file was damaged there, and the
// rest is not.
func (r *reader) entry(rows *sql.Rows) (e record.Entry, whole bool, err error) {
	var id int64
	var rid, b, branch, room []byte
	if err := rows.Scan(&id, &rid, &b, &e.Kept, &branch, &room); err != nil {
		return e, false, err
	}
	copy(e.Branch[:], branch)
	e.Record, whole = r.parse(id, rid, b, room)
	return e, whole, nil
}

func (r *reader) parse(row int64, rid, b, room []byte) (rec *record.Record, whole bool) {
	var id record.RoomID
	copy(id[:], room)
	rec, err := record.Parse(id, b)
	if err == nil && string(rec.ID[:]) == string(rid) {
		return rec, true
	}
	if n := r.bad.Add(1); n <= badLogged {
		r.log.Error("a record of the history is damaged and passed over", "row", row, "so far", n, "err", err)
	}
	return nil, false
}

// each runs a query of columns and calls take with each entry, until it returns false.
func (r *reader) each(take func(record.Entry) bool, text string, args ...any) error {
	rows, err := r.query("SELECT "+columns+joined+text, args...)
	return failed("read", eachRow(rows, err, func(rows *sql.Rows) error {
		e, whole, err := r.entry(rows)
		if err == nil && whole && !take(e) {
			return errEnough
		}
		return err
	}))
}

// entries runs a query of columns.
func (r *reader) entries(text string, args ...any) ([]record.Entry, error) {
	var found []record.Entry
	err := r.each(func(e record.Entry) bool {
		found = append(found, e)
		return true
	}, text, args...)
	return found, err
}

// Load returns those of the records asked for that are kept.
func (r *reader) Load(scope uint64, spans []record.Span, ids []record.ID) ([]record.Entry, error) {
	if r.ephemeral.InMemory(scope) {
		return r.ephemeral.Load(scope, spans, ids)
	}
	var all []record.Entry
	size, full := 0, false
	take := func(e record.Entry) bool {
		if full = size > 0 && size+len(e.Bytes()) > LoadLimit; full {
			return false
		}
		all, size = append(all, e), size+len(e.Bytes())
		return true
	}
	for _, s := range spans {
		c := s.Chain
		err := r.each(take, `WHERE chain = (SELECT id FROM chain WHERE scope = ? AND author = ? AND epoch = ? AND branch = ?)
			AND seq >= max(?, low) AND seq <= ? ORDER BY seq`,
			int64(scope), c.Feed.Author[:], int64(c.Feed.Epoch), branchBytes(c), number(s.From), number(s.To))
		if err != nil || full {
			return all, err
		}
	}
	for _, id := range ids {
		err := r.each(take, "WHERE +record.scope = ? AND rid = ? LIMIT 1", int64(scope), id[:])
		if err != nil || full {
			return all, err
		}
	}
	return all, nil
}

// number is n as the database compares it: none that is kept is larger than what fits.
func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// Scopes are those of a room.
func (r *reader) Scopes(room record.RoomID) ([]record.Scope, error) {
	var scopes []record.Scope
	rows, err := r.query("SELECT id, networks, members, age, count, bytes FROM scope WHERE room = ? ORDER BY born",
		room[:])
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		s := record.Scope{Room: room}
		var id, age int64
		var networks, members []byte
		if err := rows.Scan(&id, &networks, &members, &age, &s.Retention.Count, &s.Retention.Bytes); err != nil {
			return err
		}
		s.ID, s.Retention.Age, s.Members = uint64(id), time.Duration(age), parseMemberIDs(members)
		for ; len(networks) >= 16; networks = networks[16:] {
			s.Networks = append(s.Networks, [16]byte(networks[:16]))
		}
		scopes = append(scopes, s)
		return nil
	})
	if err != nil {
		return nil, failed("read", err)
	}
	passing, err := r.ephemeral.Scopes(room)
	return append(scopes, passing...), err
}

// own is the feed of our own that was written last to a scope.
func (r *reader) own(scope uint64) (*record.Feed, error) {
	var b []byte
	rows, err := r.query("SELECT own FROM scope WHERE id = ?", int64(scope))
	err = eachRow(rows, err, func(rows *sql.Rows) error { return rows.Scan(&b) })
	var f record.Feed
	if err != nil || len(b) != len(f.Author)+8 {
		return nil, failed("read", err)
	}
	copy(f.Author[:], b)
	f.Epoch = binary.BigEndian.Uint64(b[len(f.Author):])
	return &f, nil
}

// Kept is what a conversation needs to go on.
func (r *reader) Kept(scope uint64, room record.RoomID) (record.Kept, error) {
	if r.ephemeral.InMemory(scope) {
		return r.ephemeral.Kept(scope, room)
	}
	var kept record.Kept
	rows, err := r.query(`SELECT low, author, epoch, branch, high, first, before, record.id, rid, bytes, kept FROM chain
		JOIN record ON record.chain = chain.id AND record.seq = chain.high
		WHERE chain.scope = ? AND low <= high`, int64(scope))
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var id, heard int64
		var rid, b []byte
		s, err := scanState(rows, &id, &rid, &b, &heard)
		if err != nil {
			return err
		}
		var whole bool
		if s.Head, whole = r.parse(id, rid, b, room[:]); whole {
			s.Heard = heard
			kept.Chains = append(kept.Chains, s)
		}
		return nil
	})
	if err != nil {
		return kept, failed("read", err)
	}
	slices.SortFunc(kept.Chains, func(a, b record.ChainState) int { return a.Chain.Compare(b.Chain) })
	if kept.Gone, err = r.gone(scope); err != nil {
		return kept, err
	}
	kept.Standing, err = r.entries("WHERE record.scope = ? AND marks & 2 ORDER BY ord, rid", int64(scope))
	if err != nil {
		return kept, err
	}
	rows, err = r.query(`SELECT ord FROM record WHERE scope = ?1 AND ord >=
		(SELECT coalesce(max(ord), 0) FROM record WHERE scope = ?1 AND ord < ?2) ORDER BY ord`,
		int64(scope), int64(record.PlainOrder))
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var order uint64
		err := rows.Scan(&order)
		kept.Order = record.Follow(kept.Order, order)
		return err
	})
	if err != nil {
		return kept, failed("read", err)
	}
	if kept.Own, err = r.own(scope); err != nil {
		return kept, err
	}
	if kept.Heads, err = r.heads(scope, room); err != nil {
		return kept, err
	}
	if kept.Rosters, err = r.rosters("scope = ?", int64(scope)); err != nil {
		return kept, err
	}
	kept.Levels, err = r.levels("scope = ?", int64(scope))
	return kept, err
}

// gone are the chains of a scope of which nothing is kept any more.
func (r *reader) gone(scope uint64) ([]record.ChainState, error) {
	var gone []record.ChainState
	rows, err := r.query(`SELECT low, author, epoch, branch, high, first, before FROM chain
		WHERE scope = ? AND high < low`, int64(scope))
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		s, err := scanState(rows)
		gone = append(gone, s)
		return err
	})
	slices.SortFunc(gone, func(a, b record.ChainState) int { return a.Chain.Compare(b.Chain) })
	return gone, failed("read", err)
}

// scanState reads a row of low, the columns of a chain, high, first, before, and what follows.
func scanState(rows *sql.Rows, after ...any) (record.ChainState, error) {
	var low, high, first int64
	var before []byte
	c, err := scanChain(rows, &low, append([]any{&high, &first, &before}, after...)...)
	s := record.ChainState{Chain: c, Low: uint64(low), High: uint64(high), First: uint64(first)}
	copy(s.Before[:], before)
	return s, err
}

func (r *reader) rosters(where string, args ...any) ([]record.Roster, error) {
	var found []record.Roster
	rows, err := r.query("SELECT start, author, epoch, NULL, members FROM roster WHERE "+where, args...)
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var from int64
		var members []byte
		c, err := scanChain(rows, &from, &members)
		found = append(found, record.Roster{Feed: c.Feed, From: uint64(from), Members: parseMemberIDs(members)})
		return err
	})
	slices.SortFunc(found, compareRosters)
	return found, failed("read", err)
}

func (r *reader) levels(where string, args ...any) ([]record.Level, error) {
	var found []record.Level
	rows, err := r.query("SELECT high, author, epoch, branch, device, low FROM level WHERE "+where, args...)
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var low, high int64
		var device []byte
		c, err := scanChain(rows, &high, &device, &low)
		l := record.Level{Chain: c, Low: uint64(low), High: uint64(high)}
		copy(l.Device[:], device)
		found = append(found, l)
		return err
	})
	slices.SortFunc(found, func(a, b record.Level) int {
		return cmp.Or(a.Chain.Compare(b.Chain), a.Device.Compare(b.Device))
	})
	return found, failed("read", err)
}

// scanChain reads a row of a number, the columns of a chain, and what follows.
func scanChain(rows *sql.Rows, number *int64, after ...any) (record.Chain, error) {
	var author, branch []byte
	var epoch int64
	if err := rows.Scan(append([]any{number, &author, &epoch, &branch}, after...)...); err != nil {
		return record.Chain{}, err
	}
	return chainFrom(author, epoch, branch), nil
}

// chainFrom is a chain from its columns; what is too short reads as zeros.
func chainFrom(author []byte, epoch int64, branch []byte) record.Chain {
	c := record.Chain{Feed: record.Feed{Epoch: uint64(epoch)}}
	copy(c.Feed.Author[:], author)
	copy(c.Branch[:], branch)
	return c
}

// Page returns what a query selects.
func (r *reader) Page(q Query) ([]record.Entry, error) {
	var found []record.Entry
	for _, scope := range q.Scopes {
		var some []record.Entry
		var err error
		if r.ephemeral.InMemory(scope) {
			one := q
			one.Scopes = []uint64{scope}
			some, err = r.ephemeral.Page(one)
		} else {
			some, err = r.page(scope, &q)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return q.cut(found), nil
}

// page is what one scope has.
func (r *reader) page(scope uint64, q *Query) ([]record.Entry, error) {
	where, args := []string{"record.scope = ?"}, []any{int64(scope)}
	if q.Search != "" { // what the words name is little: it is found by them, and not by going through the scope
		found, more, err := r.found(scope, q.Search)
		if err != nil {
			return nil, err
		}
		where, args = []string{"+record.scope = ?", found}, append(args, more...)
	}
	and := func(text string, more ...any) { where, args = append(where, text), append(args, more...) }
	if q.After != nil {
		and("(ord, rid) > (?, ?)", number(q.After.Order), q.After.ID[:])
	}
	if q.Before != nil {
		and("(ord, rid) < (?, ?)", number(q.Before.Order), q.Before.ID[:])
	}
	if q.Since != 0 {
		and("wall >= ?", q.Since)
	}
	if q.Kinds {
		and("marks & 1")
	}
	if q.Topics {
		and("marks & 2 AND marks & 1")
	}
	order := " ORDER BY ord, rid"
	if q.Newest {
		order = " ORDER BY ord DESC, rid DESC"
	}
	text := "WHERE " + strings.Join(where, " AND ") + order
	if q.Limit > 0 {
		text, args = text+" LIMIT ?", append(args, q.Limit)
		if q.Search != "" { // words may be in many: only those wanted are read whole
			text = "WHERE record.id IN (SELECT record.id FROM record " + text + ")" + order
		}
	}
	found, err := r.entries(text, args...)
	if q.Newest {
		slices.Reverse(found)
	}
	return found, err
}

// Find returns records by the beginning of their ids.
func (r *reader) Find(scopes []uint64, prefix string) ([]record.Entry, error) {
	low, high, ok := idRange(prefix)
	if !ok {
		return nil, nil
	}
	var found []record.Entry
	for _, scope := range scopes {
		some, err := r.ephemeral.Find([]uint64{scope}, prefix)
		if err == nil && !r.ephemeral.InMemory(scope) {
			some, err = r.entries("WHERE +record.scope = ? AND rid BETWEEN ? AND ? ORDER BY rid LIMIT 2",
				int64(scope), low[:], high[:])
		}
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	q := Query{Limit: 2}
	return q.cut(found), nil
}

// idRange is the first and the last id whose text begins with prefix.
func idRange(prefix string) (low, high record.ID, ok bool) {
	first, last := low.String(), strings.Repeat("7", len(low.String())-1)+"4" // the last character has two bits to spare
	if len(prefix) > len(first) {
		return low, high, false
	}
	from, err := identity.ParseDeviceID(prefix + first[len(prefix):]) // the same 16 bytes of base32
	to, err2 := identity.ParseDeviceID(prefix + last[len(prefix):])
	return record.ID(from), record.ID(to), err == nil && err2 == nil
}

// Targets returns the records that target others.
func (r *reader) Targets(scopes []uint64, targets []record.ID) ([]record.Entry, error) {
	var found []record.Entry
	for _, scope := range scopes {
		if r.ephemeral.InMemory(scope) {
			some, err := r.ephemeral.Targets([]uint64{scope}, targets)
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
			continue
		}
		for _, t := range targets {
			some, err := r.entries("JOIN target ON target.record = record.id WHERE target.target = ? AND +record.scope = ?",
				t[:], int64(scope))
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
		}
	}
	q := Query{}
	return q.cut(found), nil
}

// Roster is the one in force for a record.
func (r *reader) Roster(scope uint64, feed record.Feed, seq uint64) (record.Roster, bool, error) {
	if r.ephemeral.InMemory(scope) {
		return r.ephemeral.Roster(scope, feed, seq)
	}
	found, err := r.rosters("scope = ? AND author = ? AND epoch = ? AND start <= ? ORDER BY start DESC LIMIT 1",
		int64(scope), feed.Author[:], int64(feed.Epoch), number(seq))
	if err != nil || len(found) == 0 {
		return record.Roster{}, false, err
	}
	return found[0], true, nil
}

// Levels are how far devices told to have a chain.
func (r *reader) Levels(scope uint64, c record.Chain) ([]record.Level, error) {
	if r.ephemeral.InMemory(scope) {
		return r.ephemeral.Levels(scope, c)
	}
	return r.levels("scope = ? AND author = ? AND epoch = ? AND branch = ?",
		int64(scope), c.Feed.Author[:], int64(c.Feed.Epoch), branchBytes(c))
}

// Counts is how much of a scope is kept.
func (r *reader) Counts(scope uint64) (records int, size int64, err error) {
	if r.ephemeral.InMemory(scope) {
		return r.ephemeral.Counts(scope)
	}
	rows, err := r.query("SELECT records, size FROM scope WHERE id = ?", int64(scope))
	err = eachRow(rows, err, func(rows *sql.Rows) error { return rows.Scan(&records, &size) })
	return records, size, failed("read", err)
}
