package hook

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/home"
)

// File is the name of the file in the home that says which hooks there are.
const File = "hooks.toml"

const (
	// maxFile is the longest file of hooks in bytes, and maxHooks how many it may hold.
	maxFile  = 1 << 20
	maxHooks = 100
	// Most is how often in a minute a hook does something unless the file says otherwise; maxMost is what it may say.
	Most    = 60
	maxMost = 600
	// maxTime is how long an action may take by the file.
	maxTime = time.Hour
)

// Hook is one entry of the file: when it does what.
type Hook struct {
	On       string
	Room     string         // a pattern (path.Match); empty: any
	Nick     string         // the same, of a nick or nick-tag
	Text     *regexp.Regexp // nil: any
	Verified bool           // only of devices whose keys were compared
	Kind     string         // a pattern of what kind of device: of all on the subnet; empty: bcast's own peers
	For      time.Duration  // so long a device has to be here, or gone
	Most     int            // times a minute
	Line     int            // where it stands in the file
	Exec     string
	Webhook  string // secret, like the headers: services put a token in it
	headers  map[string]string
	time     time.Duration // of one action; 0 is the default
}

// What an entry's values are: each says what is wrong with a text, and the parser adds where that is. Those of text are
// structs because the parser asks no string.
type (
	word     struct{ text string }
	pattern  struct{ text string }
	address  struct{ text string }
	regex    struct{ *regexp.Regexp }
	duration time.Duration
)

// events are those that hooks wait for.
var events = []string{"post", "mention", "join", "leave", "device-new", "device-back", "device-lost", "device-changed",
	"address-conflict", "name-conflict", "file-offered", "file-received", "cut"}

// comings are the events of devices that come and go, and ofSubnet those that only a watched subnet tells of.
var (
	comings  = []string{"device-new", "device-back", "device-lost"}
	ofSubnet = []string{"device-changed", "address-conflict", "name-conflict"}
)

// Watches reports whether a hook is about all devices of the subnet, which is watched for it.
func (h Hook) Watches() bool { return h.Kind != "" || slices.Contains(ofSubnet, h.On) }

// Events lists what a hook may be on.
func Events() []string { return slices.Clone(events) }

func (w *word) UnmarshalText(text []byte) error {
	if w.text = string(text); !slices.Contains(events, string(text)) {
		return fmt.Errorf("on = %q: it is one of %s", text, strings.Join(events, ", "))
	}
	return nil
}

func (p *pattern) UnmarshalText(text []byte) error {
	p.text = string(text)
	if _, err := path.Match(string(text), ""); err != nil {
		return fmt.Errorf("%q is no pattern: * and ? and [a-z] may stand in one", text)
	}
	return nil
}

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if *d = duration(parsed); err != nil || parsed <= 0 {
		return fmt.Errorf("%q is no time, such as 90s or 5m", text)
	}
	return nil
}

func (r *regex) UnmarshalText(text []byte) (err error) {
	if r.Regexp, err = regexp.Compile(string(text)); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	return nil
}

func (a *address) UnmarshalText(text []byte) error {
	a.text = string(text)
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("webhook is no address that begins with https:// or http://")
	}
	return nil
}

// entry is one [[hook]] as it is written.
type entry struct {
	On       word              `toml:"on"`
	Room     pattern           `toml:"room"`
	Nick     pattern           `toml:"nick"`
	Text     regex             `toml:"text"`
	Verified bool              `toml:"verified"`
	Kind     pattern           `toml:"kind"`
	For      duration          `toml:"for"`
	Most     *int              `toml:"most"`
	Exec     string            `toml:"exec"`
	Webhook  address           `toml:"webhook"`
	Headers  map[string]string `toml:"headers"`
	Timeout  duration          `toml:"timeout"`
}

// Load reads the hooks of a home; without a file there are none. What is wrong with the file is a *control.Error that
// names the line.
func Load(dir string) ([]Hook, error) {
	name := filepath.Join(dir, File)
	text, err := home.ReadWritten(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, control.NewError(control.CodeInvalid, err, err.Error(), "mend the file, or move it away")
	}
	hooks, line, err := parse(text)
	if err != nil {
		return nil, control.NewError(control.CodeInvalid, err, fmt.Sprintf("%s:%d: %v", name, line, err),
			"see `bcast hooks --help`; `bcast hooks` checks the file")
	}
	return hooks, nil
}

