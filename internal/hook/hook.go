// Package hook does what its user wants done when something happens: it runs a program or calls a web address for it.
// It is a face like any other, a client of control.API.
//
// Its invariant: what comes from the network reaches a program as environment and standard input and never as a part of
// a command line; and however much happens, no more than a few things are done at once, each for a limited time.
package hook

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"bcast/internal/control"
)

// atOnce programs run at the same time, and maxWaiting more may wait; of what happens beyond that nothing is done, and
// that is logged.
const (
	atOnce     = 4
	maxWaiting = 64
)

// fresh is how far behind the clock of who says something may be, so that it is taken for news and not for something
// of the past that this device catches up on. Posts of clocks that are further behind are marked.
const fresh = 2 * time.Minute

// news tells whether a post was said since a moment, as far as clocks tell.
func news(p control.Post, since time.Time) bool {
	return p.ClockOff == "behind" || p.Time.After(since.Add(-fresh))
}

// environ is what a program is told of what happened. A variable has the same meaning whatever the event; those that
// say nothing are not set.
func environ(on string, e control.Event) []string {
	facts := map[string]string{"EVENT": on, "TIME": e.Time.Format(time.RFC3339Nano)}
	switch {
	case e.Post != nil:
		p := e.Post
		facts["ROOM"], facts["NICK"], facts["TAG"], facts["FROM"] = p.Room, p.Nick, p.Tag, p.From
		facts["ID"], facts["KIND"], facts["TEXT"], facts["REPLY_TO"] = p.ID, p.Kind, p.Text, p.ReplyTo
		facts["TIME"] = p.Time.Format(time.RFC3339Nano)
		facts["VERIFIED"], facts["MENTION"] = mark(p.Verified), mark(p.Mention)
		if f := p.File; f != nil {
			facts["FILE"], facts["SIZE"], facts["HASH"] = f.Name, strconv.FormatInt(f.Size, 10), f.Hash
		}
	case e.File != nil:
		f := e.File
		facts["ROOM"], facts["NICK"], facts["TAG"], facts["FROM"] = f.Room, f.Nick, f.Tag, f.From
		facts["ID"], facts["FILE"], facts["FILE_PATH"], facts["SHARE"] = f.Post, f.Name, f.Path, f.Share
		facts["SIZE"], facts["VERIFIED"] = strconv.FormatInt(f.Size, 10), mark(f.Verified)
	case e.Offer != nil:
		o := e.Offer
		facts["NICK"], facts["TAG"], facts["FROM"], facts["ID"] = o.Nick, o.Tag, o.From, o.ID
		facts["FILE"], facts["SIZE"], facts["COUNT"] = o.Name, strconv.FormatInt(o.Bytes, 10), strconv.Itoa(o.Files)
		facts["VERIFIED"] = mark(o.Verified)
	case e.Member != nil:
		m := e.Member
		facts["ROOM"], facts["NICK"], facts["TAG"], facts["FROM"] = m.Room, m.Nick, m.Tag, m.ID
		facts["VERIFIED"] = mark(m.Verified)
	case e.Peer != nil:
		p := e.Peer
		facts["NICK"], facts["TAG"], facts["FROM"], facts["VERIFIED"] = p.Nick, p.Tag, p.ID, mark(p.Verified)
		facts["ADDR"], facts["IFACE"], facts["STATUS"] = p.Addr, p.Iface, p.Status
	case e.Device != nil:
		d := e.Device.Device
		facts["NAME"], facts["HOST"], facts["MAC"], facts["DEVICE_KIND"] = d.Name, d.Host, d.MAC, d.Kind
		facts["NICK"], facts["TAG"], facts["FROM"], facts["STATUS"] = d.Nick, d.Tag, d.ID, d.Status
		facts["WHAT"] = strings.Join(e.Device.What, " ")
		if len(d.Addrs) > 0 {
			facts["ADDR"] = d.Addrs[0]
		}
	case e.Cut != nil:
		c := e.Cut
		facts["ROOM"], facts["NICK"], facts["ADDR"] = c.Room, c.Nick, c.From
		facts["RECEIVED"], facts["SIZE"] = strconv.Itoa(c.Received), strconv.Itoa(c.Size)
		facts["COUNT"] = strconv.Itoa(c.Count)
	}
	var env []string
	for _, name := range variables {
		if value := strings.ReplaceAll(facts[name], "\x00", ""); value != "" { // no environment can hold a NUL
			env = append(env, prefix+name+"="+value)
		}
	}
	return env
}

// prefix begins the names of all our variables.
const prefix = "BCAST_"

// variables are the names that a program may find, and that it does not inherit from a program around us.
var variables = []string{
	"EVENT", "ROOM", "NICK", "TAG", "FROM", "ID", "KIND", "TEXT", "REPLY_TO", "TIME", "VERIFIED", "MENTION", "ADDR",
	"IFACE", "STATUS", "RECEIVED", "SIZE", "COUNT", "NAME", "HOST", "MAC", "DEVICE_KIND", "WHAT",
	"FILE", "FILE_PATH", "HASH", "SHARE",
}

// mark is how a variable says yes.
func mark(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// roomOf is the room of an event as people write it: a direct one by whom it is with.
func roomOf(e control.Event) string {
	switch {
	case e.Post != nil && e.Post.Direct != "":
		return "@" + e.Post.Direct
	case e.Post != nil:
		return e.Post.Room
	case e.Member != nil:
		return e.Member.Room
	case e.File != nil && e.File.Direct != "":
		return "@" + e.File.Direct
	case e.File != nil:
		return e.File.Room
	case e.Cut != nil:
		return e.Cut.Room
	}
	return ""
}

// who is whose doing an event is.
func who(e control.Event) (nick, tag string, verified bool) {
	switch {
	case e.Post != nil:
		return e.Post.Nick, e.Post.Tag, e.Post.Verified
	case e.Member != nil:
		return e.Member.Nick, e.Member.Tag, e.Member.Verified
	case e.Peer != nil:
		return e.Peer.Nick, e.Peer.Tag, e.Peer.Verified
	case e.Device != nil:
		return cmp.Or(e.Device.Device.Nick, e.Device.Device.Name), e.Device.Device.Tag, false
	case e.File != nil:
		return e.File.Nick, e.File.Tag, e.File.Verified
	case e.Offer != nil:
		return e.Offer.Nick, e.Offer.Tag, e.Offer.Verified
	case e.Cut != nil:
		return cmp.Or(e.Cut.Nick, e.Cut.From), "", false
	}
	return "", "", false
}
