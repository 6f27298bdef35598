package chat

import (
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// SignalKind is what a member does at this moment.
type SignalKind uint8

// The kinds of a SIGNAL (PROTOCOL.md 7).
const (
	Typing SignalKind = iota + 1
	Away
	Back
)

// signalEach is how often one member's signals are taken and ours are sent: they are said and forgotten.
const signalEach = time.Second

// presenceAgain is how often we say again that we are away: a signal may be lost, and others come.
const presenceAgain = time.Minute

// Signal tells all members here what we do. Away is said again from time to time until Back.
func (r *Room) Signal(now Now, kind SignalKind, text string) {
	if kind == Typing && now.Mono < r.signalledAt+signalEach {
		return
	}
	r.signalledAt = now.Mono
	r.awayAt, r.awayText = never, ""
	if kind == Away {
		r.awayAt, r.awayText = now.Mono+presenceAgain, text
	}
	r.send(identity.DeviceID{}, Control, wire.Signal{Kind: uint8(kind), Text: text})
}

// sendAway says again that we are away, when it is time or somebody came.
func (r *Room) sendAway(now time.Duration) {
	if r.awayAt <= now {
		r.awayAt = now + presenceAgain
		r.send(identity.DeviceID{}, Control, wire.Signal{Kind: uint8(Away), Text: r.awayText})
	}
}

// tellNewcomer has the next Advance say that we are away, if we are.
func (r *Room) tellNewcomer(now time.Duration) {
	if r.awayAt != never {
		r.awayAt = min(r.awayAt, now+signalEach)
	}
}

// signal takes what a member says of this moment.
func (r *Room) signal(now Now, from identity.DeviceID, s wire.Signal) {
	kind := SignalKind(s.Kind)
	if kind < Typing || kind > Back || !r.isMember(from) {
		return
	}
	last, known := r.signals[from]
	if known && now.Mono < last.at+signalEach && last.kind == kind {
		return
	}
	said := known && last.kind == kind && kind != Typing && last.text == s.Text
	r.signals[from] = signalled{kind: kind, text: s.Text, at: now.Mono}
	if !said {
		r.out.Events = append(r.out.Events, Event{
			Kind: Signalled, Device: from, Nick: r.Nick(from), Signal: kind, Text: s.Text,
		})
	}
}

// signalled is the last that a member here said of its moment.
type signalled struct {
	kind SignalKind
	text string
	at   time.Duration
}

// IsAway tells whether a member that is here said to be away, and what it said about it.
func (r *Room) IsAway(id identity.DeviceID) (text string, away bool) {
	s := r.signals[id]
	return s.text, s.kind == Away
}
