package bcast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// law says which of our packages each package may import, and why not more. Test files are free, but for the rule that
// only tests import the simulator.
var law = map[string]struct {
	may []string
	why string
}{
	"identity":        {nil, "who takes part is known before anything else"},
	"internal/record": {[]string{"identity"}, "what is signed does not depend on how it travels"},
	"internal/wire":   {[]string{"identity"}, "bytes have no meaning yet"},
	"internal/seal":   {[]string{"identity"}, "a lock does not know what it locks"},
	"discovery":       {[]string{"identity", "internal/wire"}, "presence knows no room"},
	"chat":            {[]string{"identity", "internal/record", "internal/wire"}, "a room knows no address"},
	"internal/engine": {[]string{"chat", "discovery", "identity", "internal/record", "internal/seal", "internal/wire"},
		"the protocol is a value one calls: no socket, disk or clock"},
	"internal/sim": {[]string{"internal/engine", "chat", "discovery", "identity", "internal/history", "internal/record",
		"internal/seal", "internal/wire"}, "the simulated LAN drives engines, not nodes"},
	"internal/history": {[]string{"identity", "internal/record"}, "a store keeps what it is given"},
	"internal/lan":     {nil, "it carries bytes"},
	"internal/home":    {[]string{"identity"}, "the directory knows no network"},
	"internal/node": {[]string{"chat", "discovery", "identity", "internal/engine", "internal/record", "internal/wire"},
		"the loop takes a Link and a Store that it declares itself"},
	"internal/control":             {[]string{"chat", "discovery", "identity"}, "a face knows what came through API, no more"},
	"internal/control/controltest": {[]string{"internal/control"}, "a participant without a network"},
	"internal/fuzztest":            {nil, "measuring knows nothing of what it measures"},
	"internal/doctor":              {[]string{"internal/control"}, "judging needs facts, and those come through API"},
	".": {[]string{"chat", "discovery", "identity", "internal/control", "internal/engine", "internal/history",
		"internal/home", "internal/lan", "internal/node", "internal/record", "internal/wire"},
		"the front door wires the rest"},
	"cmd/bcast": {[]string{".", "identity", "internal/control", "internal/doctor", "internal/home", "internal/lan"},
		"no verb speaks to the engine but through API"},
}

// doors are dependencies with one place that may use them.
var doors = map[string][]string{
	"golang.org/x/net/ipv4":           {"internal/lan"},
	"golang.org/x/sys":                {"internal/lan"},
	"github.com/urfave/cli":           {"cmd/bcast"},
	"golang.org/x/text":               {"identity", "cmd/bcast"},
	"golang.org/x/term":               {"cmd/bcast"},
	"github.com/fxamacker/cbor":       {"internal/wire", "internal/record"},
	"golang.org/x/crypto":             {"internal/seal"},
	"github.com/gofrs/flock":          {"internal/home"},
	"net/http":                        {"internal/control"},
	"github.com/rogpeppe/go-internal": nil, // tests only
}

// core is what must be a function of its arguments.
var core = []string{"identity", "internal/record", "internal/wire", "internal/seal", "discovery", "chat", "internal/engine"}

// banned is what would make the core depend on more than its arguments.
var banned = map[string][]string{
	"time":         {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"},
	"math/rand/v2": {"Int", "IntN", "Int64", "Int64N", "Uint64", "Uint64N", "Float64", "Perm", "Shuffle", "N", "Uint32"},
}

var bannedImports = []string{"os", "net", "log", "log/slog", "sync", "sync/atomic", "context", "crypto/rand", "math/rand"}

type source struct {
	dir  string // slash-separated, "." for the root
	name string
	file *ast.File
	set  *token.FileSet
}

// sources are the Go files of this module that are not tests.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{path.Dir(filepath.ToSlash(name)), filepath.ToSlash(name), file, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found %d files: the walk is wrong", len(all))
	}
	return all
}

func imports(t *testing.T, s source) []string {
	t.Helper()
	var paths []string
	for _, i := range s.file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func TestImportLaw(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		rule, known := law[s.dir]
		if !known && !strings.HasPrefix(s.dir, "scripts") {
			t.Errorf("%s: the law has no rule for package %s", s.name, s.dir)
			continue
		}
		seen[s.dir] = true
		for _, p := range imports(t, s) {
			ours, isOurs := strings.CutPrefix(p, "bcast/")
			if p == "bcast" {
				ours, isOurs = ".", true
			}
			if isOurs && !slices.Contains(rule.may, ours) {
				t.Errorf("%s imports %s, but %s", s.name, p, rule.why)
			}
		}
	}
	for dir := range law {
		if !seen[dir] {
			t.Errorf("the law has a rule for %s, which is not there", dir)
		}
	}
}

func TestOneDoor(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		for _, p := range imports(t, s) {
			for door, places := range doors {
				if p != door && !strings.HasPrefix(p, door+"/") {
					continue
				}
				used[door] = true
				if !slices.Contains(places, s.dir) {
					t.Errorf("%s imports %s, whose door is %v", s.name, p, places)
				}
			}
		}
	}
	for door, places := range doors {
		if places != nil && !used[door] {
			t.Errorf("nothing imports %s any more", door)
		}
	}
}

func TestCoreIsPure(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.Contains(core, s.dir) {
			continue
		}
		for _, p := range imports(t, s) {
			if slices.Contains(bannedImports, p) {
				t.Errorf("%s imports %s: the core does no I/O, waits for nobody and logs nothing", s.name, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
				t.Errorf("%s: the core starts nothing and waits for nothing", s.set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains(banned[importPath(s, pkg.Name)], n.Sel.Name) {
					t.Errorf("%s: %s.%s: time and randomness are arguments", s.set.Position(n.Pos()), pkg.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// importPath is the package that a name stands for in a file.
func importPath(s source, name string) string {
	for p := range banned {
		for _, i := range s.file.Imports {
			if i.Path.Value == strconv.Quote(p) && (i.Name != nil && i.Name.Name == name ||
				i.Name == nil && strings.TrimSuffix(p, "/v2")[strings.LastIndex(strings.TrimSuffix(p, "/v2"), "/")+1:] == name) {
				return p
			}
		}
	}
	return ""
}

// Sizes that a reader can hold in mind.
const (
	maxFunction = 70
	maxFile     = 500
	maxColumn   = 120
)

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if lines := s.set.Position(s.file.End()).Line; lines > maxFile {
			t.Errorf("%s has %d lines, at most %d", s.name, lines, maxFile)
		}
		text, err := os.ReadFile(s.name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if n := utf8.RuneCountInString(line); n > maxColumn {
				t.Errorf("%s:%d has %d columns, at most %d", s.name, i+1, n, maxColumn)
			}
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line; n > maxFunction {
					t.Errorf("%s: %s has %d lines, at most %d", s.name, f.Name.Name, n, maxFunction)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok && dir != "cmd/bcast" {
			t.Errorf("package %s has no comment", dir)
		}
	}
}
