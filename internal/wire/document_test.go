package wire_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

const root = "../.."

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table is the rows of the table of PROTOCOL.md marked with name, without its heading.
func table(t *testing.T, doc, name string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(doc, "<!-- table:"+name+" -->\n")
	if !found {
		t.Fatalf("PROTOCOL.md has no table %q", name)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("PROTOCOL.md: table %q is empty", name)
	}
	return rows[2:]
}

func TestDocumentTypes(t *testing.T) {
	known := map[wire.Type]bool{}
	for _, row := range table(t, document(t), "types") {
		n, err := strconv.Atoi(row[0])
		if err != nil {
			t.Fatal(err)
		}
		typ := wire.Type(n)
		known[typ] = true
		plane := "room, proves itself"
		switch {
		case typ.Presence():
			plane = "presence"
		case typ.Signed():
			plane = "room, signed"
		}
		if typ.String() != row[1] || plane != row[2] {
			t.Errorf("type %d is %v, %s; PROTOCOL.md says %s, %s", n, typ, plane, row[1], row[2])
		}
	}
	for i := range 256 {
		if typ := wire.Type(i); typ.Known() != known[typ] {
			t.Errorf("type %d: the code knows it %v, PROTOCOL.md %v", i, typ.Known(), known[typ])
		}
	}
}

func TestDocumentKinds(t *testing.T) {
	rows := table(t, document(t), "kinds")
	for i, row := range rows {
		if row[0] != strconv.Itoa(i+1) || record.Kind(i+1).String() != row[1] {
			t.Errorf("kind %d is %v, PROTOCOL.md says %s", i+1, record.Kind(i+1), row[1])
		}
	}
	if last := record.Kind(len(rows)); last != record.KindRekey {
		t.Errorf("PROTOCOL.md ends with kind %v", last)
	}
}

var dropConstant = regexp.MustCompile(`(?m)^\tDrop\w+ +Drop = "(\w+)"`)

func TestDocumentDrops(t *testing.T) {
	source, err := os.ReadFile("drop.go")
	if err != nil {
		t.Fatal(err)
	}
	names := dropConstant.FindAllStringSubmatch(string(source), -1)
	rows := table(t, document(t), "drops")
	if len(names) != len(rows) {
		t.Fatalf("%d drops, PROTOCOL.md has %d", len(names), len(rows))
	}
	for i, row := range rows {
		if row[0] != strconv.Itoa(i+1) || row[1] != names[i][1] {
			t.Errorf("drop %d is %s, PROTOCOL.md says %s", i+1, names[i][1], row[1])
		}
	}
}

func TestDocumentLimits(t *testing.T) {
	limits := map[string]any{
		"version": wire.Version, "presence size": wire.PresenceSize, "smallest datagram limit": wire.MinDatagram,
		"largest echo":          wire.MaxProbe,
		"largest datagram sent": wire.MaxDatagram, "largest datagram": wire.MaxUDP, "around a frame": seal.Overhead,
		"signed frame overhead": wire.SignedOverhead, "frag overhead": wire.FragOverhead, "nick": identity.MaxNick,
		"room name": identity.MaxRoomName, "addresses": wire.MaxAddrs, "services": wire.MaxServices, "flight": record.MaxFlight,
		"parents": record.MaxParents, "body": record.MaxBody, "text": record.MaxText, "reaction": record.MaxReaction, "posts": record.MaxPosts,
		"record": record.MaxSize, "fragments": wire.MaxFragments, "claims": wire.MaxClaims, "spans": wire.MaxSpans,
		"wants": wire.MaxWants, "order": uint64(record.MaxOrder), "window": windowSize(t),
	}
	rows := table(t, document(t), "limits")
	for _, row := range rows {
		want, known := limits[row[0]]
		if !known || fmt.Sprint(want) != row[1] {
			t.Errorf("limit %q: PROTOCOL.md says %s, the code %v", row[0], row[1], want)
		}
		delete(limits, row[0])
	}
	for name := range limits {
		t.Errorf("limit %q is not in PROTOCOL.md", name)
	}
	if wire.SealedOverhead != seal.Overhead || record.Version != wire.Version {
		t.Error("two packages, two opinions of one number")
	}
	if pieces := (record.MaxSize-1)/(wire.MinDatagram-seal.Overhead-wire.FragOverhead) + 1; pieces > wire.MaxFragments {
		t.Errorf("the largest record takes %d pieces", pieces)
	}
}

// windowSize measures the window: how far behind the highest a counter may come.
func windowSize(t *testing.T) int {
	t.Helper()
	var w seal.Window
	w.Mark(1 << 20)
	for size := 1; size < 1<<20; size++ {
		if !w.Fresh(1<<20 - uint64(size)) {
			return size
		}
	}
	t.Fatal("the window has no end")
	return 0
}

