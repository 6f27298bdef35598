//go:build !linux

package lan

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// arpWithin is how long the tool that prints the neighbour table may take.
const arpWithin = 2 * time.Second

// Neighbours lists the IPv4 hosts that this host spoke to lately, as the system's arp prints them. Where that cannot be
// run the error wraps errors.ErrUnsupported.
func Neighbours() ([]Neighbour, error) {
	ctx, cancel := context.WithTimeout(context.Background(), arpWithin)
	defer cancel()
	flags := "-an"
	if runtime.GOOS == "windows" {
		flags = "-a"
	}
	text, err := exec.CommandContext(ctx, "arp", flags).Output()
	if err != nil {
		return nil, fmt.Errorf("read neighbour table: %w: %w", errors.ErrUnsupported, err)
	}
	return parseNeighbourText(string(text)), nil
}

// Neighbours6 knows none here.
func Neighbours6() ([]Neighbour, error) { return nil, nil }

// readGateways knows none here: networks are told apart by link generation only.
func readGateways() (map[string]gateway, error) { return nil, nil }
