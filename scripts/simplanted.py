"""Bugs to plant into the core, each as one replacement: the mistakes that such code invites."""


def bug(name, file, old, new):
    return {"name": name, "file": file, "old": old, "new": new}


BUGS = [
    # What is stored, in which order, and what is said of it.
    bug("shown and sent before it is stored", "internal/engine/receive.go",
        "		e.out.Store = append(e.out.Store, store)\n",
        "		e.out.Store = append(e.out.Store, store)\n		s.chat.Stored(now, store.Batch, nil)\n"),
    bug("a gap is no gap", "chat/feed.go",
        "!f.waits() && f.held.at(f.next) != nil {", "!f.waits() && len(f.held) > 0 {\n"
        "		for f.held.at(f.next) == nil {\n			f.next++\n		}"),
    bug("claims one more than there is", "chat/claim.go",
        "Low: f.low, High: f.high, Head", "Low: f.low, High: f.high + 1, Head"),
    bug("claims from the beginning", "chat/claim.go", "Low: f.low, High: f.high, Head", "Low: 1, High: f.high, Head"),
    bug("a failed store is taken for a good one", "internal/engine/engine.go",
        "		st.scope.chat.Refused(now, st.batch)\n", "		st.scope.chat.Stored(now, st.batch, nil)\n"),
    bug("what the store refused is not asked for again", "chat/keep.go",
        "		r.takeBack(f)\n		f.recount()\n", "		f.recount()\n"),
    bug("every scope shows what another has shown", "internal/engine/receive.go",
        "last, shown = ev.Record, ev.Record.Header.Seq <= r.shown[chainOf(ev)]", "last, shown = ev.Record, false"),
    bug("what the store gave up is still claimed", "chat/feed.go", "	r.Floors(now, floors)\n}", "}"),
    # Own feeds.
    bug("a start forgets the order", "chat/keep.go",
        "r.maxOrder, r.topOrder = kept.Order, kept.Order", "r.maxOrder, r.topOrder = 0, 0"),
    bug("a start forgets the last record's id", "chat/keep.go",
        "= c.High+1, c.Head.ID, true,", "= c.High+1, record.ID{}, true,"),
    bug("every start begins a feed anew at one", "chat/keep.go",
        "		f.next, f.prev, f.hasPrev, f.trail = c.High+1,", "		f.next, f.prev, f.hasPrev, f.trail = max(c.High, 1),"),
    bug("the clock alone orders", "chat/say.go", "max(uint64(max(now.Wall.UnixMilli(), 0)), r.maxOrder+1)",
        "uint64(max(now.Wall.UnixMilli(), 0))"),
    bug("after a refusal the feed goes on", "chat/keep.go",
        "			r.renew(now.Mono)\n			f.proven = f.high\n",
        "			f.proven = f.high\n"),
    # Repair.
    bug("asks once and gives up", "chat/want.go",
        "		a.at = now + a.wait + r.jitter(a.wait/4)\n", "		a.at = never\n"),
    bug("asks only authors", "chat/want.go",
        "	case author && (a.tries < 2 || a.tries%2 == 0 || len(holders) == 0):\n", "	case author || a.tries >= 0:\n"),
    bug("what nobody has is skipped without a word", "chat/feed.go", "Anew: f.anew})", "Anew: false})"),
    bug("a liar's word is final", "chat/anew.go",
        "		if f.anewAt = never; f.skipped == nil {\n"
        "			f.skipped = &skipped{f.next, f.prev, f.hasPrev, f.trail}\n		}\n",
        "		f.anewAt, f.floor = never, low\n"),
    bug("a start forgets what was given up", "chat/keep.go",
        "f.next, f.floor, f.gone = c.Low, c.Low, c.Low\n", "f.next = 0\n"),
    bug("never compares by ranges", "chat/digest.go",
        "hidden && now.Mono-r.compared >= r.profile.digestMin", "hidden && false"),
    bug("unequal sums are taken for equal", "chat/digest.go", "equal := d.Root == r.sum.bytes()",
        "equal := d.Root[0]>>5 == r.sum.bytes()[0]>>5"),
    bug("answers leave out the last one asked for", "chat/answer.go", "seq <= min(want.To, f.high) && budget.spend()",
        "seq < min(want.To, f.high) && budget.spend()"),
    bug("no piece of a record is kept", "chat/fragment.go", "	a.heard = now.Mono\n", "	a.got = nil\n"),
    bug("heads are never said", "chat/say.go", "	t.headAt = now + r.profile.heads[t.head]\n", "	t.last = nil\n"),
    bug("pieces lose a byte", "chat/fragment.go",
        "copy(a.buf[f.Offset:], f.Data)", "copy(a.buf[f.Offset:], f.Data[:len(f.Data)-1])"),
    bug("no digest is sent", "chat/room.go",
        "	if r.trickle.advance(now.Mono, r.profile, r.cfg.Rand) {",
        "	if r.trickle.advance(now.Mono, r.profile, r.cfg.Rand) && false {"),
    # Networks.
    bug("all networks are one", "internal/engine/scope.go",
        "		if s.on(e.ifaces[i]) {\n", "		if s.on(e.ifaces[i]) || true {\n"),
    bug("a new network gets the scope that is there", "internal/engine/scope.go",
        "			s = e.vacantScope(now, r)\n",
        "			if len(r.scopes) == 0 {\n				e.newScope(now, r)\n			}\n			s = r.scopes[0]\n"),
    # Traffic.
    bug("a datagram is longer than the limit", "chat/say.go",
        "if wire.SealedOverhead+len(b) <= limit {", "if len(b) <= limit {"),
    bug("answers to strangers are two", "discovery/announce.go",
        "	d.out.Send = append(d.out.Send, Send{Presence: p, Iface: l.Index, To: t.addr})\n",
        "	for range 2 {\n		d.out.Send = append(d.out.Send, Send{Presence: p, Iface: l.Index, To: t.addr})\n	}\n"),
    bug("the replay window forgets", "internal/seal/window.go",
        "	return w.seen[word(counter)]&bit(counter) == 0\n", "	return true\n"),
    bug("the order of a map", "chat/want.go", "	slices.SortFunc(due, byName)\n", ""),
]

# Those that CI plants: one of storing, of own feeds, of repair, of networks and of traffic, each found by few seeds.
QUICKLY = [
    "claims one more than there is",
    "a start forgets the last record's id",
    "pieces lose a byte",
    "all networks are one",
    "answers to strangers are two",
]
