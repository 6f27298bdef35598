package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// release is set by the linker: -X main.release=v1.2.3.
var release string

// build is what `bcast version` prints.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readBuild() build {
	b := build{Version: release, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version",
		Description: example("Version, source revision, Go release and platform of this binary.", "bcast version --json"),
		Action:      a.version,
	}
}

func (a *app) version(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	b, p := readBuild(), a.printer(c)
	if p.json {
		return p.object(b)
	}
	revision := b.Revision
	if b.Modified {
		revision += " with changes"
	}
	return p.line("bcast %s %s %s/%s", b.Version, joinNonEmpty(revision, b.Go), b.OS, b.Arch)
}

func joinNonEmpty(a, b string) string {
	if a == "" {
		return b
	}
	return fmt.Sprintf("%s %s", a, b)
}
