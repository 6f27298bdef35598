// Package home is a device's home directory: the secret key, the boot count, the nick and the joined rooms, and the
// lock that lets one process at a time be the device.
//
// Its invariant: a file is either as it was or as it was meant to be, never half written, and nothing in the directory
// can be read by another user. It knows no network and no room's content.
package home

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"bcast/identity"
)

// The files of a home.
const (
	keyFile    = "device.key"
	stateFile  = "state.json"
	lockFile   = "lock"
	socketFile = "control.sock"
)

const keyPrefix = "bcast-device-key-1:"

// maxSocketPath is what every system takes as the path of a Unix socket, in bytes.
const maxSocketPath = 100

// ErrLocked says that another process is this device now.
var ErrLocked = errors.New("another bcast uses this home")

// CorruptError says that a file of the home is damaged. Nothing was changed.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("read %s: damaged: %v", e.Path, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// Default is where the home is when nothing says otherwise: BCAST_HOME, else bcast below the XDG state directory.
func Default(getenv func(string) string) (string, error) {
	if dir := getenv("BCAST_HOME"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "bcast"), nil
	}
	if dir := getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".local", "state", "bcast"), nil
	}
	if dir, err := os.UserConfigDir(); err == nil { // Windows has no HOME
		return filepath.Join(dir, "bcast"), nil
	}
	return "", errors.New("neither BCAST_HOME, XDG_STATE_HOME nor HOME is set")
}

// SocketPath is the control socket of the home dir. It fails when the path is too long for a Unix socket.
func SocketPath(dir string) (string, error) {
	path := filepath.Join(dir, socketFile)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("socket path %s: %d bytes, at most %d: choose a shorter home", path, len(path), maxSocketPath)
	}
	return path, nil
}

// Home is an open home directory. It belongs to one goroutine.
type Home struct {
	dir   string
	lock  *flock.Flock
	key   *identity.Key
	state state
}

// state is what changes: read and written as a whole.
type state struct {
	Boot  uint32              `json:"boot"`
	Nick  identity.Nick       `json:"nick,omitempty"`
	Rooms []identity.RoomName `json:"rooms,omitempty"`
}

// Open locks the home dir, made if it is not there, reads it and counts one more boot. random makes the key of a new
// device. It fails with ErrLocked, a *CorruptError, or what the file system says.
func Open(dir string, random io.Reader) (*Home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make home: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("close home to others: %w", err)
	}
	h := &Home{dir: dir, lock: flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))}
	locked, err := h.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock home: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("open home %s: %w", dir, ErrLocked)
	}
	if err := h.read(random); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Home) read(random io.Reader) error {
	if err := h.readKey(random); err != nil {
		return err
	}
	path := filepath.Join(h.dir, stateFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read home: %w", err)
	default:
		if err := json.Unmarshal(b, &h.state); err != nil {
			return &CorruptError{path, err}
		}
	}
	h.state.Boot++
	return h.save()
}

func (h *Home) readKey(random io.Reader) error {
	path := filepath.Join(h.dir, keyFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h.makeKey(path, random)
	}
	if err != nil {
		return fmt.Errorf("read device key: %w", err)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(b)), keyPrefix)
	if !ok {
		return &CorruptError{path, fmt.Errorf("does not begin with %s", keyPrefix)}
	}
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return &CorruptError{path, errors.New("not base64")} // the cause would quote the secret
	}
	if h.key, err = identity.KeyFromSeed(seed); err != nil {
		return &CorruptError{path, err}
	}
	return nil
}

func (h *Home) makeKey(path string, random io.Reader) (err error) {
	if h.key, err = identity.NewKey(random); err != nil {
		return err
	}
	return writeFile(path, []byte(keyPrefix+base64.StdEncoding.EncodeToString(h.key.Seed())+"\n"))
}

func (h *Home) save() error {
	b, err := json.MarshalIndent(h.state, "", "\t")
	if err != nil {
		return fmt.Errorf("write home: %w", err)
	}
	return writeFile(filepath.Join(h.dir, stateFile), append(b, '\n'))
}

// writeFile replaces a file in one step: written aside, synced, renamed.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Key is the device's key.
func (h *Home) Key() *identity.Key { return h.key }

// Boot is how often the home was opened, this time included.
func (h *Home) Boot() uint32 { return h.state.Boot }

// Nick is the nick last chosen, empty if none was.
func (h *Home) Nick() identity.Nick { return h.state.Nick }

// SetNick remembers a nick.
func (h *Home) SetNick(n identity.Nick) error {
	h.state.Nick = n
	return h.save()
}

// Rooms are the rooms joined when the home was last used.
func (h *Home) Rooms() []identity.RoomName { return h.state.Rooms }

// SetRooms remembers the rooms joined now.
func (h *Home) SetRooms(rooms []identity.RoomName) error {
	h.state.Rooms = rooms
	return h.save()
}

// Close lets another process use the home.
func (h *Home) Close() error {
	if err := h.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock home: %w", err)
	}
	return nil
}
