package history

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"math"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"bcast/internal/record"
)

// chainRow is a chain as the database has it, or will when the transaction is done.
type chainRow struct {
	id        int64
	low, high uint64
	changed   bool
}

type chainName struct {
	scope uint64
	chain record.Chain
}

// chainTable remembers the rows of the chains that were written lately. After a transaction that failed it forgets all.
type chainTable struct{ rows map[chainName]*chainRow }

// maxChainRows bounds it: beyond, it forgets all, and what is needed is read again.
const maxChainRows = 1 << 14

func (t *chainTable) forget() { t.rows = nil }

// writing is one Append under way.
type writing struct {
	*writer
	rows    map[chainName]*chainRow
	changed []*chainRow
	now     int64
	given   map[uint64][]record.Floor // by scope: what begins later by now than who brings it knows
}

// Append keeps batches. Those of scopes in memory wait for nothing that is done on the disk.
func (d *Disk) Append(now time.Time, batches []record.Batch) ([][]record.Floor, error) {
	var lasting, passing []record.Batch
	for _, b := range batches {
		if d.memory.InMemory(b.Scope) {
			passing = append(passing, b)
		} else {
			lasting = append(lasting, b)
		}
	}
	if len(lasting) == 0 {
		return d.memory.Append(now, batches)
	}
	if err := d.memory.admits(now, passing); err != nil { // or half of the call would be kept
		return nil, err
	}
	given := map[uint64][]record.Floor{}
	if err := d.append(now, lasting, given); err != nil {
		return nil, failed("append", err)
	}
	kept, err := d.memory.Append(now, passing)
	if err != nil {
		return nil, err
	}
	for i, b := range passing {
		given[b.Scope] = append(given[b.Scope], kept[i]...)
	}
	floors := make([][]record.Floor, len(batches))
	for i, b := range batches { // all that a scope gave up is told with the first of its batches
		floors[i] = given[b.Scope]
		delete(given, b.Scope)
	}
	return floors, nil
}

// append keeps batches in the file.
func (d *Disk) append(now time.Time, batches []record.Batch, given map[uint64][]record.Floor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.chains.rows == nil || len(d.chains.rows) > maxChainRows {
		d.chains.rows = map[chainName]*chainRow{}
	}
	err := d.write.transact(func() error {
		w := &writing{writer: d.write, rows: d.chains.rows, now: now.UnixNano(), given: given}
		for _, b := range batches {
			if err := w.batch(b); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
		for _, b := range batches {
			floors, err := d.shrink(b.Scope, math.MinInt64)
			if err != nil {
				return err
			}
			given[b.Scope] = merge(given[b.Scope], floors)
		}
		return nil
	})
	for _, b := range batches {
		d.settle(b.Scope, err)
	}
	if err != nil {
		return err
	}
	for _, b := range batches {
		d.behind.Add(int64(len(b.Records)))
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

func (w *writing) batch(b record.Batch) error {
	known := 0
	if err := w.row("SELECT count(*) FROM scope WHERE id = ?", []any{int64(b.Scope)}, &known); err != nil {
		return err
	}
	if known == 0 {
		return ErrScope
	}
	for _, s := range b.Splits {
		if err := w.split(b.Scope, s); err != nil {
			return err
		}
	}
	records, size := 0, 0
	for _, e := range b.Records {
		added, err := w.record(b.Scope, e)
		if err != nil {
			return err
		}
		if added {
			records, size = records+1, size+len(e.Bytes())
		}
	}
	if records > 0 {
		_, err := w.exec("UPDATE scope SET records = records + ?, size = size + ? WHERE id = ?",
			records, size, int64(b.Scope))
		if err != nil {
			return err
		}
	}
	if err := w.heads(b); err != nil {
		return err
	}
	return w.learn(b)
}

// ownBytes is a feed in one column.
func ownBytes(f record.Feed) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), f.Author[:]...), f.Epoch)
}

// learn keeps what a batch says beside its records.
func (w *writing) learn(b record.Batch) error {
	if b.Own != nil {
		if _, err := w.exec("UPDATE scope SET own = ? WHERE id = ?", ownBytes(*b.Own), int64(b.Scope)); err != nil {
			return err
		}
	}
	for _, r := range b.Rosters {
		_, err := w.exec(`INSERT INTO roster (scope, author, epoch, start, members) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET members = excluded.members`,
			int64(b.Scope), r.Feed.Author[:], int64(r.Feed.Epoch), int64(r.From), memberIDs(r.Members))
		if err != nil {
			return err
		}
	}
	for _, l := range b.Levels {
		c := l.Chain
		_, err := w.exec(`INSERT INTO level (scope, author, epoch, branch, device, low, high) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET low = excluded.low, high = excluded.high`,
			int64(b.Scope), c.Feed.Author[:], int64(c.Feed.Epoch), branchBytes(c), l.Device[:], number(l.Low), number(l.High))
		if err != nil {
			return err
		}
	}
	return nil
}

// branchBytes is empty for the feed itself.
func branchBytes(c record.Chain) []byte {
	if c.Branch.IsZero() {
		return []byte{}
	}
	return c.Branch[:]
}