// parse reads hooks, or tells in which line what is wrong.
func parse(text []byte) (hooks []Hook, line int, err error) {
	var file struct {
		Hook []entry `toml:"hook"`
	}
	if line, err := home.ParseWritten(text, &file); err != nil {
		return nil, line, err
	}
	lines := home.TablesWritten(text)
	for i, e := range file.Hook {
		line := 1
		if i < len(lines) {
			line = lines[i]
		}
		if i == maxHooks {
			return nil, line, fmt.Errorf("more than %d hooks", maxHooks)
		}
		if err := e.check(); err != nil {
			return nil, line, err
		}
		hooks = append(hooks, e.hook(line))
	}
	return hooks, 0, nil
}

// check tells of what does not go together.
func (e entry) check() error {
	on := e.On.text
	device, ofSubnet := slices.Contains(comings, on), slices.Contains(ofSubnet, on)
	switch {
	case on == "":
		return fmt.Errorf("on is missing: one of %s", strings.Join(events, ", "))
	case (e.Exec == "") == (e.Webhook.text == ""):
		return errors.New("a hook has either exec or webhook")
	case e.Exec != "" && len(e.Headers) > 0:
		return errors.New("headers are for a webhook")
	case e.Text.Regexp != nil && on != "post" && on != "mention" && on != "file-offered":
		return fmt.Errorf("text is for what is said: %s has none", on)
	case e.Room.text != "" && (device || ofSubnet):
		return fmt.Errorf("room is not for %s: a device is in none or many", on)
	case e.Verified && on == "cut":
		return errors.New("verified is not for cut: what is cut proves nothing")
	case e.Kind.text != "" && !device && !ofSubnet:
		return fmt.Errorf("kind is for devices: %s has none", on)
	case e.Verified && (ofSubnet || e.Kind.text != ""):
		return errors.New("verified is for bcast devices alone: what others say is unsigned")
	case e.For != 0 && !device:
		return fmt.Errorf("for is how long a device is here or gone: %s has no such time", on)
	case e.Most != nil && (*e.Most < 1 || *e.Most > maxMost):
		return fmt.Errorf("most is not within 1 to %d", maxMost)
	case time.Duration(e.Timeout) > maxTime:
		return fmt.Errorf("timeout is more than %v", maxTime)
	}
	return nil
}

func (e entry) hook(line int) Hook {
	h := Hook{
		On: e.On.text, Room: e.Room.text, Nick: e.Nick.text, Text: e.Text.Regexp, Verified: e.Verified, Kind: e.Kind.text,
		For: time.Duration(e.For), Most: Most, Line: line, Exec: e.Exec, Webhook: e.Webhook.text, headers: e.Headers,
		time: time.Duration(e.Timeout),
	}
	if e.Most != nil {
		h.Most = *e.Most
	}
	return h
}

// Where is a hook's address without what may be secret in it.
func (h Hook) Where() string {
	u, err := url.Parse(h.Webhook)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// String says in a line when a hook does what.
func (h Hook) String() string {
	words := []string{"on " + h.On}
	for _, f := range []struct{ name, value string }{{"in", h.Room}, {"by", h.Nick}, {"of kind", h.Kind}} {
		if f.value != "" {
			words = append(words, f.name+" "+f.value)
		}
	}
	if h.Text != nil {
		words = append(words, fmt.Sprintf("text %q", h.Text))
	}
	if h.Verified {
		words = append(words, "verified")
	}
	if h.For > 0 {
		words = append(words, "for "+h.For.String())
	}
	words = append(words, fmt.Sprintf("at most %d a minute:", h.Most))
	if h.Exec != "" {
		return strings.Join(append(words, "exec "+h.Exec), " ")
	}
	return strings.Join(append(words, "webhook "+h.Where()), " ")
}

// matches tells whether an event is one that a hook waits for.
func (h Hook) matches(on string, e control.Event) bool {
	nick, tag, verified := who(e)
	switch {
	case on != h.On, h.Verified && !verified, !like(h.Room, roomOf(e)), h.Watches() != (e.Device != nil):
		return false
	case e.Device != nil && !like(h.Kind, e.Device.Device.Kind):
		return false
	case !like(h.Nick, nick) && !like(h.Nick, nick+"-"+tag):
		return false
	case h.Text != nil:
		p := e.Post
		return p != nil && (h.Text.MatchString(p.Text) || p.File != nil && h.Text.MatchString(p.File.Name))
	}
	return true
}

// like tells whether a name is of a pattern.
func like(pattern, name string) bool {
	matched, err := path.Match(pattern, name)
	return pattern == "" || err == nil && matched
}
