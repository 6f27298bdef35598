package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/doctor"
	"bcast/internal/show"
)

func (p *printer) status(s control.Status) error {
	if p.json {
		return p.object(s)
	}
	p.line("%s (%s), up %s, %s", p.name(s.ID, s.Nick, s.Tag), show.Clean(s.Tag),
		show.Span(time.Duration(s.UptimeS*1e9)), s.Version)
	p.line("ports       %d shared, %d own", s.Port, s.Unicast)
	buffer := fmt.Sprintf("%d bytes", s.RecvBuffer)
	if s.Watch {
		buffer += ", too small to take part: this node only watches"
	}
	p.line("buffer      %s", buffer)
	for _, i := range s.Interfaces {
		if i.Used {
			p.line("interface   %s %s", i.Name, strings.Join(slices.Concat(i.Addrs, i.Addrs6), " "))
		}
	}
	p.line("peers       %d", s.Peers)
	for _, r := range s.Rooms {
		p.line("room        %s", roomLine(r))
	}
	p.line("sent        %s, %d bytes", counts(s.Sent), s.SentBytes)
	p.line("sending     %s", pace(s))
	p.line("received    %s", counts(s.Received))
	p.line("dropped     %s", counts(s.Drops))
	p.line("cut         %s", cutLine(s))
	if s.HTTP != "" {
		p.line("page        %s", s.HTTP)
	}
	if s.Guests != nil {
		p.line("guests      %s, certificate SHA-256 %s", s.Guests.Addr, pairs(s.Guests.Fingerprint))
	}
	if s.IRC != "" {
		p.line("irc         %s", s.IRC)
	}
	for _, problem := range s.Problems {
		p.line("%s     %s", p.paint(colorAlert, "problem"), show.Clean(problem))
	}
	return nil
}

func roomLine(r control.Room) string {
	line := fmt.Sprintf("%s: %d of %d members here, %d posts, datagrams of %d bytes", show.Room(r.Name, r.Direct),
		r.Present, r.Members, r.Posts, r.DatagramLimit)
	if r.LimitedBy != "" {
		line += " because of " + show.Clean(r.LimitedBy)
	}
	if r.Missing > 0 {
		line += fmt.Sprintf(", %d still missing", r.Missing)
	}
	if kept := keptLine(r); kept != "" {
		line += ", kept " + kept
	}
	return line
}

func cutLine(s control.Status) string {
	line := fmt.Sprint(s.Cuts)
	for _, from := range s.CutFrom {
		who := from.Addr
		if from.Nick != "" {
			who = show.Clean(from.Nick) + " " + who
		}
		line += fmt.Sprintf(", %d from %s", from.Count, who)
	}
	return line
}

// pace is what is sent a second now, the most first.
func pace(s control.Status) string {
	kinds := slices.SortedFunc(maps.Keys(s.Rates), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Rates[b], s.Rates[a]), strings.Compare(a, b))
	})
	var words []string
	for _, kind := range kinds {
		words = append(words, fmt.Sprintf("%s %.2f", kind, s.Rates[kind]))
	}
	if words == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s a second, %.0f bytes a second", strings.Join(words, ", "), s.BytesPerSecond)
}

// counts lists counters by name; those that are zero say nothing.
func counts(by map[string]uint64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name] > 0 {
			words = append(words, fmt.Sprintf("%s %d", name, by[name]))
		}
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func (p *printer) rooms(rooms []control.Room) error {
	if p.json {
		return objects(p, rooms)
	}
	var rows [][]string
	for _, r := range rooms {
		here, members := fmt.Sprint(r.Present), fmt.Sprint(r.Members)
		if r.ShutOut {
			here, members = "-", "shut out"
		}
		rows = append(rows, []string{show.Room(r.Name, r.Direct), here, members, fmt.Sprint(r.Posts),
			fmt.Sprint(r.Missing), keptLine(r)})
	}
	return p.columns([]string{"ROOM", "HERE", "MEMBERS", "POSTS", "MISSING", "KEPT"}, rows)
}

func (p *printer) members(members []control.Member) error {
	if p.json {
		return objects(p, members)
	}
	for _, m := range members {
		p.know(m.ID, m.Nick, m.Tagged, m.Verified)
	}
	var rows [][]string
	for _, m := range members {
		seen := p.ago(m.LastSeen)
		if m.Status == "self" {
			seen = ""
		}
		rows = append(rows, []string{p.name(m.ID, m.Nick, m.Tag), show.Clean(m.Tag), memberState(m), seen})
	}
	return p.columns([]string{"NICK", "TAG", "STATUS", "SEEN"}, rows)
}

// memberState is a member's presence in a few words.
func memberState(m control.Member) string {
	state := show.Clean(m.Status)
	if m.Away != "" {
		state += ", " + show.Away(m.Away)
	}
	if m.Blocked {
		state += ", blocked"
	}
	return state
}

