package irc

import (
	"cmp"

	"bcast/internal/control"
	"bcast/internal/show"
)

// userHost is what stands behind the @ of every device.
const userHost = "bcast"

// person is a device as a client knows it.
type person struct {
	id, nick, tag    string
	name             string // what the client calls it
	tagged, verified bool
	away             string
	rooms            int  // that the client sees it in
	direct           bool // there is a room of the two of us
}

// mask is who it is in front of what it does.
func (p *person) mask() string {
	return p.name + "!" + word(cmp.Or(p.tag, show.Tag(p.id))) + "@" + userHost
}

// realname is the nick as its owner wrote it.
func (p *person) realname() string { return cmp.Or(show.Clean(p.nick), p.name) }

// names are what a device may be called, the best first: the nick alone, where that says who it is.
func (p *person) names() []string {
	id := word(p.id)
	base := escape(p.nick)
	if base == "" {
		return []string{id[:min(8, len(id))], id}
	}
	tag := word(cmp.Or(p.tag, show.Tag(p.id)))
	long := []string{base + "-" + tag, base + "-" + id[:min(8, len(id))], base + "-" + id}
	if p.tagged {
		return long
	}
	return append([]string{base}, long...)
}

// people are the devices that a client sees or talks with alone, each under a name of its own. Ourselves always have
// the nick alone: it is what the client was told that it is called.
type people struct {
	self   *person
	byID   map[string]*person
	byName map[string]*person // folded
}

func newPeople(self *person) *people {
	p := &people{self, map[string]*person{}, map[string]*person{}}
	self.name = ownName(self)
	p.byID[self.id], p.byName[fold(self.name)] = self, self
	return p
}

func ownName(self *person) string {
	plain := *self
	plain.tagged = false
	return plain.names()[0]
}

// free is the best name that nobody else has.
func (p *people) free(who *person) string {
	all := who.names()
	for _, name := range all {
		if holder := p.byName[fold(name)]; holder == nil || holder == who {
			return name
		}
	}
	return all[len(all)-1] // the whole id: only a liar's API gives it to two
}

// place gives somebody the best name that is free.
func (p *people) place(who *person) {
	if p.byName[fold(who.name)] == who {
		delete(p.byName, fold(who.name))
	}
	who.name = p.free(who)
	p.byID[who.id], p.byName[fold(who.name)] = who, who
}

// rename gives ourselves another nick, and another name to whoever had it, who is returned.
func (p *people) rename(nick string) (evicted *person) {
	delete(p.byName, fold(p.self.name))
	p.self.nick = nick
	p.self.name = ownName(p.self)
	holder := p.byName[fold(p.self.name)]
	p.byName[fold(p.self.name)] = p.self
	if holder != nil {
		p.place(holder)
	}
	return holder
}

// release forgets somebody whom the client neither sees nor talks with.
func (p *people) release(who *person) {
	if who == p.self || who.rooms > 0 || who.direct {
		return
	}
	delete(p.byID, who.id)
	if p.byName[fold(who.name)] == who {
		delete(p.byName, fold(who.name))
	}
}

// stranger is somebody who is not among them, under a name that none of them has.
func (p *people) stranger(id, nick, tag string, tagged, verified bool) *person {
	who := &person{id: id, nick: nick, tag: tag, tagged: tagged, verified: verified}
	who.name = p.free(who)
	return who
}

// ofPeer is a device that is here, whether the client sees it or not.
func (p *people) ofPeer(peer control.Peer) *person {
	if known := p.byID[peer.ID]; known != nil {
		return known
	}
	return p.stranger(peer.ID, peer.Nick, peer.Tag, peer.Tagged, peer.Verified)
}