// record keeps one record; false if it is kept already.
func (w *writing) record(scope uint64, e record.Entry) (bool, error) {
	h := &e.Header
	row, err := w.chain(scope, e.Chain())
	if err != nil {
		return false, err
	}
	switch {
	case row == nil:
		begins := record.Split{At: h.Seq, Before: h.Prev}
		if e.Branch.IsZero() {
			begins = record.Split{}
		}
		if row, err = w.newChain(scope, e.Chain(), h.Seq, h.Seq, begins); err != nil {
			return false, err
		}
	case h.Seq < row.low: // it was given up since: who brings it does not know
		w.given[scope] = merge(w.given[scope], []record.Floor{{Chain: e.Chain(), Low: row.low}})
		return false, nil
	case h.Seq <= row.high:
		return false, w.known(row, e)
	case h.Seq > row.high+1 && !e.Anew:
		return false, ErrGap
	case h.Seq > row.high+1:
		row.low = h.Seq
	}
	d := digestOf(e.Record)
	id, err := w.exec(`INSERT INTO record (chain, seq, scope, ord, rid, kept, wall, marks, bytes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.id, int64(h.Seq), int64(scope), int64(h.Order), e.ID[:], w.now, h.Wall, d.marks, e.Bytes())
	if codeOf(err) == sqlite3.SQLITE_CONSTRAINT { // it is in another chain
		return false, ErrTaken
	}
	if err != nil {
		return false, err
	}
	w.reaches(row, h.Seq)
	for _, t := range d.targets {
		if _, err := w.exec("INSERT OR IGNORE INTO target (target, record) VALUES (?, ?)", t[:], id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// known passes over a record that is kept; another one with its number is refused.
func (w *writing) known(row *chainRow, e record.Entry) error {
	var rid []byte
	err := w.row("SELECT rid FROM record WHERE chain = ? AND seq = ?", []any{row.id, int64(e.Header.Seq)}, &rid)
	if err == nil && string(rid) != string(e.ID[:]) {
		return ErrTaken
	}
	return err
}

// chain is the row of a chain; nil if there is none.
func (w *writing) chain(scope uint64, c record.Chain) (*chainRow, error) {
	name := chainName{scope, c}
	if row := w.rows[name]; row != nil {
		return row, nil
	}
	row := &chainRow{}
	err := w.row("SELECT id, low, high FROM chain WHERE scope = ? AND author = ? AND epoch = ? AND branch = ?",
		[]any{int64(scope), c.Feed.Author[:], int64(c.Feed.Epoch), branchBytes(c)}, &row.id, &row.low, &row.high)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.rows[name] = row
	return row, nil
}

// newChain makes a row; of a branch it notes where it begins.
func (w *writing) newChain(scope uint64, c record.Chain, low, high uint64, at record.Split) (*chainRow, error) {
	id, err := w.exec(`INSERT INTO chain (scope, author, epoch, branch, low, high, first, before)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, int64(scope), c.Feed.Author[:], int64(c.Feed.Epoch), branchBytes(c),
		int64(low), int64(high), int64(at.At), at.Before[:])
	if err != nil {
		return nil, err
	}
	row := &chainRow{id: id, low: low, high: high}
	w.rows[chainName{scope, c}] = row
	return row, nil
}

// reaches notes where a chain ends now; flush writes it, and where it begins.
func (w *writing) reaches(row *chainRow, high uint64) {
	if row.high = high; !row.changed {
		row.changed, w.changed = true, append(w.changed, row)
	}
}

// split moves the records of a chain from a number on to a branch. The chain itself stays as long as it has any.
func (w *writing) split(scope uint64, s record.Split) error {
	if s.Branch.IsZero() {
		return nil
	}
	row, err := w.chain(scope, s.Chain)
	if err != nil || row == nil || s.At > row.high {
		return err
	}
	to := record.Chain{Feed: s.Chain.Feed, Branch: s.Branch}
	if taken, err := w.chain(scope, to); err != nil || taken != nil {
		return errors.Join(err, ErrTaken)
	}
	at := max(s.At, row.low)
	branch, err := w.newChain(scope, to, at, row.high, s)
	if err != nil {
		return err
	}
	_, err = w.exec("UPDATE record SET chain = ? WHERE chain = ? AND seq >= ?", branch.id, row.id, number(s.At))
	if err != nil {
		return err
	}
	left := 0
	if err := w.row("SELECT count(*) FROM record WHERE chain = ?", []any{row.id}, &left); err != nil {
		return err
	}
	row.low = min(row.low, s.At)
	if w.reaches(row, s.At-1); left > 0 {
		return nil
	}
	delete(w.rows, chainName{scope, s.Chain})
	_, err = w.exec("DELETE FROM chain WHERE id = ?", row.id)
	return err
}

// flush writes the chains that changed.
func (w *writing) flush() error {
	for _, row := range w.changed {
		_, err := w.exec("UPDATE chain SET low = ?, high = ? WHERE id = ?", int64(row.low), int64(row.high), row.id)
		if err != nil {
			return err
		}
		row.changed = false
	}
	return nil
}
