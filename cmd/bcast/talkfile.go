package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bcast/internal/control"
	"bcast/internal/show"
)

// send offers a file of this host to the room.
func (t talk) send(ctx context.Context, rest string) error {
	path, text := cutPath(rest)
	if path == "" {
		return usageError("send which file?", "/send PATH [TEXT]; a space in a path is written \\ with a backslash")
	}
	at, err := filepath.Abs(expandHome(path))
	if err != nil {
		return err
	}
	_, err = t.api.Say(ctx, control.Say{Room: t.room, Text: text, Files: []string{at}})
	return err
}

// cutPath takes a path off the front of a line: up to a space that no backslash stands before.
func cutPath(line string) (path, rest string) {
	var b strings.Builder
	for at := 0; at < len(line); at++ {
		switch {
		case line[at] == '\\' && at+1 < len(line) && strings.IndexByte(` \`, line[at+1]) >= 0:
			at++
		case line[at] == ' ':
			return b.String(), strings.TrimSpace(line[at:])
		}
		b.WriteByte(line[at])
	}
	return b.String(), ""
}

// escapePath writes a path so that cutPath takes it for one.
func escapePath(path string) string { return strings.NewReplacer(`\`, `\\`, " ", `\ `).Replace(path) }

// expandHome is a path with the user's home for a ~ in front.
func expandHome(path string) string {
	if rest, is := strings.CutPrefix(path, "~/"); is {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest) + strings.Repeat("/", trailing(rest))
		}
	}
	return path
}

// trailing is 1 if a path ends with a slash, which Join takes away.
func trailing(path string) int {
	if path == "" || strings.HasSuffix(path, "/") {
		return 1
	}
	return 0
}

// finishedPaths are what a word that begins a path can become: directories with a slash behind them, files with a
// space. What would do something to a terminal is left out.
func finishedPaths(word string) (all []string) {
	typed, _ := cutPath(word)
	dir, begin := filepath.Split(expandHome(typed))
	shown := strings.TrimSuffix(typed, begin)
	read := dir
	if read == "" {
		read = "."
	}
	entries, err := os.ReadDir(read)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name, hidden := e.Name(), strings.HasPrefix(e.Name(), ".")
		if !strings.HasPrefix(name, begin) || begin == "" && hidden || show.Clean(name) != name {
			continue
		}
		end := " "
		if info, err := os.Stat(filepath.Join(read, name)); err == nil && info.IsDir() {
			end = "/"
		}
		all = append(all, escapePath(shown+name)+end)
	}
	return all
}

// maxBack is how far back a number of /get reaches.
const maxBack = 999

// get has the file of an offer brought to the inbox: of the post pointed at or named, or of the last, or last but some.
func (t talk) get(ctx context.Context, rest string) error {
	post := rest
	if t.pick != "" {
		post = t.pick
	}
	back, err := strconv.Atoi(rest)
	if post == "" || err == nil && back <= maxBack {
		if post, err = t.offered(ctx, max(1, back)); err != nil {
			return err
		}
	}
	file, err := t.api.Fetch(ctx, post, "")
	if err != nil {
		return err
	}
	if text := show.File(file); text != "" { // it was here already
		return t.p.note("%s", text)
	}
	return t.p.note("%s, %s, is on its way", show.Clean(file.Name), show.Bytes(file.Size))
}

// offered is the last post of others in the room that offers a file, or the last but some.
func (t talk) offered(ctx context.Context, back int) (string, error) {
	posts, err := t.api.Posts(ctx, t.room, control.PostQuery{Limit: maxBack})
	if err != nil {
		return "", err
	}
	for _, p := range slices.Backward(posts) {
		if p.File == nil || p.Own {
			continue
		}
		if back--; back == 0 {
			return p.ID, nil
		}
	}
	return "", control.NewError(control.CodeNotFound, nil, "nobody else offered so many files here lately",
		fmt.Sprintf("bcast history %s --search NAME finds the post; /get POST", show.Clean(t.room)))
}
