package bcast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
	"identity":              {nil, "who takes part is known before anything else"},
	"identity/identitytest": {[]string{"identity"}, "signing knows nothing of what is signed"},
	"internal/record":       {[]string{"identity"}, "what is signed does not depend on how it travels"},
	"internal/wire":         {[]string{"identity"}, "bytes have no meaning yet"},
	"internal/seal":         {[]string{"identity"}, "a lock does not know what it locks"},
	"discovery":             {[]string{"identity", "internal/wire"}, "presence knows no room"},
	"chat":                  {[]string{"identity", "internal/record", "internal/wire"}, "a room knows no address"},
	"internal/engine": {[]string{"chat", "discovery", "identity", "internal/record", "internal/seal", "internal/wire"},
		"the protocol is a value one calls: no socket, disk or clock"},
	"internal/sim": {[]string{"internal/engine", "chat", "discovery", "identity", "identity/identitytest", "internal/record",
		"internal/seal", "internal/wire"}, "the simulated LAN drives engines, not nodes"},
	"internal/history":  {[]string{"identity", "internal/record"}, "a store keeps what it is given"},
	"internal/lan":      {nil, "it carries bytes"},
	"internal/virtual":  {[]string{"internal/lan"}, "it is a link as lan is one"},
	"internal/roster":   {nil, "what is told of the subnet is merged in one place, whoever tells it"},
	"internal/mdns":     {[]string{"internal/roster", "internal/speech"}, "a foreign protocol tells what it saw, and nothing of ours depends on it"},
	"internal/speech":   {nil, "how often something may be said knows nothing of what"},
	"internal/document": {nil, "reading what a stranger wrote knows nothing of who wrote it"},
	"internal/ssdp":     {[]string{"internal/document", "internal/roster", "internal/speech"}, "a foreign protocol tells what it saw, and nothing of ours depends on it"},
	"internal/wsd":      {[]string{"internal/document", "internal/roster"}, "a foreign protocol tells what it saw, and nothing of ours depends on it"},
	"internal/zeroconf": {[]string{"internal/document", "internal/fair", "internal/home", "internal/lan", "internal/mdns",
		"internal/roster", "internal/speech", "internal/ssdp", "internal/wsd"},
		"it listens to foreign protocols and speaks them, and takes part in none of ours"},
	"internal/stream": {[]string{"identity"}, "it carries bytes and knows whose they are, no conversation"},
	"internal/home":   {[]string{"identity"}, "the directory knows no network"},
	"internal/meter":  {nil, "measuring knows nothing of what it measures"},
	"internal/files":  {[]string{"identity"}, "it carries files for whoever may have them, and knows no conversation"},
	"internal/push": {[]string{"identity", "internal/seal", "internal/wire"},
		"what is gathered is checked by whom it is for: it knows no disk and no room"},
	"internal/node": {[]string{"chat", "discovery", "identity", "internal/engine", "internal/record", "internal/wire"},
		"the loop takes a Link and a Store that it declares itself"},
	"internal/control": {[]string{"chat", "discovery", "identity", "internal/roster"},
		"a face knows what came through API, no more"},
	"internal/control/controltest": {[]string{"internal/control", "internal/roster"}, "a participant without a network"},
	"internal/show":                {[]string{"internal/control"}, "how a thing is said does not depend on who says it"},
	"internal/tui": {[]string{"internal/control", "internal/show"},
		"a face knows what came through API, and what a line does it is told"},
	"internal/certificate": {nil, "who is spoken to is known before what is said"},
	"internal/irc": {[]string{"internal/certificate", "internal/control", "internal/show"},
		"a face knows what came through API; what is on the disk it is given"},
	"internal/hook": {[]string{"internal/control", "internal/home", "internal/roster", "internal/show"},
		"a face knows what came through API, and what a program writes is made fit as what comes from the network"},
	"internal/guest": {[]string{"internal/control"},
		"a guest is a participant of its own: what takes it in reaches it through API, as anybody"},
	"internal/fair": {nil, "who may connect how often knows nothing of what for"},
	"internal/page": {[]string{"internal/certificate", "internal/control", "internal/fair", "internal/guest", "internal/show"},
		"a face knows what came through API, and who may ask is decided before"},
	"internal/fuzztest": {nil, "measuring knows nothing of what it measures"},
	"internal/doctor":   {[]string{"internal/control"}, "judging needs facts, and those come through API"},
	".": {[]string{"chat", "discovery", "identity", "internal/control", "internal/engine",
		"internal/files", "internal/history", "internal/home", "internal/lan", "internal/mdns", "internal/meter", "internal/node",
		"internal/push", "internal/record", "internal/roster", "internal/seal", "internal/stream",
		"internal/virtual", "internal/wire", "internal/zeroconf"},
		"the front door wires the rest"},
	"examples/ping": {[]string{"."}, "a program knows the front door alone"},
	"cmd/bcast": {[]string{".", "identity", "internal/certificate", "internal/control", "internal/doctor", "internal/files",
		"internal/guest", "internal/home", "internal/hook", "internal/irc", "internal/lan", "internal/page", "internal/roster", "internal/show",
		"internal/tui", "internal/zeroconf"},
		"no verb speaks to the engine but through API"},
}

