package bcast

import (
	"slices"
	"sync"
	"time"

	"bcast/identity"
	"bcast/internal/history"
	"bcast/internal/record"
)

const (
	// maxTopics is how many records are looked through for a topic that was not taken back: anyone can add more.
	maxTopics  = 256
	topicsPage = 16
	// topicLife is how long what was read is believed though nothing came: records are given up, and taken over from
	// another scope, without a word.
	topicLife = time.Minute
)

// topics are what rooms are about: read from the store when somebody asks, and again after a change. A function of the
// records alone, like all that posts show: members that have the same records agree.
type topics struct {
	mu    sync.Mutex
	news  map[identity.RoomName]uint64 // how often something came that may change it
	known map[identity.RoomName]topic
}

// topic is what a room was about in a scope when so much had come.
type topic struct {
	talk
	news uint64
	read time.Time
	text string
}

// talk is where a room's topic is read, up to the highest order that is followed there: one that is far off would stay
// for good.
type talk struct{ scope, order uint64 }

// change notes that a post may change what a room is about.
func (t *topics) change(room identity.RoomName, kind record.Kind) {
	switch kind {
	case record.KindTopic, record.KindEdit, record.KindDelete:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.news == nil {
		t.news = map[identity.RoomName]uint64{}
	}
	t.news[room]++
}

// of is what is known of a room in a scope; current tells that nothing came since.
func (t *topics) of(room identity.RoomName, in talk) (known topic, current bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, read := t.known[room]
	current = read && known.scope == in.scope && known.news == t.news[room] && time.Since(known.read) < topicLife
	if !current {
		known = topic{talk: in, news: t.news[room], read: time.Now()}
	}
	return known, current
}

func (t *topics) keep(room identity.RoomName, as topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[identity.RoomName]topic{}
	}
	t.known[room] = as
}

// addTopics tells of rooms what they are about, by one talk of each. It must not have the node's turn: it reads.
func (n *Node) addTopics(rooms []Room, talks []talk) {
	for i := range rooms {
		name := identity.RoomName(rooms[i].Name)
		about, current := n.topics.of(name, talks[i])
		if !current {
			a := archive{room: name, scopes: []uint64{about.scope}, store: n.store}
			about.text = a.topic(about.order)
			n.topics.keep(name, about)
		}
		rooms[i].Topic = about.text
	}
}

// topic is what the last topic up to an order says that its author did not take back, as its author left it; empty:
// there is none.
func (a *archive) topic(order uint64) string {
	q := history.Query{
		Scopes: a.scopes, Limit: topicsPage, Newest: true, Topics: true, Before: &history.Place{Order: order + 1},
	}
	for range maxTopics / topicsPage {
		entries, err := a.store.Page(q)
		if err != nil {
			return "" // who reads posts is told why
		}
		text, found := a.lastTopic(entries)
		if found || len(entries) < topicsPage {
			return text
		}
		q.Before = &history.Place{Order: entries[0].Header.Order, ID: entries[0].ID}
	}
	return ""
}

func (a *archive) lastTopic(entries []record.Entry) (text string, found bool) {
	later, err := a.effects(entries)
	if err != nil {
		return "", true
	}
	made := effectsOf(later, identity.DeviceID.Tag)
	for _, e := range slices.Backward(entries) {
		for _, noun := range slices.Backward(recordPosts(a.room, e, "", a.self)) {
			if noun.Kind != record.KindTopic.String() {
				continue
			}
			made.apply(&noun, e.Header.Feed.Author.ID(), record.Ref{Record: e.ID, Index: uint16(noun.Index)})
			if !noun.Deleted {
				return noun.Text, true
			}
		}
	}
	return "", false
}