func (p *printer) peers(peers []control.Peer) error {
	if p.json {
		return objects(p, peers)
	}
	for _, peer := range peers {
		p.know(peer.ID, peer.Nick, peer.Tagged, peer.Verified)
	}
	var rows [][]string
	for _, peer := range peers {
		rows = append(rows, []string{p.name(peer.ID, peer.Nick, peer.Tag), show.Clean(peer.Tag), peer.Addr,
			show.Clean(peer.Iface), peerState(peer), p.ago(peer.LastSeen), rtt(peer.RTTms),
			show.Clean(strings.Join(peer.Rooms, " "))})
	}
	return p.columns([]string{"NICK", "TAG", "ADDRESS", "IFACE", "STATUS", "SEEN", "RTT", "ROOMS"}, rows)
}

func peerState(peer control.Peer) string {
	state := show.Clean(peer.Status)
	if peer.Watch {
		state += ", watches"
	}
	if peer.Unicast == "blocked" {
		state += ", unicast blocked"
	}
	if peer.Blocked {
		state += ", blocked"
	}
	return state
}

func rtt(ms float64) string {
	if ms <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1fms", ms)
}

// peerChange is one line of `peers --watch`.
func (p *printer) peerChange(at time.Time, peer control.Peer) error {
	if p.json {
		return p.object(peer)
	}
	return p.line("%s %s %s %s", p.clock(at), p.name(peer.ID, peer.Nick, peer.Tag), peer.Addr, peerState(peer))
}

func (p *printer) clock(t time.Time) string { return p.dim(t.Local().Format("15:04:05")) }

func (p *printer) imported(done control.Imported) error {
	if p.json {
		return p.object(done)
	}
	return p.line("%d records taken, %d known already, %d refused", done.New, done.Known, done.Refused)
}

func (p *printer) memberChange(at time.Time, change control.MemberChange) error {
	if change.Change == "nick" {
		now := p.plainName(change.ID, change.Nick, change.Tag)
		return p.line("%s %s", p.clock(at), p.dim(fmt.Sprintf("- %s is now %s", show.Clean(change.Was), now)))
	}
	what := p.dim(show.MemberChange(change.Change))
	return p.line("%s %s %s %s", p.clock(at), p.dim("-"), p.name(change.ID, change.Nick, change.Tag), what)
}

// signal writes who goes away and comes back. Who is typing stands in the prompt.
func (p *printer) signal(at time.Time, s control.Signal) error {
	what := "is back"
	switch {
	case s.Kind == "away":
		what = "is " + show.Away(cmp.Or(s.Text, "away"))
	case s.Kind != "here":
		return nil
	}
	return p.line("%s %s %s %s", p.clock(at), p.dim("-"), p.name(s.ID, s.Nick, show.Tag(s.ID)), p.dim(what))
}

func (p *printer) presence(at time.Time, peer control.Peer) error {
	what := p.dim(show.Presence(peer.Status))
	return p.line("%s %s %s %s", p.clock(at), p.dim("-"), p.name(peer.ID, peer.Nick, peer.Tag), what)
}

func (p *printer) cut(at time.Time, cut control.Cut) error {
	return p.line("%s %s", p.clock(at), p.paint(colorAlert, "["+show.Cut(cut)+"]"))
}

// event writes what is neither post nor member: as JSON everything, for people what they can use.
func (p *printer) event(event control.Event) error {
	switch {
	case p.json:
		return p.object(event)
	case event.Post != nil:
		return p.changedPost(event)
	case event.Fork != nil:
		text := show.Fork(p.name(event.Fork.ID, event.Fork.Nick, show.Tag(event.Fork.ID)))
		return p.line("%s %s", p.clock(event.Time), p.paint(colorAlert, "! "+text))
	case event.Sync != nil:
		return p.sync(event.Time, *event.Sync)
	case event.Type == control.EventProblem:
		return p.problem(event)
	case event.Member != nil:
		p.know(event.Member.ID, event.Member.Nick, event.Member.Tagged, event.Member.Verified)
		return p.memberChange(event.Time, *event.Member)
	case event.Signal != nil:
		p.know(event.Signal.ID, event.Signal.Nick, event.Signal.Tagged, event.Signal.Verified)
		return p.signal(event.Time, *event.Signal)
	case event.Cut != nil:
		return p.cut(event.Time, *event.Cut)
	case event.Offer != nil:
		o := *event.Offer
		p.know(o.From, o.Nick, o.Tagged, o.Verified)
		return p.line("%s %s", p.clock(event.Time), p.dim("- "+show.Offer(p.plainName(o.From, o.Nick, o.Tag), o)))
	case event.File != nil:
		if text := show.File(*event.File); text != "" {
			return p.line("%s %s", p.clock(event.Time), p.dim("- "+text))
		}
		return nil
	case event.Peer != nil:
		p.know(event.Peer.ID, event.Peer.Nick, event.Peer.Tagged, event.Peer.Verified)
		return p.presence(event.Time, *event.Peer)
	default:
		return nil
	}
}

