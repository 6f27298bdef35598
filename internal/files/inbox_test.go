package files

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"bcast/identity"
)

// give brings things of the desk's own directory to the inbox of the other device, whose user, if asked, answers so.
func (d *desk) give(answer bool, things ...string) (asked bool, err error) {
	var all []Thing
	for _, name := range things {
		all = append(all, Thing{d.out, name})
	}
	err = d.Give(d.t.Context(), all, func() {
		asked = true
		d.inbox.Answer(d.inbox.Waiting()[0].ID, answer)
	}, Options{})
	return asked, err
}

func TestInbox(t *testing.T) {
	d := newDesk(t)
	box := t.TempDir()
	d.who = Visitor{Device: identity.DeviceID{1}}
	writeAt(t, filepath.Join(d.at, "f.txt"), dice(3*unit))
	writeAt(t, filepath.Join(d.at, "dir", "g"), []byte("g"))

	_, err := d.give(true, "f.txt")
	wantCode(t, "without an inbox", err, CodeRefused)
	d.inbox.Set(box, AcceptNever)
	_, err = d.give(true, "f.txt")
	wantCode(t, "never", err, CodeRefused)

	d.inbox.Set(box, AcceptAsk)
	var told []Offer
	d.inbox.Told = func(o Offer) { told = append(told, o) }
	if asked, err := d.give(true, "f.txt", "dir"); err != nil || !asked {
		t.Errorf("%v, asked %v", err, asked)
	}
	if o := told[0]; o.Name != "f.txt" || o.Files != 2 || o.Bytes != 3*unit+1 || o.Device != d.who.Device {
		t.Errorf("%+v", o)
	}
	has(t, box, "f.txt", dice(3*unit))
	has(t, box, "dir/g", []byte("g"))
	_, err = d.give(false, "f.txt")
	wantCode(t, "refused", err, CodeRefused)

	d.inbox.Set(box, AcceptRoom)
	d.who.Member = true
	writeAt(t, filepath.Join(d.at, "other", "f.txt"), []byte("other"))
	writeAt(t, filepath.Join(d.at, "other", "F.TXT"), []byte("twin"))
	for _, name := range []string{"f.txt", "other/f.txt", "other/F.TXT", "dir"} { // the first is there already
		if asked, err := d.give(true, name); err != nil || asked {
			t.Errorf("%s: %v, asked %v", name, err, asked)
		}
	}
	want := []string{"F (3).TXT", "dir/g", "dir (2)/g", "f (2).txt", "f.txt"}
	if got := names(t, box); !slices.Equal(got, want) {
		t.Errorf("in the inbox %q, want %q", got, want)
	}
	has(t, box, "f (2).txt", []byte("other"))
	d.who.Member = false // what was accepted a while ago is gone on with, without another question
	if asked, err := d.give(true, "dir"); err != nil || asked || len(names(t, box)) != len(want) {
		t.Errorf("%v, asked %v, in the inbox %q", err, asked, names(t, box))
	}
	d.who.Blocked = true
	_, err = d.give(true, "f.txt")
	wantCode(t, "blocked", err, CodeRefused)
}

