package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// markFile is the counter file beside the database: what the database itself cannot tell of its past.
const markFile = "history.mark"

// mark is what we know of the last use of the database, from beside it.
type mark struct {
	Generation int64  `json:"generation"` // counts the times it was opened
	File       stamp  `json:"file"`       // the database when the mark was written
	Boot       string `json:"boot"`       // the run of the system
	Full       bool   `json:"full"`       // every commit was safe on the disk at once
	Clean      bool   `json:"clean"`      // it was closed
}

// stamp tells a file from its copies: a copy made under another name is another file, and one that was copied over it
// changed when that was done, which no program can set. Zero: the system does not tell.
type stamp struct {
	File    uint64 `json:"number"`
	Changed int64  `json:"changed"` // nanoseconds since 1970
}

func (s stamp) String() string { return fmt.Sprintf("%d %d", s.File, s.Changed) }

// seen is what is there when the database is opened, before anything is written.
type seen struct {
	generation int64 // the database's own count
	file, mark stamp
	expected   string // the mark's stamp, as the database has it
	boot       string
	sound      bool
}

// resumes tells whether own feeds may be continued from a database: whether nothing that we ever sent can be missing in
// it. before is the mark that lies beside it; nil: none that can be believed.
//
// Else a number could be used twice: with a database that is new, was damaged, restored or copied, or lost its last
// commits (power went, or may have gone, without full durability). That of a closed database is seen from its stamp,
// which the mark has; that of one that was not closed changed since, but the mark did not, and the database has its
// stamp. Who changes a file's owner or mode changes its stamp: that costs a new feed and nothing else.
func resumes(before *mark, now seen) bool {
	switch {
	case before == nil || now.generation == 0 || !now.sound:
		return false
	case before.Generation != now.generation || before.File.File != now.file.File:
		return false
	case before.Clean:
		return before.File == now.file
	case now.mark.String() != now.expected:
		return false
	}
	return before.Full || now.boot != "" && before.Boot == now.boot
}

// readMark is nil if there is none that can be believed.
func readMark(dir string) *mark {
	b, err := os.ReadFile(filepath.Join(dir, markFile))
	if err != nil {
		return nil
	}
	var m mark
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	return &m
}

// writeMark replaces the mark in one step that outlasts a loss of power.
func writeMark(dir string, m mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, markFile)
	next := path + ".next" // always the same, so that a crash leaves one at most
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if d, err := os.Open(dir); err == nil {
		d.Sync() // not every system can; the rename is whole all the same
		d.Close()
	}
	return nil
}
