//go:build !linux

package lan

import (
	"errors"
	"fmt"
)

// Neighbours lists the IPv4 hosts that this host spoke to lately. On this operating system the error wraps
// errors.ErrUnsupported.
func Neighbours() ([]Neighbour, error) {
	return nil, fmt.Errorf("read neighbour table: %w", errors.ErrUnsupported)
}

// readGateways knows none here: networks are told apart by link generation only.
func readGateways() (map[string]gateway, error) { return nil, nil }
