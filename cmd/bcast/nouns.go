package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/doctor"
)

func (p *printer) status(s control.Status) error {
	if p.json {
		return p.object(s)
	}
	p.line("%s (%s), up %s, %s", p.name(s.ID, s.Nick, s.Tag), clean(s.Tag), span(time.Duration(s.UptimeS*1e9)), s.Version)
	p.line("ports       %d shared, %d own", s.Port, s.Unicast)
	buffer := fmt.Sprintf("%d bytes", s.RecvBuffer)
	if s.Watch {
		buffer += ", too small to take part: this node only watches"
	}
	p.line("buffer      %s", buffer)
	for _, i := range s.Interfaces {
		if i.Used {
			p.line("interface   %s %s", i.Name, strings.Join(i.Addrs, " "))
		}
	}
	p.line("peers       %d", s.Peers)
	for _, r := range s.Rooms {
		p.line("room        %s", roomLine(r))
	}
	p.line("sent        %s, %d bytes", counts(s.Sent), s.SentBytes)
	p.line("received    %s", counts(s.Received))
	p.line("dropped     %s", counts(s.Drops))
	p.line("cut         %s", cutLine(s))
	for _, problem := range s.Problems {
		p.line("%s     %s", p.paint(colorAlert, "problem"), clean(problem))
	}
	return nil
}

func roomLine(r control.Room) string {
	line := fmt.Sprintf("%s: %d of %d members here, %d posts, datagrams of %d bytes", clean(r.Name), r.Present,
		r.Members, r.Posts, r.DatagramLimit)
	if r.LimitedBy != "" {
		line += " because of " + clean(r.LimitedBy)
	}
	if r.Missing > 0 {
		line += fmt.Sprintf(", %d still missing", r.Missing)
	}
	return line
}

func cutLine(s control.Status) string {
	line := fmt.Sprint(s.Cuts)
	for _, from := range s.CutFrom {
		who := from.Addr
		if from.Nick != "" {
			who = clean(from.Nick) + " " + who
		}
		line += fmt.Sprintf(", %d from %s", from.Count, who)
	}
	return line
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
		rows = append(rows, []string{clean(r.Name), fmt.Sprint(r.Present), fmt.Sprint(r.Members), fmt.Sprint(r.Posts),
			fmt.Sprint(r.Missing)})
	}
	return p.columns([]string{"ROOM", "HERE", "MEMBERS", "POSTS", "MISSING"}, rows)
}

func (p *printer) members(members []control.Member) error {
	if p.json {
		return objects(p, members)
	}
	for _, m := range members {
		p.meet(m.ID, m.Nick)
	}
	var rows [][]string
	for _, m := range members {
		seen := p.ago(m.LastSeen)
		if m.Status == "self" {
			seen = ""
		}
		rows = append(rows, []string{p.name(m.ID, m.Nick, m.Tag), clean(m.Tag), clean(m.Status), seen})
	}
	return p.columns([]string{"NICK", "TAG", "STATUS", "SEEN"}, rows)
}

func (p *printer) peers(peers []control.Peer) error {
	if p.json {
		return objects(p, peers)
	}
	for _, peer := range peers {
		p.meet(peer.ID, peer.Nick)
	}
	var rows [][]string
	for _, peer := range peers {
		rows = append(rows, []string{p.name(peer.ID, peer.Nick, peer.Tag), clean(peer.Tag), peer.Addr, clean(peer.Iface),
			peerState(peer), p.ago(peer.LastSeen), rtt(peer.RTTms), clean(strings.Join(peer.Rooms, " "))})
	}
	return p.columns([]string{"NICK", "TAG", "ADDRESS", "IFACE", "STATUS", "SEEN", "RTT", "ROOMS"}, rows)
}