// syncEvery is how often catching up is told at most.
const syncEvery = 5 * time.Second

// sync writes how far catching up has come, for people who wait for it.
func (p *printer) sync(at time.Time, s control.Sync) error {
	if !p.dueSync(at, s) {
		return nil
	}
	return p.line("%s %s", p.clock(at), p.dim("- "+show.Sync(s)))
}

func (p *printer) dueSync(at time.Time, s control.Sync) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, told := p.syncs[s.ID]
	switch {
	case s.Done:
		delete(p.syncs, s.ID)
		return told
	case told && at.Sub(last) < syncEvery, !told && s.Total-s.Have < show.SyncWorth:
		return false
	}
	p.syncs[s.ID] = at
	return true
}

// problem writes what a person should know, or that it is over.
func (p *printer) problem(event control.Event) error {
	if event.Problem == "" {
		return p.line("%s %s", p.clock(event.Time), p.dim("- that is over"))
	}
	return p.line("%s %s", p.clock(event.Time), p.paint(colorAlert, "! "+show.Clean(event.Problem)))
}

func (p *printer) said(said control.Said) error {
	if p.json {
		return p.object(said)
	}
	return p.line("%s", show.Clean(said.ID))
}

func (p *printer) settings(settings []control.Setting) error {
	if p.json {
		return objects(p, settings)
	}
	var rows [][]string
	for _, s := range settings {
		rows = append(rows, []string{s.Name, show.Clean(s.Value), s.From})
	}
	return p.columns([]string{"SETTING", "VALUE", "FROM"}, rows)
}

func (p *printer) interfaces(ifaces []control.Interface) error {
	if p.json {
		return objects(p, ifaces)
	}
	var rows [][]string
	for _, i := range ifaces {
		used := "used"
		if !i.Used {
			used = p.dim("no: " + i.Reason)
		}
		link := i.Link
		if i.Kind != "" && link != "wifi" {
			link = i.Kind
		}
		addrs := strings.Join(slices.Concat(i.Addrs, i.Addrs6), " ")
		broadcast := strings.Join(i.Broadcast, " ")
		rows = append(rows, []string{show.Clean(i.Name), addrs, broadcast, fmt.Sprint(i.MTU), link, used})
	}
	return p.columns([]string{"INTERFACE", "ADDRESS", "BROADCAST", "MTU", "LINK", "USED"}, rows)
}

func (p *printer) findings(report doctor.Report) error {
	if p.json {
		return p.object(report)
	}
	for _, f := range report.Findings {
		mark := fmt.Sprintf("%-8s", strings.ToUpper(string(f.Severity)))
		if f.Severity == doctor.Problem {
			mark = p.paint(colorAlert, mark)
		}
		p.line("%s %s", mark, show.Clean(f.Sentence))
		if f.Command != "" {
			p.line("         try: %s", show.Clean(f.Command))
		}
	}
	p.line("\n%s", show.Clean(report.Verdict))
	if report.Command != "" {
		p.line("try: %s", show.Clean(report.Command))
	}
	return nil
}

func (p *printer) datagram(d datagram, asHex bool) error {
	if p.json {
		return p.object(d)
	}
	kind := "unicast"
	if d.Broadcast {
		kind = "broadcast"
	}
	what := fmt.Sprintf("%d bytes", d.Size)
	switch {
	case d.Truncated:
		what = fmt.Sprintf("%d of %d bytes; %d are gone, the next read starts with the next datagram", d.Received, d.Size,
			d.Lost)
	case d.Size == 0:
		what = "an empty datagram: 0 bytes were sent"
	}
	p.line("%s %s > %s %s %s: %s", p.clock(d.Time), d.From, d.To, d.Iface, kind, what)
	if len(d.Data) == 0 {
		return nil
	}
	if asHex || !printable(d.Data) {
		_, err := fmt.Fprint(p.out, indent(hex.Dump(d.Data)))
		return err
	}
	return p.line("  %s", strings.Join(show.Lines(strings.TrimSuffix(string(d.Data), "\n")), "\n  "))
}

func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n  ") + "\n"
}

func (p *printer) sent(s sending) error {
	if p.json {
		return p.object(s)
	}
	by := ""
	if s.Iface != "" {
		by = " by " + s.Iface
	}
	return p.line("%s sent %d bytes to %s%s", p.clock(s.Time), s.Size, s.To, by)
}
