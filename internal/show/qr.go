package show

import (
	"errors"
	"fmt"
	"strings"

	"rsc.io/qr"
)

const (
	// maxQR is more than the longest invite; a code of that size fills a terminal of 80 columns already.
	maxQR = 256

	// quiet is the width of the empty border in modules (ISO/IEC 18004, 6.3.8): readers look for it.
	quiet = 4
)

// QR is the whole QR code of s with its quiet zone, or nothing: in half blocks, two modules to a character, each line
// with its end. Dark modules are drawn, light ones are spaces: it has to be shown dark on light, quiet zone included,
// so that whoever prints it sets both colours and does not leave them to the terminal.
//
// Errors do not quote s, which may be a secret.
func QR(s string) (string, error) {
	if len(s) > maxQR {
		return "", fmt.Errorf("QR code: %d bytes, at most %d", len(s), maxQR)
	}
	code, err := qr.Encode(s, qr.M)
	if err != nil {
		return "", errors.New("QR code: the text does not fit")
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(halves(code.Black(x, y), code.Black(x, y+1)))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func halves(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
