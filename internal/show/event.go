package show

import (
	"cmp"
	"fmt"

	"bcast/internal/control"
)

// Presence is what became of a device, to be said after its name.
func Presence(status string) string {
	what := map[string]string{"here": "is here", "suspect": "is late", "lost": "is lost", "left": "went away"}[status]
	return cmp.Or(what, Clean(status))
}

// MemberChange is what a member of a room did, to be said after its name.
func MemberChange(change string) string {
	return cmp.Or(map[string]string{"join": "joined", "leave": "left"}[change], Clean(change))
}

// Cut tells of datagrams that the receive buffer cut.
func Cut(cut control.Cut) string {
	from := cmp.Or(Clean(cut.Nick), cut.From, "many addresses")
	if cut.Count > 1 {
		return fmt.Sprintf("%d cut, the last %d/%d, from %s", cut.Count, cut.Received, cut.Size, from)
	}
	return fmt.Sprintf("cut %d/%d from %s", cut.Received, cut.Size, from)
}

// SyncWorth is how many records have to be to come for catching up to be told of.
const SyncWorth = 100

// Sync tells how far catching up from a member has come.
func Sync(s control.Sync) string {
	if s.Done {
		return fmt.Sprintf("caught up from %s: %s records", Clean(s.Nick), Thousands(s.Have))
	}
	return fmt.Sprintf("catching up from %s: %s of %s", Clean(s.Nick), Thousands(s.Have), Thousands(s.Total))
}

// Fork tells of two histories of one key, whose owner is shown by name.
func Fork(name string) string {
	return fmt.Sprintf("the key of %s signed two histories: it was copied, or lies. All of both is shown", name)
}

// Typing is who is typing, in a few words, of names in order; empty if nobody is.
func Typing(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0] + " is typing"
	case 2:
		return names[0] + " and " + names[1] + " are typing"
	}
	return fmt.Sprintf("%d are typing", len(names))
}

// Offer tells that somebody, shown by name, wants to bring files, and how to take them.
func Offer(name string, o control.Offer) string {
	return fmt.Sprintf("%s wants to bring %s, %s: bcast files accept %s", name, Offered(o), Bytes(o.Bytes), Clean(o.ID))
}

// Offered is what somebody wants to bring. Of several things each is named: about others nobody is asked.
func Offered(o control.Offer) string {
	what := Clean(o.Name)
	for _, name := range o.Names {
		what += ", " + Clean(name)
	}
	if more := o.Files - 1 - len(o.Names); more > 0 {
		what += fmt.Sprintf(" and %s more", Thousands(more))
	}
	return what
}

// File tells what became of a file; empty for what is no news.
func File(f control.File) string {
	name := Clean(f.Name)
	switch {
	case f.State == control.FileFailed && f.Error != nil:
		return name + " did not come: " + Failure(f.Error)
	case f.State != control.FileWhole:
		return ""
	case f.Post == "" && f.Share != "":
		return fmt.Sprintf("%s put %s into %s", Name(f.From, f.Nick, f.Tag, f.Tagged, f.Verified), name, Clean(f.Share))
	case f.Post == "":
		return fmt.Sprintf("%s brought %s: %s", Name(f.From, f.Nick, f.Tag, f.Tagged, f.Verified), name, Clean(f.Path))
	}
	return name + " is here: " + Clean(f.Path)
}
