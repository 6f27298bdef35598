package history

import (
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"bcast/internal/record"
)

// giveUpStep is how many records are given up in one transaction at most: when a bound was lowered, who appends does
// not wait for all that is too much, and the log does not grow with it. It is more than one batch brings.
const giveUpStep = 8192

// shrink gives up the oldest records of a scope: while they are too many or too large, and those kept before oldest.
// Each is the first that is left of its chain, since chains have no gaps.
func (d *Disk) shrink(scope uint64, oldest int64) ([]record.Floor, error) {
	var count, bytes, records, size int64
	err := d.write.row("SELECT count, bytes, records, size FROM scope WHERE id = ?", []any{int64(scope)},
		&count, &bytes, &records, &size)
	if errors.Is(err, sql.ErrNoRows) { // forgotten since
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	untold, err := d.lows(scope)
	if err != nil {
		return nil, err
	}
	tooMany, tooLarge := passes(records, count), passes(size, bytes)
	if !tooMany && !tooLarge && oldest == math.MinInt64 {
		return untold, nil
	}
	var last int64
	low := map[int64]uint64{} // by the id of the chain
	err = d.write.rows(`SELECT id, chain, seq, kept, length(bytes) FROM record INDEXED BY record_scope
		WHERE scope = ? ORDER BY id LIMIT ?`, []any{int64(scope), giveUpStep}, func(rows *sql.Rows) error {
		var id, chain, seq, kept, length int64
		if err := rows.Scan(&id, &chain, &seq, &kept, &length); err != nil {
			return err
		}
		if !(tooMany && records > count || tooLarge && size > bytes || kept < oldest) {
			return errEnough
		}
		records, size, last, low[chain] = records-1, size-length, id, uint64(seq)+1
		return nil
	})
	if err != nil || last == 0 {
		return untold, err
	}
	_, err = d.write.exec("UPDATE scope SET records = ?, size = ? WHERE id = ?", records, size, int64(scope))
	if err != nil {
		return nil, err
	}
	floors, err := d.raise(scope, low)
	if err != nil {
		return nil, err
	}
	return merge(untold, floors), d.deleteRecords(scope, last)
}

// lows are the beginnings of all chains of a scope of which a transaction failed, else nothing: it may have been kept
// all the same, and then nobody was told what it gave up.
func (d *Disk) lows(scope uint64) ([]record.Floor, error) {
	if !d.untold[scope] {
		return nil, nil
	}
	var floors []record.Floor
	err := d.write.rows("SELECT author, epoch, branch, low FROM chain WHERE scope = ?", []any{int64(scope)},
		func(rows *sql.Rows) error {
			var author, branch []byte
			var epoch, low int64
			err := rows.Scan(&author, &epoch, &branch, &low)
			floors = merge(floors, []record.Floor{{Chain: chainFrom(author, epoch, branch), Low: uint64(low)}})
			return err
		})
	return floors, err
}

// settle notes how a transaction on a scope ended.
func (d *Disk) settle(scope uint64, err error) {
	if err == nil {
		delete(d.untold, scope)
		return
	}
	d.chains.forget()
	if !refused(err) {
		d.untold[scope] = true
	}
}

// raise lets chains, by their ids, begin later.
func (d *Disk) raise(scope uint64, low map[int64]uint64) ([]record.Floor, error) {
	var floors []record.Floor
	for id, l := range low {
		var author, branch []byte
		var epoch, was int64
		err := d.write.row("SELECT low, author, epoch, branch FROM chain WHERE id = ?", []any{id},
			&was, &author, &epoch, &branch)
		if err != nil {
			return nil, err
		}
		c := chainFrom(author, epoch, branch)
		l = max(l, uint64(was)) // what is gone may be from before the chain began anew
		if row := d.chains.rows[chainName{scope, c}]; row != nil {
			row.low = l
		}
		if _, err := d.write.exec("UPDATE chain SET low = ? WHERE id = ?", int64(l), id); err != nil {
			return nil, err
		}
		floors = append(floors, record.Floor{Chain: c, Low: l})
	}
	slices.SortFunc(floors, func(a, b record.Floor) int { return a.Chain.Compare(b.Chain) })
	return floors, nil
}

// deleteRecords deletes those of a scope up to a row. The next row may get the number of one that is gone, so what the
// full text has may end earlier now.
func (d *Disk) deleteRecords(scope uint64, last int64) error {
	for _, statement := range []string{
		"DELETE FROM target WHERE record IN (SELECT id FROM record INDEXED BY record_scope WHERE scope = ?1 AND id <= ?2)",
		`DELETE FROM words WHERE rowid IN
			(SELECT id FROM record INDEXED BY record_scope WHERE scope = ?1 AND id <= ?2 AND id <= (SELECT upto FROM indexed))`,
		"DELETE FROM record INDEXED BY record_scope WHERE scope = ?1 AND id <= ?2",
	} {
		if _, err := d.write.exec(statement, int64(scope), last); err != nil {
			return err
		}
	}
	_, err := d.write.exec("UPDATE indexed SET upto = min(upto, (SELECT coalesce(max(id), 0) FROM record))")
	return err
}

// Prune gives up what is too old, and what is too much where nothing is appended any more.
func (d *Disk) Prune(now time.Time) (map[uint64][]record.Floor, error) {
	given, err := d.memory.Prune(now)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	ages := map[uint64]int64{}
	bounded := "SELECT id, age FROM scope WHERE age > 0 OR count > 0 OR bytes > 0"
	err = d.write.rows(bounded, nil, func(rows *sql.Rows) error {
		var scope, age int64
		err := rows.Scan(&scope, &age)
		ages[uint64(scope)] = age
		return err
	})
	d.mu.Unlock()
	for scope, age := range ages {
		oldest := int64(math.MinInt64)
		if age > 0 {
			oldest = now.Add(-time.Duration(age)).UnixNano()
		}
		for more := true; more && err == nil; {
			var floors []record.Floor
			if floors, err = d.prune(scope, oldest); err == nil {
				more = len(floors) > 0
				given[scope] = merge(given[scope], floors)
			}
		}
		if len(given[scope]) == 0 {
			delete(given, scope)
		}
		if err == nil {
			err = d.forgetGone(scope)
		}
	}
	return given, failed("give up old records", err)
}

// prune is one step, between which others write.
func (d *Disk) prune(scope uint64, oldest int64) (floors []record.Floor, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err = d.write.transact(func() error {
		floors, err = d.shrink(scope, oldest)
		return err
	})
	d.settle(scope, err)
	return floors, err
}

// forgetGone forgets chains of which nothing is kept, the oldest first, where there are more than maxGone, and heads of
// feeds that have no chain any more. A chain of which something is left from before it began anew stays: who gives that
// up looks for it.
func (d *Disk) forgetGone(scope uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chains.forget()
	_, err := d.write.exec(`DELETE FROM chain WHERE scope = ?1 AND high < low AND id <= (SELECT id FROM chain
		WHERE scope = ?1 AND high < low ORDER BY id DESC LIMIT 1 OFFSET ?2)
		AND NOT EXISTS (SELECT 1 FROM record WHERE record.chain = chain.id)`, int64(scope), maxGone)
	if err != nil {
		return err
	}
	return d.write.forgetHeads(scope)
}

// merge is floors where later ones replace earlier ones of the same chain.
func merge(floors, later []record.Floor) []record.Floor {
	for _, f := range later {
		at, known := slices.BinarySearchFunc(floors, f, func(a, b record.Floor) int { return a.Chain.Compare(b.Chain) })
		if known {
			floors[at] = f
		} else {
			floors = slices.Insert(floors, at, f)
		}
	}
	return floors
}
