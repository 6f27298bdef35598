package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
)

// database/sql with the driver, and not the driver's own calls: it has the pool that readers need, and what it costs
// beside the rows themselves was measured to be little.

// busyWait is how long a connection waits for another process that holds the database.
const busyWait = 5 * time.Second

// readers is how many readings may go on at once.
const readers = 4

// cacheSize is what a connection may keep of the file in memory, in KiB.
const cacheSize = 4 << 10

// walSize is what is left of the write-ahead log when it was large for once, in bytes.
const walSize = 16 << 20

func connect(path string, most int, query url.Values, pragmas ...string) (*sql.DB, error) {
	pragmas = append(pragmas, fmt.Sprintf("busy_timeout=%d", busyWait.Milliseconds()), "foreign_keys=0", "mmap_size=0",
		fmt.Sprintf("cache_size=-%d", cacheSize), fmt.Sprintf("journal_size_limit=%d", walSize))
	query["_pragma"] = pragmas
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// writer is the one connection that writes. Its statements are prepared once; transactions are begun and ended by hand,
// since one of database/sql would prepare them each time. It belongs to who holds Disk.mu.
type writer struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

func newWriter(db *sql.DB) (*writer, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, prepared: map[string]*sql.Stmt{}}, nil
}

func (w *writer) statement(text string) (*sql.Stmt, error) {
	if known := w.prepared[text]; known != nil {
		return known, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), text)
	if err == nil {
		w.prepared[text] = s
	}
	return s, err
}

// exec runs a statement; made is the row it inserted.
func (w *writer) exec(text string, args ...any) (made int64, err error) {
	s, err := w.statement(text)
	if err != nil {
		return 0, err
	}
	result, err := s.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// row reads one row; it fails with sql.ErrNoRows if there is none.
func (w *writer) row(text string, args []any, into ...any) error {
	s, err := w.statement(text)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(into...)
}

// rows calls do with each row.
func (w *writer) rows(text string, args []any, do func(*sql.Rows) error) error {
	s, err := w.statement(text)
	if err != nil {
		return err
	}
	rows, err := s.Query(args...)
	return eachRow(rows, err, do)
}

// errEnough ends the reading of rows: it is well, and no more are needed.
var errEnough = errors.New("enough")

// eachRow calls do with each row of a query.
func eachRow(rows *sql.Rows, err error, do func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err == errEnough {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

// script runs statements that are not worth keeping.
func (w *writer) script(text string) error {
	_, err := w.conn.ExecContext(context.Background(), text)
	return err
}

// close ends the connection. database/sql does not know of its statements, and SQLite does not close a connection that
// has any.
func (w *writer) close() error {
	var errs []error
	for _, s := range w.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// transact does something whole or not at all.
func (w *writer) transact(do func() error) error {
	if _, err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		_, err = w.exec("COMMIT")
	}
	if err != nil { // it fails where a full disk has rolled back already, and then there is nothing left to do
		w.exec("ROLLBACK")
	}
	return err
}

// statements are those of readers, prepared once for each connection. Their texts are few: no value is part of one.
type statements struct {
	db *sql.DB
	mu sync.Mutex
	of map[string]*sql.Stmt
}

func (s *statements) query(text string, args ...any) (*sql.Rows, error) {
	s.mu.Lock()
	known, err := s.of[text], error(nil)
	if known == nil {
		if known, err = s.db.Prepare(text); err == nil {
			s.of[text] = known
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return known.Query(args...)
}
