//go:build !linux

package lan

import (
	"context"
	"errors"
)

// Overhear is possible on Linux only.
func Overhear(context.Context, int) ([]Overheard, error) { return nil, errors.ErrUnsupported }

// Holders are not known here.
func Holders(int) []Holder { return nil }
