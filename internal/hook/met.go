package hook

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// metFile is where a home keeps which devices were new once, an id a line.
const metFile = "devices.met"

// maxMet devices are remembered; then the list begins anew, and all that are here are new again.
const maxMet = 16384

// acquaintances are the devices that were new once.
type acquaintances struct {
	path string // empty: they are remembered in memory alone
	ids  map[string]bool
}

func readMet(home string) (*acquaintances, error) {
	a := &acquaintances{ids: map[string]bool{}}
	if home == "" {
		return a, nil
	}
	a.path = filepath.Join(home, metFile)
	f, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("read the devices met: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(a.ids) < maxMet {
		if id := strings.TrimSpace(lines.Text()); id != "" {
			a.ids[id] = true
		}
	}
	return a, lines.Err()
}

func (a *acquaintances) has(id string) bool { return a.ids[id] }

// add remembers a device. A line that a loss of power cuts short is a device that is new once more.
func (a *acquaintances) add(id string) error {
	if a.ids[id] {
		return nil
	}
	how := os.O_APPEND
	if len(a.ids) >= maxMet {
		clear(a.ids)
		how = os.O_TRUNC
	}
	a.ids[id] = true
	if a.path == "" {
		return nil
	}
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return fmt.Errorf("remember a device: %w", err)
	}
	_, err = f.WriteString(id + "\n")
	return errors.Join(err, f.Close())
}
