package history

import (
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks our files among all that are SQLite's ("bcst").
const applicationID = 0x62637374

// migrations bring a database from each version to the next; PRAGMA user_version counts them. One that was released is
// never changed.
var migrations = []string{`
-- How often the file was opened, and the stamp of the mark that was written then.
CREATE TABLE generation (number INTEGER NOT NULL, mark TEXT NOT NULL) STRICT;
INSERT INTO generation VALUES (0, '');

CREATE TABLE scope (
	id       INTEGER PRIMARY KEY,
	room     BLOB NOT NULL,
	networks BLOB NOT NULL, -- 16 bytes each
	members  BLOB NOT NULL, -- 16 bytes each
	age      INTEGER NOT NULL, -- retention: nanoseconds, records, bytes; 0: no bound
	count    INTEGER NOT NULL,
	bytes    INTEGER NOT NULL,
	born     INTEGER NOT NULL,
	own      BLOB, -- author and epoch of our own feed written last; null: not sure to have all of it
	records  INTEGER NOT NULL DEFAULT 0, -- kept now, and their bytes
	size     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX scope_room ON scope (room, born);

CREATE TABLE chain (
	id     INTEGER PRIMARY KEY,
	scope  INTEGER NOT NULL,
	author BLOB NOT NULL,
	epoch  INTEGER NOT NULL, -- 64 bits, as they are
	branch BLOB NOT NULL,    -- empty: the feed itself
	low    INTEGER NOT NULL, -- high + 1: nothing is kept any more
	high   INTEGER NOT NULL,
	UNIQUE (scope, author, epoch, branch)
) STRICT;

-- One row a record, in the order in which they came.
CREATE TABLE record (
	id    INTEGER PRIMARY KEY,
	chain INTEGER NOT NULL,
	seq   INTEGER NOT NULL,
	scope INTEGER NOT NULL,
	ord   INTEGER NOT NULL,
	rid   BLOB NOT NULL,
	kept  INTEGER NOT NULL, -- when, by our own clock
	wall  INTEGER NOT NULL, -- when it was said, by its author's
	marks INTEGER NOT NULL, -- 1: shows something, 2: says how things stand
	bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_seq ON record (chain, seq);
CREATE INDEX record_scope ON record (scope); -- and with it the order in which they came
CREATE INDEX record_order ON record (scope, ord, rid);
CREATE UNIQUE INDEX record_rid ON record (rid, scope);
CREATE INDEX record_standing ON record (scope, ord, rid) WHERE marks & 2;

CREATE TABLE target (target BLOB NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (target, record)) WITHOUT ROWID, STRICT;
CREATE INDEX target_record ON target (record);

CREATE TABLE roster (
	scope   INTEGER NOT NULL,
	author  BLOB NOT NULL,
	epoch   INTEGER NOT NULL,
	start   INTEGER NOT NULL, -- in force from this number on
	members BLOB NOT NULL,
	PRIMARY KEY (scope, author, epoch, start)
) WITHOUT ROWID, STRICT;

CREATE TABLE level (
	scope  INTEGER NOT NULL,
	author BLOB NOT NULL,
	epoch  INTEGER NOT NULL,
	branch BLOB NOT NULL,
	device BLOB NOT NULL,
	high   INTEGER NOT NULL,
	PRIMARY KEY (scope, author, epoch, branch, device)
) WITHOUT ROWID, STRICT;

CREATE TABLE indexed (upto INTEGER NOT NULL) STRICT; -- the full text has the records up to this id
INSERT INTO indexed VALUES (0);
`, `
-- A chain may begin anew: records of it below its low are from before. What a device told of it has a beginning, too.
ALTER TABLE level ADD COLUMN low INTEGER NOT NULL DEFAULT 1;
-- Of a branch, whatever is kept of it: the number with which it began, and what its first record names as before it.
ALTER TABLE chain ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chain ADD COLUMN before BLOB NOT NULL DEFAULT x'';
`, `
-- Heads of records that prove forks, without their bodies: the records may never come.
CREATE TABLE head (
	scope  INTEGER NOT NULL,
	author BLOB NOT NULL,
	epoch  INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	rid    BLOB NOT NULL,
	bytes  BLOB NOT NULL,
	PRIMARY KEY (scope, author, epoch, seq, rid)
) WITHOUT ROWID, STRICT;
`}

// wordsTable is the full text, filled behind the commit. It is given what wordsOf found with a space between, which its
// tokenizer takes apart to just that: so it finds what a Memory finds. It is no migration, because it can be lost and
// made again.
const wordsTable = `
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
	text, content='', contentless_delete=1, detail=none, tokenize='ascii'
);
`

// inspect tells the version of a database, and changes nothing.
func inspect(db *sql.DB) (version int, err error) {
	var application, tables int
	for into, text := range map[*int]string{
		&application: "PRAGMA application_id", &version: "PRAGMA user_version", &tables: "SELECT count(*) FROM sqlite_master",
	} {
		if err := db.QueryRow(text).Scan(into); err != nil {
			return 0, err
		}
	}
	switch {
	case application != applicationID && tables > 0:
		return 0, errors.New("it is a database of another program")
	case version > len(migrations):
		return 0, fmt.Errorf("it is of version %d, this bcast knows %d: use a newer bcast", version, len(migrations))
	}
	return version, nil
}

// migrate makes the tables of a database, or brings them up from a version.
func migrate(w *writer, version int) error {
	for ; version < len(migrations); version++ {
		err := w.transact(func() error {
			return w.script(fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d",
				migrations[version], applicationID, version+1))
		})
		if err != nil {
			return fmt.Errorf("bring it to version %d: %w", version+1, err)
		}
	}
	return nil
}

// quickCheck tells what is wrong with a table, or, without a name, with the whole file; empty: nothing.
func quickCheck(db *sql.DB, table string) (trouble string, err error) {
	text := "PRAGMA quick_check(1)"
	if table != "" {
		text = "PRAGMA quick_check('" + table + "')"
	}
	if err := db.QueryRow(text).Scan(&trouble); err != nil {
		return "", err
	}
	if trouble == "ok" {
		return "", nil
	}
	return trouble, nil
}

// tables are those that cannot be made anew from others.
var tables = []string{"generation", "scope", "chain", "record", "target", "roster", "level", "indexed", "head"}

// onlyWords tells whether all but the full text is sound.
func onlyWords(db *sql.DB) bool {
	for _, table := range tables {
		if trouble, err := quickCheck(db, table); err != nil || trouble != "" {
			return false
		}
	}
	return true
}

// dropWords does away with a damaged full text. It cannot be dropped as it is, so the file is written again without it;
// that all has to be read anew is noted first, for a crash in between.
func (d *Disk) dropWords() error {
	for _, text := range []string{
		"UPDATE indexed SET upto = 0", "PRAGMA writable_schema = ON",
		`DELETE FROM sqlite_schema WHERE name = 'words' OR name LIKE 'words\_%' ESCAPE '\'`,
		"PRAGMA writable_schema = RESET", "VACUUM",
	} {
		if err := d.write.script(text); err != nil {
			return err
		}
	}
	return nil
}
