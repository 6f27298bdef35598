package history

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"bcast/internal/record"
)

// fileName is the database in a home.
const fileName = "history.db"

// Options say how a Disk keeps.
type Options struct {
	Full   bool         // every commit is safe on the disk before Append returns
	BootID string       // names the run of the system; empty: not known
	Log    *slog.Logger // nil discards
}

// Disk is a Store in a SQLite file (WAL). What is ephemeral it keeps in memory.
type Disk struct {
	reader
	dir, path string
	memory    *Memory
	pool      *sql.DB // of write
	mark      mark
	resume    bool

	mu     sync.Mutex // one writer at a time
	write  *writer
	chains chainTable
	untold map[uint64]bool // scopes of which a transaction failed, and may have given up what nobody was told of

	indexing sync.WaitGroup
	wake     chan struct{}
	behind   atomic.Int64 // records appended since the full text was last filled, about
	stop     chan struct{}
	closing  sync.Once
}

// Open opens the history of the home dir, made if there is none. It fails when the file is damaged, of a newer version
// or of another program, and then nothing is changed; and when it cannot be used.
func Open(dir string, opt Options) (*Disk, error) {
	d := &Disk{
		dir: dir, path: filepath.Join(dir, fileName), memory: NewMemory(),
		untold: map[uint64]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	d.log = opt.Log
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if err := d.open(opt); err != nil {
		err = errors.Join(err, d.release())
		return nil, fmt.Errorf("open history %s: %w", d.path, err)
	}
	d.ephemeral = d.memory
	d.indexing.Go(d.index)
	return d, nil
}

func (d *Disk) open(opt Options) error {
	now := seen{file: stampOf(d.path), mark: stampOf(filepath.Join(d.dir, markFile)), boot: opt.BootID}
	before := readMark(d.dir)
	if err := touch(d.path); err != nil {
		return err
	}
	var err error
	if d.read, err = connect(d.path, readers, url.Values{}, "query_only=1"); err != nil {
		return err
	}
	d.statements = &statements{db: d.read, of: map[string]*sql.Stmt{}}
	synchronous := "synchronous=NORMAL"
	if opt.Full {
		synchronous = "synchronous=FULL"
	}
	// Where a system calls it synced before it is, it is told to mean it.
	d.pool, err = connect(d.path, 1, url.Values{}, synchronous, "fullfsync=1", "checkpoint_fullfsync=1")
	if err != nil {
		return err
	}
	if now.sound, err = d.examine(before, now); err != nil {
		return err
	}
	if err := d.write.row("SELECT number, mark FROM generation", nil, &now.generation, &now.expected); err != nil {
		return failed("begin", err)
	}
	d.resume = resumes(before, now)
	return d.begin(now.generation+1, opt)
}

// touch makes the file ours alone before SQLite writes to it.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// examine looks at the file before anything is written, and makes it one that this version writes. It tells whether
// the file was sound.
func (d *Disk) examine(before *mark, now seen) (sound bool, err error) {
	version, err := inspect(d.read)
	if err != nil {
		return false, explain(err)
	}
	trouble := ""
	if before == nil || !before.Clean || before.File != now.file {
		if trouble, err = quickCheck(d.read, ""); err != nil {
			return false, explain(err)
		}
	}
	if trouble != "" && (version != len(migrations) || !onlyWords(d.read)) {
		return false, damaged(errors.New(trouble))
	}
	if d.write, err = newWriter(d.pool); err != nil {
		return false, explain(err)
	}
	if trouble != "" {
		d.log.Error("the full text of the history is damaged: it is made anew", "file", d.path, "trouble", trouble)
		if err := d.dropWords(); err != nil {
			return false, explain(err)
		}
	}
	var journal string
	if err := d.write.row("PRAGMA journal_mode = WAL", nil, &journal); err != nil {
		return false, explain(err)
	}
	if journal != "wal" {
		return false, errors.New("the file system shares no memory between processes: move the home to a local disk")
	}
	if err := migrate(d.write, version); err != nil {
		return false, explain(err)
	}
	return trouble == "", explain(d.write.script(wordsTable))
}

// begin counts one more time that the database is opened.
func (d *Disk) begin(generation int64, opt Options) error {
	// The mark goes first: a crash in between leaves two generations that differ, and so a new feed.
	d.mark = mark{Generation: generation, File: stampOf(d.path), Boot: opt.BootID, Full: opt.Full}
	if err := writeMark(d.dir, d.mark); err != nil {
		return err
	}
	return failed("begin", d.lasting(generation, stampOf(filepath.Join(d.dir, markFile)), !d.resume))
}

// lasting writes the generation so that it, and with it all that was written before, outlasts a loss of power: a
// commit under FULL syncs the whole log, whoever else has the file open. With doubt no own feed may be gone on with.
func (d *Disk) lasting(generation int64, of stamp, doubt bool) error {
	if err := d.write.script("PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	if err := d.write.transact(func() error {
		_, err := d.write.exec("UPDATE generation SET number = ?, mark = ?", generation, of.String())
		if err == nil && doubt {
			_, err = d.write.exec("UPDATE scope SET own = NULL") // also for those who open it next
		}
		return err
	}); err != nil || d.mark.Full {
		return err
	}
	return d.write.script("PRAGMA synchronous = NORMAL")
}

