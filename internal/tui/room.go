package tui

import (
	"slices"
	"time"

	"bcast/internal/control"
)

const (
	// pageSize is how many posts are asked for at once.
	pageSize = 200
	// keepPosts bounds what a room holds while nobody scrolls in it; beyond it all but trimTo are asked for anew.
	keepPosts, trimTo = 5000, 1000
)

// item is a post, or a note: something that is shown here and that nobody said.
type item struct {
	post  control.Post // without an id: a note
	note  string
	alert bool // of a note: something is wrong
	at    time.Time
	late  bool // it came after what follows it

	told          bool // how many have it is known
	members, have int
	coming        string // how far the file that it offers has come; empty: it is not on its way

	lines []string // as drawn last; nil: to be drawn anew
}

// room is one conversation as it is shown.
type room struct {
	name, direct string
	topic        string
	ours         bool // this view joined it
	items        []*item
	byID         map[string]*item
	members      []control.Member
	typing       map[string]typist
	late         map[string]bool // posts that came after what follows them, until their place is known

	loaded, loading bool // its newest page is here, or asked for
	oldest          bool // there is nothing before its first post
	again           bool // the order is to be asked for when what is asked for has come
	asking, stale   bool // members are asked for, or have to be

	unread, mentions int
	fresh            *item // the first one that was new when somebody looked again
	nickWidth        int

	held   *item // the item at the bottom of the screen; nil: the last one
	end    int   // how many lines of it are shown
	picked *item
	draft  string
	seek   string // a post that older pages are asked for until it is there
	sought int    // how many were asked for so far
}

type typist struct {
	name  string
	until time.Time
}

func newRoom(name, direct string) *room {
	return &room{
		name: name, direct: direct, nickWidth: 4,
		byID: map[string]*item{}, typing: map[string]typist{}, late: map[string]bool{},
	}
}

// add appends a post that came. It reports whether it is new.
func (r *room) add(post control.Post) (*item, bool) {
	if known := r.byID[post.ID]; known != nil {
		known.change(post)
		return known, false
	}
	it := r.put(post)
	r.items = append(r.items, it)
	r.trim()
	return it, true
}

// put makes an item of a post that is new here; it has no place yet.
func (r *room) put(post control.Post) *item {
	it := &item{post: post, at: post.Time, late: post.Late}
	r.byID[post.ID] = it
	r.widen(it)
	return it
}

// change shows a post as it is now.
func (it *item) change(post control.Post) {
	post.Late = false
	it.post, it.lines = post, nil
}

// tell appends a note.
func (r *room) tell(at time.Time, text string, alert bool) {
	r.items = append(r.items, &item{note: text, at: at, alert: alert})
}

// trim gives up the oldest, which can be asked for again.
func (r *room) trim() {
	if len(r.items) <= keepPosts || r.held != nil || r.picked != nil || r.seek != "" {
		return
	}
	cut := len(r.items) - trimTo
	for _, it := range r.items[:cut] {
		delete(r.byID, it.post.ID)
	}
	r.items, r.oldest = slices.Clone(r.items[cut:]), false
}

// first is the oldest post that is here.
func (r *room) first() *item {
	for _, it := range r.items {
		if it.post.ID != "" {
			return it
		}
	}
	return nil
}

// before puts a page in front of all.
func (r *room) before(posts []control.Post) {
	var page []*item
	for _, post := range posts {
		if r.byID[post.ID] == nil {
			page = append(page, r.put(post))
		}
	}
	if first := r.first(); first != nil {
		first.lines = nil // the day above it may be another
	}
	r.items = append(page, r.items...)
}

// order puts what is here in the order of posts, which are all from the first of them on. What is not among them came
// after them; notes stay behind what they stood behind.
func (r *room) order(posts []control.Post) {
	behind := map[*item][]*item{} // by the post before: the notes
	var last *item
	var rest []*item
	listed := map[string]bool{}
	for _, post := range posts {
		listed[post.ID] = true
	}
	for _, it := range r.items {
		switch {
		case it.post.ID == "":
			behind[last] = append(behind[last], it)
			continue
		case !listed[it.post.ID]:
			rest = append(rest, it)
		}
		last = it
	}
	ordered := slices.Clone(behind[nil])
	place := func(it *item) {
		ordered = append(append(ordered, it), behind[it]...)
	}
	for _, post := range posts {
		it := r.byID[post.ID]
		if it == nil {
			it = r.put(post)
			it.late = r.late[post.ID]
		} else {
			it.change(post)
		}
		place(it)
	}
	for _, it := range rest {
		place(it)
	}
	r.items = ordered
	clear(r.late)
}

// seen forgets what was unread; the mark above what is new stays until the room is left.
func (r *room) seen() { r.unread, r.mentions = 0, 0 }

// last is the newest item.
func (r *room) last() *item {
	if len(r.items) == 0 {
		return nil
	}
	return r.items[len(r.items)-1]
}

// arrived counts something new that nobody has looked at.
func (r *room) arrived(it *item, forUs bool) {
	if r.unread == 0 {
		r.fresh = it
	}
	r.unread++
	if forUs {
		r.mentions++
	}
}

// index is where an item stands, looked for from the end.
func (r *room) index(it *item) int {
	for at := len(r.items) - 1; at >= 0; at-- {
		if r.items[at] == it {
			return at
		}
	}
	return -1
}