func TestDocumentVectors(t *testing.T) {
	doc := document(t)
	listed := map[string][]string{}
	for _, row := range table(t, doc, "vectors") {
		listed[row[0]] = row[1:]
	}
	for _, v := range loadVectors(t) {
		row := listed[v.name]
		if row == nil || "PROTOCOL.md "+row[0] != v.value("spec") || row[1] != v.value("expect") {
			t.Errorf("vector %s: PROTOCOL.md says %v", v.name, row)
		}
		delete(listed, v.name)
	}
	for name := range listed {
		t.Errorf("PROTOCOL.md lists the vector %s, which is not there", name)
	}
}

// What the worked examples show is in their vectors, and of the fields of these nothing but the padding and, where the
// inside is all there is to learn, what it is sealed in is left out.
func TestDocumentExamples(t *testing.T) {
	_, examples, _ := strings.Cut(document(t), "\n## 13.")
	examples, _, _ = strings.Cut(examples, "\n## 14.")
	left := hexLine.FindAllString(examples, -1)
	for _, e := range []struct {
		vector string
		out    []string // fields left out
	}{{"keys", nil}, {"record", []string{"padding"}}, {"hello", []string{"padding"}},
		{"digest", []string{"padding", "ciphertext", "mac"}}} {
		text, err := os.ReadFile(filepath.Join(vectorDir, e.vector+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range shown(string(text), e.out) {
			if !strings.Contains(examples, "    "+line+"\n") {
				t.Errorf("the examples lack %q of vector %s", line, e.vector)
			}
		}
		left = slices.DeleteFunc(left, func(line string) bool {
			word := hexWord.FindString(line)
			return strings.Contains(string(text), strings.TrimSpace(line)) || word != "" && strings.Contains(string(text), word)
		})
	}
	for _, line := range left {
		t.Errorf("the examples have %q, which is of no vector", line)
	}
}

var (
	hexLine = regexp.MustCompile(`(?m)^ {4}(?:.*[0-9a-f]{32,}|[0-9a-f]{2}(?: [0-9a-f]{2})*(?:  # [a-z-]+)?)$`)
	hexWord = regexp.MustCompile(`[0-9a-f]{32,}`)
)

// shown is the lines of a vector's sections, without the fields that are left out.
func shown(text string, out []string) (lines []string) {
	_, text, _ = strings.Cut(text, "\n= ")
	left := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if _, field, named := strings.Cut(line, "  # "); named {
			left = slices.Contains(out, field)
		}
		if !left && line != "" && !strings.HasPrefix(line, "=") && line != "datagram" {
			lines = append(lines, line)
		}
	}
	return lines
}

var (
	ruleOf    = regexp.MustCompile(`(?m)^- \*\*([PRTN]\d+)\.\*\* `)
	citation  = regexp.MustCompile(`(?:PROTOCOL\.md,? |\()((?:[PRTN]\d+(?:, | and )?)+)`)
	oneRule   = regexp.MustCompile(`[PRTN]\d+`)
	titleCite = regexp.MustCompile(`PROTOCOL\.md, (?:sections? )?((?:"[^"]+"(?: and )?)+)`)
	quoted    = regexp.MustCompile(`"([^"]+)"`)
	title     = regexp.MustCompile(`(?m)^#{2,3} (?:\d+\. )?(.+)$`)
)

// What the code cites as PROTOCOL.md's is there: rules as "(R10)" or "PROTOCOL.md P4", sections by their titles.
func TestDocumentHasWhatTheCodeCites(t *testing.T) {
	doc := document(t)
	rules, titles := map[string]bool{}, map[string]bool{}
	for _, m := range ruleOf.FindAllStringSubmatch(doc, -1) {
		if rules[m[1]] {
			t.Errorf("rule %s is there twice", m[1])
		}
		rules[m[1]] = true
	}
	for _, m := range title.FindAllStringSubmatch(doc, -1) {
		titles[m[1]] = true
	}
	for _, rule := range oneRule.FindAllString(doc, -1) {
		if !rules[rule] {
			t.Errorf("PROTOCOL.md itself cites %s, which is no rule", rule)
		}
	}
	for path, line := range comments(t) {
		for _, m := range citation.FindAllStringSubmatch(line, -1) {
			for _, rule := range oneRule.FindAllString(m[1], -1) {
				if !rules[rule] {
					t.Errorf("%s cites %s, which is no rule", path, rule)
				}
			}
		}
		for _, m := range titleCite.FindAllStringSubmatch(line, -1) {
			for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
				if !titles[name[1]] {
					t.Errorf("%s cites section %q, which is not there", path, name[1])
				}
			}
		}
	}
}

// comments are all comments of the project's Go files, by file and line.
func comments(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "document_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for n, line := range strings.Split(string(text), "\n") {
			if _, comment, ok := strings.Cut(line, "//"); ok {
				found[fmt.Sprintf("%s:%d", path, n+1)] = comment
			}
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no comments in %s: %v", root, err)
	}
	return found
}
