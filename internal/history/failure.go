package history

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FailedError says that the disk did not do its part: it is full, cannot be written or read, or the file is damaged.
// What was kept before is still there, and later calls may do well again.
type FailedError struct {
	Op  string
	Err error
}

func (e *FailedError) Error() string { return fmt.Sprintf("history: %s: %v", e.Op, e.Err) }
func (e *FailedError) Unwrap() error { return e.Err }

// failed tells what the disk or the file did from what we did wrong.
func failed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case refused(err):
		return err
	}
	switch codeOf(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL:
		return &FailedError{op, err}
	}
	return fmt.Errorf("history: %s: %w", op, err)
}

// refused tells whether we took back a transaction ourselves: nothing of it is kept.
func refused(err error) bool {
	return errors.Is(err, ErrGap) || errors.Is(err, ErrTaken) || errors.Is(err, ErrScope)
}

// codeOf is SQLite's own word for an error, without what it adds to it; 0 for an error that is not SQLite's.
func codeOf(err error) int {
	var known *sqlite.Error
	if errors.As(err, &known) {
		return known.Code() & 0xff
	}
	return 0
}

// explain says what to do about a file that cannot be used.
func explain(err error) error {
	switch codeOf(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return damaged(err)
	}
	return failed("begin", err)
}

func damaged(err error) error {
	return fmt.Errorf("it is damaged (%w): restore it from a backup, or move it away, and what members have comes back "+
		"from them", err)
}