// What was offered by one device is nobody else's to bring, is never listed or read, and is not written to before it
// was accepted.
func TestOffersAreTheirMakers(t *testing.T) {
	d := newDesk(t)
	d.inbox.Set(t.TempDir(), AcceptAsk)
	d.who = Visitor{Device: identity.DeviceID{1}}
	writeAt(t, filepath.Join(d.at, "f"), []byte("f"))
	o, err := d.inbox.take(d.who, Offer{Name: "f", Files: 1, Bytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	put := func() error { return d.Send(t.Context(), d.out, "f", offerMark+o.ID, "f", Options{}) }
	wantCode(t, "before it is accepted", put(), CodeNotFound)
	if !d.inbox.Answer(o.ID, true) || d.inbox.Answer(o.ID, true) {
		t.Error("one answer counts")
	}
	d.who.Device = identity.DeviceID{2}
	wantCode(t, "of another", put(), CodeNotFound)
	d.who.Device = identity.DeviceID{1}
	if err := put(); err != nil {
		t.Error(err)
	}
	listed := 0
	for _, err := range d.List(t.Context(), offerMark+o.ID, "", false) {
		wantCode(t, "list", err, CodeNotFound)
		listed++
	}
	if listed != 1 {
		t.Errorf("a list of the inbox has %d answers", listed)
	}
	for i := range 2*offersFrom + 1 {
		d.inbox.take(d.who, Offer{Name: "f", Bytes: int64(i)})
	}
	if n := len(d.inbox.Waiting()); n != offersFrom {
		t.Errorf("%d offers of one device wait", n)
	}
	for i := range 2 * maxOffers {
		d.inbox.take(Visitor{Device: identity.DeviceID{3, byte(i)}}, Offer{Name: "f"})
	}
	if n := len(d.inbox.Waiting()); n != maxOffers {
		t.Errorf("%d offers wait", n)
	}
	if err := CheckShareName("~x"); err == nil {
		t.Error("a share may be called like an offer")
	}
}

// An offer brings no more than it said; what the user has in the directory is no part of it.
func TestOffersBringWhatTheySaid(t *testing.T) {
	d := newDesk(t)
	box := t.TempDir()
	d.inbox.Set(box, AcceptRoom)
	d.who = Visitor{Device: identity.DeviceID{1}, Member: true}
	own := filepath.Join(box, "own")
	writeAt(t, own, nil)
	if err := os.Truncate(own, 2*DefaultQuota); err != nil { // a hole: no disk is needed
		t.Skip(err)
	}
	writeAt(t, filepath.Join(d.at, "f"), dice(3*unit))
	writeAt(t, filepath.Join(d.at, "more"), dice(unit))
	if _, err := d.give(true, "f"); err != nil {
		t.Error(err)
	}
	has(t, box, "f", dice(3*unit))
	o, err := d.inbox.take(d.who, Offer{Name: "f", Files: 1, Bytes: 3 * unit})
	if err != nil || o.came.bytes != 3*unit || o.came.files != 1 {
		t.Fatalf("of the offer came %+v, %v", o.came, err)
	}
	if err := os.Remove(filepath.Join(box, "f")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "more than was said", d.Send(t.Context(), d.out, "more", offerMark+o.ID, "f", Options{}), CodeSpace)
	writeAt(t, filepath.Join(d.at, "dir", "a"), dice(10))
	writeAt(t, filepath.Join(d.at, "dir", "b"), dice(20))
	small, err := d.inbox.take(d.who, Offer{Name: "dir", Files: 2, Bytes: 15})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "more in a bundle", d.Send(t.Context(), d.out, "dir", offerMark+small.ID, "dir", Options{}), CodeSpace)
	if small.came.bytes > 15 {
		t.Errorf("of 15 bytes came %+v", small.came)
	}
	if d.inbox.unasked != o.came.weight+small.came.weight {
		t.Errorf("%d bytes came unasked", d.inbox.unasked)
	}
	d.inbox.unasked = DefaultQuota
	_, err = d.give(true, "more")
	wantCode(t, "without a question", err, CodeSpace)
}

// Of an offer about which the user was asked come its names and no others, and so many files and directories.
func TestADV_files_An_offer_brings_what_was_asked_about(t *testing.T) {
	d := newDesk(t)
	box := t.TempDir()
	d.inbox.Set(box, AcceptAsk)
	d.who = Visitor{Device: identity.DeviceID{1}}
	writeAt(t, filepath.Join(d.at, "f"), []byte("f"))
	writeAt(t, filepath.Join(d.at, "empty"), nil)
	one := func(name string) string {
		o, err := d.inbox.take(d.who, Offer{Name: name, Names: []string{"too"}, Files: 2, Bytes: 1})
		if err != nil || !d.inbox.Answer(o.ID, true) {
			t.Fatal(err)
		}
		return offerMark + o.ID
	}
	send := func(name, share, to string) error { return d.Send(t.Context(), d.out, name, share, to, Options{}) }
	photo := one("holiday.jpg")
	for _, name := range []string{".profile", "holiday.jpg.sh", "Holiday.jpg", ".ssh/authorized_keys"} {
		wantCode(t, name, send("empty", photo, name), CodeRefused)
		wantCode(t, name+" as a directory", d.mkdir(t.Context(), photo, name), CodeRefused)
	}
	if got := names(t, box); len(got) != 0 {
		t.Errorf("in the inbox is %q", got)
	}
	for name, from := range map[string]string{"holiday.jpg": "f", "too": "empty"} {
		if err := send(from, photo, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	trip := one("trip")
	for i, want := range []Code{"", "", CodeSpace} {
		if err := send("empty", trip, "trip/"+string(rune('a'+i))); err != nil || want != "" {
			wantCode(t, "a file more than was said", err, want)
		}
	}
	made := 1
	for i := range spareDirs + 20 {
		if d.mkdir(t.Context(), trip, "trip/d"+strconv.Itoa(i)) == nil {
			made++
		}
	}
	if made != 2+spareDirs {
		t.Errorf("%d directories came with 2 files", made)
	}
}

// Many things are offered together, each by its name, and a tree of empty directories as so many files.
func TestManyThingsAreGiven(t *testing.T) {
	d := newDesk(t)
	box := t.TempDir()
	d.inbox.Set(box, AcceptRoom)
	d.who = Visitor{Device: identity.DeviceID{1}, Member: true}
	var things []string
	for i := range maxOfferNames + 1 {
		name := "f" + strconv.Itoa(i)
		writeAt(t, filepath.Join(d.at, name), []byte(name))
		things = append(things, name)
	}
	for i := range spareDirs + 20 {
		if err := os.MkdirAll(filepath.Join(d.at, "tree", strconv.Itoa(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.give(true, append(things, "tree")...); err != nil {
		t.Error(err)
	}
	if got := names(t, box); len(got) != len(things) {
		t.Errorf("there is %q", got)
	}
	if made, err := os.ReadDir(filepath.Join(box, "tree")); len(made) != spareDirs+20 {
		t.Errorf("%d directories came, %v", len(made), err)
	}
}

// A host that is many devices leaves most offers to others.
func TestADV_files_One_host_offers_little(t *testing.T) {
	b := &Inbox{}
	b.Set(t.TempDir(), AcceptAsk)
	host := netip.MustParseAddr("10.0.0.9")
	for i := range 4 * maxOffers {
		if _, err := b.take(Visitor{Device: identity.DeviceID{byte(i)}, From: host}, Offer{Name: "f", Bytes: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.Waiting()); n != offersFromAddr {
		t.Errorf("%d offers of one host wait, want %d", n, offersFromAddr)
	}
}

// While somebody looks at a large file to find a name for another, others are answered.
func TestLooksForNamesKeepNobodyWaiting(t *testing.T) {
	b := &Inbox{}
	b.Set(t.TempDir(), AcceptRoom)
	o, err := b.take(Visitor{Member: true}, Offer{Name: "f"})
	if err != nil {
		t.Fatal(err)
	}
	at := &place{path: "f"}
	b.place(o, at, func(name string) bool {
		b.Waiting() // waits for ever if it has to
		o.names["f"] = "f (9)"
		return name == "f"
	})
	if at.path != "f (9)" {
		t.Errorf("two files of one offer lie in %s and f (9)", at.path)
	}
}
