package irc

import (
	"strconv"
	"time"

	"github.com/ergochat/irc-go/ircmsg"
)

// maxLabel is the longest label in bytes (IRCv3 labeled-response).
const maxLabel = 64

// labelOf is what a client wants the answer to a line to bear.
func (c *conn) labelOf(m ircmsg.Message) string {
	_, label := m.GetTag("label")
	if !c.caps[capLabels] || !c.caps[capBatch] || len(label) > maxLabel {
		return ""
	}
	return label
}

// answer does something and gives what it says the label: one message, or one batch of them. What says nothing is
// acknowledged, unless its answer comes later.
func (c *conn) answer(label string, do func() (later bool)) {
	if label == "" {
		do()
		return
	}
	var held []ircmsg.Message
	c.held = &held
	later := do()
	c.held = nil
	switch {
	case len(held) == 0 && later:
		return
	case len(held) == 0:
		held = []ircmsg.Message{ircmsg.MakeMessage(nil, serverName, "ACK")}
	case len(held) > 1 && !isBatch(held):
		held = c.bundle(held)
	}
	held[0].SetTag("label", label)
	for _, m := range held {
		c.write(m)
	}
}

// isBatch tells whether messages are one batch already.
func isBatch(all []ircmsg.Message) bool {
	first, last := all[0], all[len(all)-1]
	return first.Command == "BATCH" && last.Command == "BATCH" && first.Params[0][1:] == last.Params[0][1:]
}

func (c *conn) bundle(all []ircmsg.Message) []ircmsg.Message {
	ref := c.batchRef()
	bundle := []ircmsg.Message{ircmsg.MakeMessage(nil, serverName, "BATCH", "+"+ref, "labeled-response")}
	for _, m := range all {
		if !m.HasTag("batch") && (m.Command != "BATCH" || m.Params[0][0] == '+') {
			m.SetTag("batch", ref)
		}
		bundle = append(bundle, m)
	}
	return append(bundle, ircmsg.MakeMessage(nil, serverName, "BATCH", "-"+ref))
}

func (c *conn) batchRef() string {
	c.batches++
	return strconv.Itoa(c.batches)
}

// batch sends messages that belong together, if the client knows batches; else one by one.
func (c *conn) batch(kind, about string, all []outgoing) {
	if !c.caps[capBatch] {
		for _, o := range all {
			c.emit(o)
		}
		return
	}
	ref := c.batchRef()
	start := []string{"+" + ref, kind}
	if about != "" {
		start = append(start, about)
	}
	c.emit(outgoing{command: "BATCH", params: start})
	for _, o := range all {
		o.batch = ref
		c.emit(o)
	}
	c.emit(outgoing{command: "BATCH", params: []string{"-" + ref}})
}

// stamp is a moment as IRCv3 server-time writes it.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
