package files

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"bcast/identity"
)

// Share is a directory that others may read, and may write to if it says so. For whom it is: the members of a room, one
// device, or whoever is on the network.
type Share struct {
	Name   string
	Dir    string // absolute
	Public bool
	Room   string
	Peer   identity.DeviceID
	Write  bool
	Quota  int64 // bytes that the directory may hold for others to be able to write; 0: DefaultQuota
}

// DefaultQuota is how much a share that others write to may hold, in bytes, unless its owner says otherwise.
const DefaultQuota = 10 << 30

// maxShareName is the longest name of a share in bytes.
const maxShareName = 64

// CheckShareName refuses names that do not fit between two slashes and a colon.
func CheckShareName(name string) error {
	err := checkName(name, true)
	if err == nil && strings.HasPrefix(name, offerMark) {
		err = nameError(name, "it begins with %s", offerMark)
	}
	if err == nil && len(name) > maxShareName {
		err = nameError(name, "it is longer than %d bytes", maxShareName)
	}
	if e := (*Error)(nil); err != nil {
		e = err.(*Error)
		e.Hint = "give it another one with --name"
	}
	return err
}

// ShareName is the name of a share of dir unless somebody gives it another one.
func ShareName(dir string) string {
	name := norm.NFC.String(strings.ToValidUTF8(filepath.Base(dir), ""))
	for len(name) > maxShareName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// CheckDir refuses what cannot be shared.
func (s Share) CheckDir() error {
	info, err := os.Stat(s.Dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", s.Dir)
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(s.Dir); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return newError(CodeInvalid, err, fmt.Sprintf("share %s: %v", s.Name, err),
			"it has to be a directory that the daemon's user can read")
	}
	return nil
}

// Visitor is who asks, as far as shares are concerned.
type Visitor struct {
	Device  identity.DeviceID
	From    netip.Addr // where it asks from; the zero one if that is not told
	Blocked bool
	In      func(room string) bool // whether it is a member of a joined room
	Member  bool                   // of a private room
}

// sees tells whether a share is there for v.
func (v Visitor) sees(s Share) bool {
	switch {
	case v.Blocked:
		return false
	case s.Public:
		return true
	case !s.Peer.IsZero():
		return s.Peer == v.Device
	}
	return s.Room != "" && v.In != nil && v.In(s.Room)
}

// Library is what a device shares. Its methods may be called from many goroutines.
type Library struct {
	mu     sync.Mutex
	shares []Share // by name
}

// Set replaces all that is shared.
func (l *Library) Set(shares []Share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shares = slices.Clone(shares)
	slices.SortFunc(l.shares, func(a, b Share) int { return strings.Compare(a.Name, b.Name) })
}

// for v, the shares that it sees.
func (l *Library) of(v Visitor) (seen []Share) {
	l.mu.Lock()
	shares := l.shares
	l.mu.Unlock()
	for _, s := range shares {
		if v.sees(s) {
			seen = append(seen, s)
		}
	}
	return seen
}

// find is the share of a name, if v sees it. What is not there and what is not for v look alike, in time too.
func (l *Library) find(v Visitor, name string) (found Share, ok bool) {
	for _, s := range l.of(v) {
		if s.Name == name {
			found, ok = s, true
		}
	}
	return found, ok
}