// Resumes tells whether own feeds may be continued: whether nothing that this device ever sent can be missing here.
// Where it is false, Kept tells of no own feed until a new one was written.
func (d *Disk) Resumes() bool { return d.resume }

// Close ends writing and notes that it ended well.
func (d *Disk) Close() error {
	var err error
	d.closing.Do(func() {
		close(d.stop)
		d.indexing.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		err = d.lasting(d.mark.Generation, stampOf(filepath.Join(d.dir, markFile)), false)
		if err = errors.Join(err, d.release()); err == nil {
			d.mark.Clean, d.mark.File = true, stampOf(d.path)
			err = writeMark(d.dir, d.mark)
		}
	})
	if err != nil {
		return fmt.Errorf("close history %s: %w", d.path, err)
	}
	return nil
}

// release closes what is open.
func (d *Disk) release() error {
	var errs []error
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		errs = append(errs, d.write.close())
	}
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	return errors.Join(errs...)
}

// ReadOnly is the history of a home as another process may be writing it.
type ReadOnly struct{ reader }

// OpenReadOnly opens the history of the home dir for reading. It fails with fs.ErrNotExist when there is none.
func OpenReadOnly(dir string) (*ReadOnly, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	db, err := connect(path, readers, url.Values{"mode": {"ro"}}) // else it would tidy up what it reads when it closes
	if err != nil {
		return nil, fmt.Errorf("open history %s: %w", path, err)
	}
	version, err := inspect(db)
	if err == nil && version < len(migrations) {
		err = fmt.Errorf("it is of version %d, this bcast reads %d: start a daemon on it once", version, len(migrations))
	}
	if err != nil {
		return nil, fmt.Errorf("open history %s: %w", path, errors.Join(explain(err), db.Close()))
	}
	return &ReadOnly{reader{
		read: db, statements: &statements{db: db, of: map[string]*sql.Stmt{}}, ephemeral: NewMemory(),
		log: slog.New(slog.DiscardHandler),
	}}, nil
}

// Close ends reading.
func (r *ReadOnly) Close() error { return r.read.Close() }

// KeepScope makes or changes a scope. One stays where it began, in memory or in the file.
func (d *Disk) KeepScope(s record.Scope) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := 0
	if err := d.write.row("SELECT count(*) FROM scope WHERE id = ?", []any{int64(s.ID)}, &known); err != nil {
		return failed("keep a scope", err)
	}
	if known == 0 && s.Ephemeral || d.memory.InMemory(s.ID) {
		return d.memory.KeepScope(s)
	}
	networks := make([]byte, 0, 16*len(s.Networks))
	for _, n := range s.Networks {
		networks = append(networks, n[:]...)
	}
	_, err := d.write.exec(`INSERT INTO scope (id, room, networks, members, age, count, bytes, born)
		VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(born), 0) + 1 FROM scope))
		ON CONFLICT (id) DO UPDATE SET networks = excluded.networks, members = excluded.members,
			age = excluded.age, count = excluded.count, bytes = excluded.bytes`,
		int64(s.ID), s.Room[:], networks, memberIDs(s.Members), int64(s.Retention.Age), s.Retention.Count, s.Retention.Bytes)
	return failed("keep a scope", err)
}

// InMemory tells whether a scope is kept in memory, so that appending to it takes no time.
func (d *Disk) InMemory(scope uint64) bool { return d.memory.InMemory(scope) }

// Forget drops a scope and all that is in it.
func (d *Disk) Forget(scope uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.memory.InMemory(scope) {
		return d.memory.Forget(scope)
	}
	d.chains.forget()
	return failed("forget a scope", d.write.transact(func() error {
		if err := d.deleteRecords(scope, 1<<63-1); err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM chain WHERE scope = ?", "DELETE FROM roster WHERE scope = ?", "DELETE FROM level WHERE scope = ?",
			"DELETE FROM head WHERE scope = ?", "DELETE FROM scope WHERE id = ?",
		} {
			if _, err := d.write.exec(statement, int64(scope)); err != nil {
				return err
			}
		}
		return nil
	}))
}