// doors are dependencies with one place that may use them.
var doors = map[string][]string{
	"golang.org/x/net/ipv4":            {"internal/lan"},
	"golang.org/x/net/ipv6":            {"internal/lan"},
	"github.com/miekg/dns":             {"internal/mdns"},
	"golang.org/x/sys":                 {"internal/lan"},
	"github.com/urfave/cli":            {"cmd/bcast"},
	"github.com/xrash/smetrics":        {"cmd/bcast"},
	"charm.land":                       {"internal/tui"},
	"github.com/charmbracelet/x/ansi":  {"internal/tui"},
	"golang.org/x/text":                {"identity", "internal/files", "cmd/bcast"},
	"github.com/klauspost/reedsolomon": {"internal/push"},
	"lukechampine.com/blake3":          {"internal/files"},
	"golang.org/x/term":                {"cmd/bcast"},
	"github.com/fxamacker/cbor":        {"internal/wire", "internal/record"},
	"golang.org/x/crypto":              {"internal/seal"},
	"github.com/gofrs/flock":           {"internal/home"},
	"modernc.org/sqlite":               {"internal/history"},
	"go.mau.fi/util":                   {"identity"},
	"rsc.io/qr":                        {"internal/show"},
	"filippo.io/edwards25519":          {"internal/seal"},
	"crypto/hpke":                      {"internal/seal"},
	"crypto/tls":                       {"internal/stream", "internal/certificate"},
	"github.com/ergochat/irc-go":       {"internal/irc"},
	"net/http": {".", "cmd/bcast", "internal/control", "internal/control/controltest", "internal/files",
		"internal/guest", "internal/hook", "internal/page", "internal/zeroconf"},
	"golang.org/x/net/netutil":        {"internal/fair"},
	"github.com/VictoriaMetrics":      {"internal/control"},
	"github.com/pelletier/go-toml":    {"internal/home"},
	"github.com/rogpeppe/go-internal": nil, // tests only
	"github.com/google/jsonschema-go": nil, // tests only
}

// core is what must be a function of its arguments.
var core = []string{"identity", "internal/record", "internal/wire", "internal/seal", "discovery", "chat", "internal/engine",
	"internal/push",
	"internal/document", "internal/roster", "internal/speech", "internal/mdns", "internal/ssdp", "internal/wsd"}

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

// parsed is what sources found: several laws read the same tree.
var parsed []source

// sources are the Go files of this module that are not tests.
func sources(t *testing.T) []source {
	t.Helper()
	if parsed != nil {
		return parsed
	}
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata" || nested(name)) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
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
	parsed = all
	return all
}

// nested tells whether a directory is a module of its own.
func nested(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return dir != "." && err == nil
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

// boltdb-go (a look-alike module for three years): what may be imported, and where, is a list.
func TestADV_37_Every_dependency_has_one_door(t *testing.T) {
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

// boltdb-go (a look-alike module, unnoticed for three years): what is not of the standard library has a door.
func TestADV_37_Dependencies_are_a_list(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range imports(t, s) {
			first, _, _ := strings.Cut(p, "/")
			if !strings.Contains(first, ".") {
				continue
			}
			known := false
			for door := range doors {
				known = known || p == door || strings.HasPrefix(p, door+"/")
			}
			if !known {
				t.Errorf("%s imports %s, which has no door", s.name, p)
			}
		}
	}
}

// Bridgefy (Albrecht and others, 2021): a small message that unpacks to a large one. Nothing is packed here.
func TestADV_27_Nothing_is_decompressed(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range imports(t, s) {
			if strings.HasPrefix(p, "compress/") || strings.HasPrefix(p, "archive/") {
				t.Errorf("%s imports %s", s.name, p)
			}
		}
	}
}

// SECURITY.md's table names the test of each advisory, and every such test is in it.
func TestSecurityNamesItsTests(t *testing.T) {
	document, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range advisory.FindAllString(string(document), -1) {
		named[name] = true
	}
	there := map[string]bool{}
	err = filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, test := range advisoryTest.FindAllStringSubmatch(string(text), -1) {
			there[test[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range there {
		if !named[name] {
			t.Errorf("SECURITY.md does not name %s", name)
		}
	}
	for name := range named {
		if !there[name] {
			t.Errorf("SECURITY.md names %s, which is not there", name)
		}
	}
	if len(there) < 40 {
		t.Errorf("%d tests found: the walk is wrong", len(there))
	}
}

var (
	advisory     = regexp.MustCompile(`TestADV_\w+`)
	advisoryTest = regexp.MustCompile(`(?m)^func (TestADV_\w+)\(`)
)
