#!/usr/bin/env python3
"""Patches of the sources for the simulator: `go test -overlay` builds with them and leaves the tree as it is.

  simpatch.py DIR NAME...   writes patched copies and overlay.json for these patches to DIR and prints its path
  simpatch.py --list [--quick | NAME...]   the names of the planted bugs: all, those that CI plants, or these
"""
import json
import os
import sys

from simplanted import BUGS, QUICKLY

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# HMACs that cost nothing. Nobody in the simulator forges any but by changing bytes, which a checksum notices.
QUICK_MAC = '''	sum32 := crc32.Update(m.key, crc32.MakeTable(crc32.Castagnoli), b)
	for i := 0; i < len(sum); i += 4 {
		binary.BigEndian.PutUint32(sum[i:], sum32*uint32(2*i+1))
	}
	return sum
}

func (m MAC) real(b []byte) (sum [sha256.Size]byte) {
'''
PATCHES = {
    "quick": [
        ("internal/seal/mac.go", "type MAC struct{ inner, outer [sha256.BlockSize]byte }",
         "type MAC struct {\n\tinner, outer [sha256.BlockSize]byte\n\tkey uint32\n}"),
        ("internal/seal/mac.go", "	var m MAC\n", "	m := MAC{key: crc32.ChecksumIEEE(key)}\n"),
        ("internal/seal/mac.go", "	var block [", QUICK_MAC + "	var block ["),
        ("internal/seal/mac.go", 'import (\n', 'import (\n\t"encoding/binary"\n\t"hash/crc32"\n'),
    ],
    **{bug["name"]: [(bug["file"], bug["old"], bug["new"])] for bug in BUGS},
}


def patch(sources, name, patches):
    """Puts the patched texts into sources. What does not fit exactly once is an error: the source has changed."""
    for path, old, new in patches:
        text = sources.get(path)
        if text is None:
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                text = f.read()
        if text.count(old) != 1:
            raise SystemExit(f"patch {name!r}: found {text.count(old)} times in {path}: {old!r}")
        sources[path] = text.replace(old, new)


def overlay(out, names):
    """Writes the overlay of these patches."""
    sources = {}
    for name in names:
        patch(sources, name, PATCHES[name])
    os.makedirs(out, exist_ok=True)
    replace = {}
    for i, (path, text) in enumerate(sorted(sources.items())):
        patched = os.path.join(out, f"{i}.go")
        with open(patched, "w", encoding="utf-8") as f:
            f.write(text)
        replace[os.path.join(ROOT, path)] = patched
    target = os.path.join(out, "overlay.json")
    with open(target, "w", encoding="utf-8") as f:
        json.dump({"Replace": replace}, f)
    return target


if __name__ == "__main__":
    if sys.argv[1:2] == ["--list"]:
        asked = QUICKLY if sys.argv[2:] == ["--quick"] else sys.argv[2:] or [bug["name"] for bug in BUGS]
        if unknown := [name for name in asked if name not in PATCHES]:
            raise SystemExit(f"no bug is called {unknown[0]!r}")
        for name, patches in PATCHES.items():  # also those that are not asked for: CI plants a few and sees that all fit
            patch({}, name, patches)
        print("\n".join(asked))
    else:
        print(overlay(sys.argv[1], sys.argv[2:]))
