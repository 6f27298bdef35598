package history

import (
	"database/sql"
	"encoding/json"
	"time"

	"bcast/internal/record"
)

// Filling the full text takes its time beside the commits: so many records at once, and a pause after each step, so
// that who appends does not wait for it.
const (
	indexStep  = 200
	indexPause = 10 * time.Millisecond
	// While records are appended one after the other the full text waits: for a moment without, or until so many are
	// missing in it, which a search has to read itself.
	indexCalm   = 50 * time.Millisecond
	indexBehind = 4096
)

// index fills the full text behind the commits until the Disk is closed.
func (d *Disk) index() {
	well := true
	for {
		more, err := d.indexSome()
		if well != (err == nil) {
			if well = err == nil; !well { // once, and not with each commit while the disk is full
				d.log.Warn("the full text of the history stays behind", "err", err)
			}
		}
		if more {
			select {
			case <-time.After(indexPause):
				continue
			case <-d.stop:
				return
			}
		}
		select {
		case <-d.wake:
		case <-d.stop:
			return
		}
		if !d.calm() {
			return
		}
	}
}

// calm waits until it is time to fill the full text; false: the Disk is closed.
func (d *Disk) calm() bool {
	for d.behind.Load() < indexBehind {
		select {
		case <-d.wake:
			continue
		case <-time.After(indexCalm):
		case <-d.stop:
			return false
		}
		break
	}
	d.behind.Store(0)
	return true
}

// indexSome adds the next records to the full text and tells whether there are more.
func (d *Disk) indexSome() (more bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found tail
	collect := func(rows *sql.Rows) error { return found.add(rows, nil) }
	err = d.write.transact(func() error {
		err := d.write.rows(`SELECT record.id, record.bytes, room FROM record JOIN scope ON scope.id = record.scope
			WHERE record.id > (SELECT upto FROM indexed) ORDER BY record.id LIMIT ?`, []any{indexStep}, collect)
		if err != nil || found.rows == 0 {
			return err
		}
		for i, id := range found.ids {
			if _, err := d.write.exec("INSERT INTO words (rowid, text) VALUES (?, ?)", id, found.texts[i]); err != nil {
				return err
			}
		}
		_, err = d.write.exec("UPDATE indexed SET upto = ?", found.last)
		return err
	})
	return err == nil && found.rows == indexStep, failed("fill the full text", err)
}

// tail is what has not got into the full text yet.
type tail struct {
	rows  int
	last  int64
	ids   []int64
	texts []string
}

// add takes a row of id, bytes and room, if it holds all words; nil: if it has any text.
func (t *tail) add(rows *sql.Rows, words []string) error {
	var b, room sql.RawBytes
	if err := rows.Scan(&t.last, &b, &room); err != nil {
		return err
	}
	t.rows++
	var id record.RoomID
	copy(id[:], room)
	rec, err := record.Parse(id, b)
	if err != nil {
		return nil // damaged: nothing to find
	}
	if text := textOf(rec.Body); text != "" && (words == nil || holds(text, words)) {
		t.ids, t.texts = append(t.ids, t.last), append(t.texts, text)
	}
	return nil
}

// found is a condition on record.id, with its arguments, for the records of a scope that hold all words of a text. What
// has not got into the full text is read first: what gets there meanwhile is found twice, which is no harm.
func (r *reader) found(scope uint64, text string) (condition string, args []any, err error) {
	words := wordsOf(text)
	if len(words) == 0 {
		return "FALSE", nil, nil
	}
	var t tail
	rows, err := r.query(`SELECT record.id, record.bytes, room FROM record JOIN scope ON scope.id = record.scope
		WHERE record.id > (SELECT upto FROM indexed) AND +record.scope = ?`, int64(scope))
	if err := eachRow(rows, err, func(rows *sql.Rows) error { return t.add(rows, words) }); err != nil {
		return "", nil, failed("search", err)
	}
	list, err := json.Marshal(t.ids)
	if err != nil {
		return "", nil, failed("search", err)
	}
	return "(record.id IN (SELECT rowid FROM words WHERE words MATCH ?) OR record.id IN (SELECT value FROM json_each(?)))",
		[]any{match(words), string(list)}, nil
}

// match is the words in the language of the full text: each quoted, so that none is a command, the last maybe cut
// short. None holds a quote itself: wordsOf left nothing but letters, numbers and marks.
func match(words []string) string {
	var query []byte
	for _, w := range words {
		query = append(append(append(query, '"'), w...), '"', ' ')
	}
	return string(append(query[:len(query)-1], '*'))
}
