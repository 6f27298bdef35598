package history

import (
	"bytes"
	"cmp"
	"database/sql"
	"maps"
	"slices"

	"bcast/internal/record"
)

// Heads prove forks where the records that they are of never came: see record.Split.

// heads keeps the heads that prove forks.
func (w *writing) heads(b record.Batch) error {
	for _, s := range b.Splits {
		for _, h := range s.Heads {
			if err := w.head(b.Scope, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writing) head(scope uint64, head *record.Record) error {
	h := &head.Header
	feed := []any{int64(scope), h.Feed.Author[:], int64(h.Feed.Epoch)}
	_, err := w.exec("INSERT OR IGNORE INTO head (scope, author, epoch, seq, rid, bytes) VALUES (?, ?, ?, ?, ?, ?)",
		append(feed, number(h.Seq), head.ID[:], head.Head())...)
	if err != nil {
		return err
	}
	_, err = w.exec(`DELETE FROM head WHERE scope = ?1 AND author = ?2 AND epoch = ?3 AND rid IN (SELECT rid FROM head
		WHERE scope = ?1 AND author = ?2 AND epoch = ?3 ORDER BY seq, rid LIMIT -1 OFFSET ?4)`,
		append(feed, record.MaxHeads)...)
	return err
}

// forgetHeads forgets those of feeds that have no chain any more.
func (w *writer) forgetHeads(scope uint64) error {
	_, err := w.exec(`DELETE FROM head WHERE scope = ? AND NOT EXISTS (SELECT 1 FROM chain
		WHERE chain.scope = head.scope AND chain.author = head.author AND chain.epoch = head.epoch)`, int64(scope))
	return err
}

// heads are those of a scope that prove forks.
func (r *reader) heads(scope uint64, room record.RoomID) ([]*record.Record, error) {
	var heads []*record.Record
	rows, err := r.query("SELECT rid, bytes FROM head WHERE scope = ?", int64(scope))
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var rid, b []byte
		if err := rows.Scan(&rid, &b); err != nil {
			return err
		}
		if h, err := record.ParseHead(room, b); err == nil && bytes.Equal(h.ID[:], rid) { // else it is damaged
			heads = append(heads, h)
		}
		return nil
	})
	slices.SortFunc(heads, compareHeads)
	return heads, failed("read", err)
}

// keepHeads keeps the heads that prove forks.
func (s *scope) keepHeads(splits []record.Split) {
	for _, split := range splits {
		for _, h := range split.Heads {
			heads := s.heads[h.Header.Feed]
			if at, known := slices.BinarySearchFunc(heads, h, compareHeads); !known {
				heads = slices.Insert(heads, at, h)
				s.heads[h.Header.Feed] = heads[:min(len(heads), record.MaxHeads)]
			}
		}
	}
}

// forgetHeads forgets those of feeds that have no chain any more.
func (s *scope) forgetHeads() {
	known := map[record.Feed]bool{}
	for c := range s.chains {
		known[c.Feed] = true
	}
	maps.DeleteFunc(s.heads, func(f record.Feed, _ []*record.Record) bool { return !known[f] })
}

func compareHeads(a, b *record.Record) int {
	of := func(h *record.Record) record.Chain { return record.Chain{Feed: h.Header.Feed} }
	return cmp.Or(of(a).Compare(of(b)), cmp.Compare(a.Header.Seq, b.Header.Seq), bytes.Compare(a.ID[:], b.ID[:]))
}
