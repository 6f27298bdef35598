package show

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// modules reads the drawing back: which modules are dark.
func modules(t *testing.T, text string) [][]bool {
	t.Helper()
	var rows [][]bool
	for line := range strings.Lines(text) {
		var upper, lower []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !strings.ContainsRune(" ▀▄█", r) {
				t.Fatalf("%q is drawn", r)
			}
			upper, lower = append(upper, r == '▀' || r == '█'), append(lower, r == '▄' || r == '█')
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

func TestQR(t *testing.T) {
	for _, s := range []string{"", "bcast:1:lab#aaaq", strings.Repeat("é", maxQR/2), strings.Repeat("A", maxQR)} {
		text, err := QR(s)
		if err != nil {
			t.Fatal(err)
		}
		code, err := qr.Encode(s, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		rows := modules(t, text)
		side := code.Size + 2*quiet
		if len(rows) != side+side%2 || side > 80 {
			t.Fatalf("%d rows for a code of %d modules", len(rows), code.Size)
		}
		for y, row := range rows {
			if len(row) != side {
				t.Fatalf("row %d has %d modules, want %d", y, len(row), side)
			}
			for x, dark := range row {
				if dark != code.Black(x-quiet, y-quiet) { // outside of the code nothing is black: the quiet zone
					t.Fatalf("module %d, %d of %q is wrong", x, y, s)
				}
			}
		}
	}
}

// The three corners of a code are what a reader looks for.
func TestQRFinderPatterns(t *testing.T) {
	text, err := QR("bcast")
	if err != nil {
		t.Fatal(err)
	}
	rows := modules(t, text)
	size := len(rows[0]) - 2*quiet
	for _, corner := range [][2]int{{0, 0}, {size - 7, 0}, {0, size - 7}} {
		for y, row := range []string{"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"} {
			for x, want := range row {
				if rows[quiet+corner[1]+y][quiet+corner[0]+x] != (want == '1') {
					t.Fatalf("no finder pattern at %v", corner)
				}
			}
		}
	}
}

func TestQRTooLong(t *testing.T) {
	secret := strings.Repeat("k7f2", maxQR)
	if _, err := QR(secret); err == nil || strings.Contains(err.Error(), "k7f2") {
		t.Errorf("too long: %v", err)
	}
}
