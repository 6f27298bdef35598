package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
)

// filesVerbs are what can be done with files.
func (a *app) filesVerbs() []*cli.Command {
	return []*cli.Command{
		a.filesCommand(), a.shareCommand(), a.sharesCommand(), a.unshareCommand(), a.filesLsCommand(), a.getCommand(),
		a.putCommand(), a.pushCommand(), a.filesOpenCommand(), a.inboxCommand(), a.acceptCommand(), a.refuseCommand(),
	}
}

func (a *app) filesCommand() *cli.Command {
	return &cli.Command{
		Name:      "files",
		Usage:     "share directories, and read those of others",
		ArgsUsage: "share|unshare|shares|ls|get|put|push|open|inbox|accept|refuse",
		Description: example("Each of them is a command of its own: `bcast files get --help`.\n"+
			"Files go from device to device, encrypted, to keys that are known. What ends half-way goes on where it\n"+
			"ended when the same is said again, and nothing is replaced unless --force says so.",
			"bcast files share ~/docs --room lobby", "bcast files ls bob:docs", "bcast files get bob:docs/report.pdf"),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 0, -1)
			if err == nil && len(args) > 0 {
				err = usageError(fmt.Sprintf("files: nothing is called %q", args[0]), "bcast files --help")
			}
			if err != nil {
				return err
			}
			return a.helpOf(c, "files")
		},
	}
}

// remotePath is a place among the files of a device, as people write it: PEER, PEER:SHARE or PEER:SHARE/PATH.
type remotePath struct{ peer, share, path string }

func parseRemote(word string) (r remotePath, err error) {
	peer, rest, _ := strings.Cut(word, ":")
	r.peer = strings.TrimPrefix(peer, "@")
	if r.peer == "" || len(r.peer) > maxPeerWord || strings.ContainsAny(r.peer, `/\`) {
		return r, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q names no device", word),
			"e.g. bob:docs/report.pdf")
	}
	rest = strings.Trim(rest, "/")
	r.share, r.path, _ = strings.Cut(rest, "/")
	r.path = strings.Trim(r.path, "/")
	return r, nil
}

// name is what something is called when it is brought here.
func (r remotePath) name() string {
	if r.path == "" {
		return r.share
	}
	return r.path[strings.LastIndexByte(r.path, '/')+1:]
}

// library is the files of a device as the one who sits here reaches them.
type library struct {
	files.Remote
	seat *seat
	mu   sync.Mutex
	peer string // the device's id, once it answered: what follows goes to that key and to no other of its name
	met  bool   // it answered
}

// libraryOf is the way to a device's files.
func libraryOf(s *seat, peer string) *library {
	l := &library{seat: s, peer: peer}
	l.Remote.Do = l.do
	return l
}

func (l *library) do(request *http.Request) (*http.Response, error) {
	l.mu.Lock()
	peer := l.peer
	l.mu.Unlock()
	answer, err := l.seat.AskFiles(peer, request)
	if err != nil {
		return nil, l.passing(err)
	}
	if id := answer.Header.Get(control.DeviceHeader); id != "" {
		l.mu.Lock()
		l.peer, l.met = id, true
		l.mu.Unlock()
	}
	return answer, nil
}

// passing says of failures on the way to a device whether they may pass: one that answered before, or the daemon, may
// be back in a moment.
func (l *library) passing(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch control.AsError(err).Code {
	case control.CodeTimeout:
		return files.Broken(err)
	case control.CodeNotFound, control.CodeNoDaemon:
		if l.met {
			return files.Broken(err)
		}
	}
	return err
}

// AskFiles carries a request, as its participant does. A node that has just started has yet to hear of the device, and
// of those that could be taken for it.
func (s *seat) AskFiles(peer string, request *http.Request) (*http.Response, error) {
	if !s.own {
		return s.API.AskFiles(peer, request)
	}
	ctx := request.Context()
	pause(ctx, time.Until(s.began.Add(hearFor)))
	for {
		answer, err := s.API.AskFiles(peer, request)
		unheard := err != nil && control.AsError(err).Code == control.CodeNotFound
		if !unheard || time.Since(s.began) > reachFor || !pause(ctx, handoverLook) {
			return answer, err
		}
	}
}

// reachFor is how long a node that has just started looks for a device whose files are wanted.
const reachFor = 3 * time.Second

// withLibrary does something with the files of a device, by the daemon or a node of this process.
func (a *app) withLibrary(c *cli.Context, peer string, do func(context.Context, *library) error) (err error) {
	s, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return control.FileError(do(c.Context, libraryOf(s, peer)))
}

// into is the directory that something is to be brought to, and what it is to be called there, as -o says. Several
// things go into a directory.
func into(out, name string, several bool) (*os.Root, string, error) {
	dir := out
	if dir == "" {
		dir = "."
	}
	info, err := os.Stat(dir)
	if err != nil && !several && !strings.HasSuffix(out, "/") { // a new name
		dir, name = filepath.Dir(out), filepath.Base(out)
	} else if err == nil && !info.IsDir() {
		if several {
			return nil, "", usageError(fmt.Sprintf("%s is no directory", out), "several files go into one")
		}
		dir, name = filepath.Dir(out), filepath.Base(out)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, "", control.NewError(control.CodeInvalid, err, fmt.Sprintf("write to %s: %v", dir, err),
			"make it first, or choose another with -o")
	}
	return root, name, nil
}