func peerState(peer control.Peer) string {
	state := clean(peer.Status)
	if peer.Watch {
		state += ", watches"
	}
	if peer.Unicast == "blocked" {
		state += ", unicast blocked"
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

func (p *printer) post(post control.Post) error {
	if p.json {
		return p.object(post)
	}
	name := p.name(post.From, post.Nick, post.Tag)
	lines := cleanLines(post.Text)
	head := fmt.Sprintf("%s %s: ", p.clock(post.Time), name)
	if post.Kind == "action" {
		head = fmt.Sprintf("%s * %s ", p.clock(post.Time), name)
	}
	if post.Deleted {
		lines = []string{p.dim("(deleted)")}
	}
	if post.Late {
		lines[len(lines)-1] += p.dim(" [late]")
	}
	indent := "\n" + strings.Repeat(" ", cells(uncolored(head)))
	return p.line("%s%s", head, strings.Join(lines, indent))
}

func (p *printer) memberChange(at time.Time, change control.MemberChange) error {
	what := map[string]string{"join": "joined", "leave": "left"}[change.Change]
	if change.Change == "nick" {
		return p.line("%s %s", p.clock(at), p.dim(fmt.Sprintf("- %s is now %s", clean(change.Was), clean(change.Nick))))
	}
	if what == "" {
		what = clean(change.Change)
	}
	return p.line("%s %s %s %s", p.clock(at), p.dim("-"), p.name(change.ID, change.Nick, change.Tag), p.dim(what))
}

func (p *printer) presence(at time.Time, peer control.Peer) error {
	what := map[string]string{"here": "is here", "suspect": "is late", "lost": "is lost", "left": "went away"}[peer.Status]
	if what == "" {
		what = clean(peer.Status)
	}
	return p.line("%s %s %s %s", p.clock(at), p.dim("-"), p.name(peer.ID, peer.Nick, peer.Tag), p.dim(what))
}

func (p *printer) cut(at time.Time, cut control.Cut) error {
	from := cut.From
	if cut.Nick != "" {
		from = clean(cut.Nick)
	}
	text := fmt.Sprintf("[cut %d/%d from %s]", cut.Received, cut.Size, from)
	return p.line("%s %s", p.clock(at), p.paint(colorAlert, text))
}

// event writes what is neither post nor member: as JSON everything, for people what they can use.
func (p *printer) event(event control.Event) error {
	switch {
	case p.json:
		return p.object(event)
	case event.Post != nil:
		return p.post(*event.Post)
	case event.Member != nil:
		return p.memberChange(event.Time, *event.Member)
	case event.Cut != nil:
		return p.cut(event.Time, *event.Cut)
	case event.Peer != nil:
		return p.presence(event.Time, *event.Peer)
	default:
		return nil
	}
}

func (p *printer) said(said control.Said) error {
	if p.json {
		return p.object(said)
	}
	return p.line("%s", clean(said.ID))
}

func (p *printer) settings(settings []control.Setting) error {
	if p.json {
		return objects(p, settings)
	}
	var rows [][]string
	for _, s := range settings {
		rows = append(rows, []string{s.Name, clean(s.Value), s.From})
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
		rows = append(rows, []string{clean(i.Name), strings.Join(i.Addrs, " "), strings.Join(i.Broadcast, " "),
			fmt.Sprint(i.MTU), i.Link, used})
	}
	return p.columns([]string{"INTERFACE", "ADDRESS", "BROADCAST", "MTU", "LINK", "USED"}, rows)
}

func (p *printer) devices(devices []device) error {
	if p.json {
		return objects(p, devices)
	}
	var rows [][]string
	for _, d := range devices {
		rows = append(rows, p.deviceRow(d))
	}
	return p.columns([]string{"NAME", "ADDRESS", "MAC", "KIND", "STATUS", "FOUND BY"}, rows)
}

func (p *printer) deviceRow(d device) []string {
	name := clean(d.Name)
	if d.ID != "" {
		name = p.name(d.ID, d.Nick, d.tag)
	}
	return []string{name, strings.Join(d.Addrs, " "), d.MAC, d.Kind, d.Status, strings.Join(d.FoundBy, " ")}
}

// deviceChange is one line of `discover --watch`.
func (p *printer) deviceChange(d device) error {
	if p.json {
		return p.object(d)
	}
	cells := slices.DeleteFunc(p.deviceRow(d), func(cell string) bool { return cell == "" })
	return p.line("%s %s", p.clock(d.LastSeen), strings.Join(cells, "  "))
}

func (p *printer) findings(report doctor.Report) error {
	if p.json {
		return p.object(report)
	}
	for _, f := range report.Findings {
		mark := map[doctor.Level]string{doctor.OK: "ok", doctor.Warning: "note", doctor.Problem: "PROBLEM"}[f.Level]
		if f.Level == doctor.Problem {
			mark = p.paint(colorAlert, mark)
		}
		p.line("%-8s %s", mark, clean(f.Message))
		if f.Fix != "" {
			p.line("         try: %s", clean(f.Fix))
		}
	}
	return p.line("%s", clean(report.Verdict))
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
	return p.line("  %s", strings.Join(cleanLines(strings.TrimSuffix(string(d.Data), "\n")), "\n  "))
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
