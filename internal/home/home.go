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
	"time"

	"github.com/gofrs/flock"

	"bcast/identity"
)

// The files of a home.
const (
	keyFile    = "device.key"
	stateFile  = "state.json"
	roomsFile  = "rooms.json"
	trustFile  = "trust.json"
	seenFile   = "devices.json"
	lockFile   = "lock"
	socketFile = "control.sock"
)

const keyPrefix = "bcast-device-key-1:"

// What is kept of a room unless its user says otherwise: records not older than DefaultAge, at most DefaultCount.
const (
	DefaultAge   = 90 * 24 * time.Hour
	DefaultCount = 100_000
)

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

// SocketPath is the control socket of the home dir, as seen from the working directory if it is too long otherwise. It
// fails when that is too long for a Unix socket, too.
func SocketPath(dir string) (string, error) {
	path := filepath.Join(dir, socketFile)
	if here, err := os.Getwd(); err == nil && len(path) > maxSocketPath {
		if seen, err := filepath.Rel(here, path); err == nil && len(seen) < len(path) {
			path = seen
		}
	}
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
	rooms []Room
	trust Trust

	shares []Share
	inbox  Inbox
}

// Trust is what the user decided about other devices.
type Trust struct {
	Pins    []Pin    `json:"pins,omitempty"`
	Blocked []string `json:"blocked,omitempty"` // device ids
}

// Pin says that the user compared a device's key. It is written once and never changed.
type Pin struct {
	ID   string        `json:"id"`
	Nick identity.Nick `json:"nick"` // at that time
	At   time.Time     `json:"at"`
}

// state is what changes: read and written as a whole.
type state struct {
	Boot uint32        `json:"boot"`
	Nick identity.Nick `json:"nick,omitempty"`
	// Rooms is where homes of before rooms.json keep the names of theirs.
	Rooms []identity.RoomName `json:"rooms,omitempty"`
}

// Room is a joined room and how it is kept.
type Room struct {
	Name identity.RoomName `json:"name"` // here: two rooms of one name are told apart by a tag
	// Called is the room's own name, if Name is another one.
	Called identity.RoomName `json:"called,omitempty"`
	// The keys of a private room. They are in this file and in invites, nowhere else.
	Secret      Secret `json:"secret,omitempty"`
	Epoch       uint32 `json:"epoch,omitempty"`
	EpochSecret Secret `json:"epoch_secret,omitempty"`
	Invited     Secret `json:"invited,omitempty"` // EpochSecret as the last invite had it

	// Peer is the public key of the other one of a direct room, with the nick that it had when it was last here.
	Peer     []byte        `json:"peer,omitempty"`
	PeerNick identity.Nick `json:"peer_nick,omitempty"`
	// Asked tells that the other one opened the direct room, and that nothing was said here in it yet.
	Asked bool `json:"asked,omitempty"`

	Ephemeral bool          `json:"ephemeral,omitempty"`
	Age       time.Duration `json:"age,omitempty"` // retention: nanoseconds; zero is no bound
	Count     int           `json:"count,omitempty"`
	Bytes     int64         `json:"bytes,omitempty"`
}

// Secret is the bytes of a room's key. It is written to the home and to nothing else.
type Secret []byte

// Format keeps the secret out of logs and error texts, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

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
	if _, err := h.readFile(stateFile, &h.state); err != nil {
		return err
	}
	if _, err := h.readFile(trustFile, &h.trust); err != nil {
		return err
	}
	if _, err := h.readFile(sharesFile, &h.shares); err != nil {
		return err
	}
	if _, err := h.readFile(inboxFile, &h.inbox); err != nil {
		return err
	}
	known, err := h.readFile(roomsFile, &h.rooms)
	if err != nil {
		return err
	}
	if !known {
		for _, name := range h.state.Rooms {
			h.rooms = append(h.rooms, Room{Name: name, Age: DefaultAge, Count: DefaultCount})
		}
		if err := h.SetRooms(h.rooms); err != nil { // before state.json forgets them
			return err
		}
	}
	h.state.Rooms = nil
	h.state.Boot++
	return h.save()
}

// readFile reads a file of the home and tells whether it is there.
func (h *Home) readFile(name string, into any) (bool, error) {
	path := filepath.Join(h.dir, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read home: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, &CorruptError{path, err}
	}
	return true, nil
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

func (h *Home) save() error { return h.writeFile(stateFile, h.state) }

func (h *Home) writeFile(name string, value any) error {
	b, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		return fmt.Errorf("write home: %w", err)
	}
	return writeFile(filepath.Join(h.dir, name), append(b, '\n'))
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
	syncDir(filepath.Dir(path))
	return nil
}

// syncDir makes a rename last over a loss of power, where the system can do that; elsewhere the file system sees to it.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// BootID names this run of the kernel; empty where the system does not tell.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Key is the device's key.
func (h *Home) Key() *identity.Key { return h.key }

// Boot is how often the home was opened, this time included.
func (h *Home) Boot() uint32 { return h.state.Boot }

// RaiseBoot has the next opening count from boot on: this run went on as a later one.
func (h *Home) RaiseBoot(boot uint32) error {
	h.state.Boot = max(h.state.Boot, boot)
	return h.save()
}

// Nick is the nick last chosen, empty if none was.
func (h *Home) Nick() identity.Nick { return h.state.Nick }

// SetNick remembers a nick.
func (h *Home) SetNick(n identity.Nick) error {
	h.state.Nick = n
	return h.save()
}

// Rooms are the rooms joined when the home was last used.
func (h *Home) Rooms() []Room { return h.rooms }

// SetRooms remembers the rooms joined now.
func (h *Home) SetRooms(rooms []Room) error {
	h.rooms = rooms
	return h.writeFile(roomsFile, h.rooms)
}

// Trust is what was decided about other devices.
func (h *Home) Trust() Trust { return h.trust }

// SetTrust remembers it.
func (h *Home) SetTrust(t Trust) error {
	h.trust = t
	return h.writeFile(trustFile, t)
}

// ReadDevices reads the devices of the subnet that were seen, as they were written; without a file there were none.
func (h *Home) ReadDevices(into any) error {
	_, err := h.readFile(seenFile, into)
	return err
}

// WriteDevices remembers them.
func (h *Home) WriteDevices(devices any) error { return h.writeFile(seenFile, devices) }

// Close lets another process use the home.
func (h *Home) Close() error {
	if err := h.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock home: %w", err)
	}
	return nil
}

// Look reads whose home dir is, under which nick, and which rooms it has joined, without locking or changing it.
func Look(dir string) (identity.DeviceID, identity.Nick, []Room, error) {
	if _, err := os.Stat(filepath.Join(dir, keyFile)); err != nil {
		return identity.DeviceID{}, "", nil, fmt.Errorf("read home: %w", err)
	}
	h := &Home{dir: dir}
	if err := h.readKey(nil); err != nil {
		return identity.DeviceID{}, "", nil, err
	}
	_, err := h.readFile(stateFile, &h.state)
	if err == nil {
		_, err = h.readFile(roomsFile, &h.rooms)
	}
	return h.key.ID(), h.state.Nick, h.rooms, err
}
