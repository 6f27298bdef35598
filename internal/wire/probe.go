package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// MaxProbe is the largest echo: three fragments on Ethernet.
const MaxProbe = 4000

const (
	probeStart = 5  // of an id: its first 8 characters as text
	maxHeard   = 40 // so many fit beside everything else
)

// Way is how the answer to an echo travels.
type Way uint8

// The ways. Of another one no version-1 device answers.
const (
	WayUnicast  Way = iota + 1
	WayDirected     // to the broadcast address of the subnet
	WayLimited      // to 255.255.255.255
)

var wayNames = [...]string{WayUnicast: "unicast", WayDirected: "directed", WayLimited: "limited"}

// Known tells whether it is a way of this version.
func (w Way) Known() bool { return w >= WayUnicast && w <= WayLimited }

func (w Way) String() string {
	if w.Known() {
		return wayNames[w]
	}
	return "unknown"
}

// Probe is what an echo carries beside what all presence says: a question with a challenge, or the answer, which is as
// large and comes in the way that was asked for. The zero value is none.
type Probe struct {
	Way   Way
	Size  int          // bytes of the datagram, PresenceSize to MaxProbe; behind the signature anything may stand
	Clock uint64       // the sender's, in milliseconds since 1970
	Left  int          // of an answer: the bytes that the asker may still ask for now
	Heard []HeardStart // of an answer: who is here for its sender, by the interface asked on, as many as fit
}

// HeardStart is the beginning of a device id.
type HeardStart [probeStart]byte

type wireProbe struct {
	_     struct{} `cbor:",toarray"`
	Way   uint8
	Size  uint16
	Clock uint64
	Left  uint16
	Heard cbor.ByteString
}

func encodeProbe(p Probe) *wireProbe {
	if p.Way == 0 {
		return nil
	}
	w := &wireProbe{Way: uint8(p.Way), Size: uint16(p.Size), Clock: p.Clock, Left: uint16(p.Left)}
	for _, h := range p.Heard[:min(len(p.Heard), maxHeard)] {
		w.Heard += cbor.ByteString(h[:])
	}
	return w
}

func (w *wireProbe) probe() (Probe, error) {
	if w == nil {
		return Probe{}, nil
	}
	if w.Size < PresenceSize || w.Size > MaxProbe || len(w.Heard)%probeStart != 0 || len(w.Heard) > maxHeard*probeStart {
		return Probe{}, fmt.Errorf("an echo of %d bytes that names devices in %d", w.Size, len(w.Heard))
	}
	p := Probe{Way: Way(w.Way), Size: int(w.Size), Clock: w.Clock, Left: int(w.Left)}
	for b := []byte(w.Heard); len(b) > 0; b = b[probeStart:] {
		p.Heard = append(p.Heard, HeardStart(b[:probeStart]))
	}
	return p, nil
}

// presenceSize is how long a datagram with these claims has to be: an echo says it, everything else has one size.
func presenceSize(t Type, c Claims) int {
	if t == TypeEcho {
		return max(PresenceSize, c.Probe.Size)
	}
	return PresenceSize
}
