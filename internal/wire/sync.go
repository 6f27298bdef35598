package wire

import (
	"errors"
	"fmt"
)

// Message is one message of a stream. On a stream each has a length of four bytes and its kind in front. The stream is
// sealed and its ends are proven, so a message is neither.
type Message interface {
	Kind() Kind
	appendTo(dst []byte) []byte
}

// Kind is the kind of a message.
type Kind uint8

// The kinds of messages (PROTOCOL.md, section "Messages of streams"), in the order in which a pull first has them.
const (
	KindProof Kind = iota + 1
	KindClaims
	KindOffer
	KindTake
	KindEntry
	KindEnd
	KindBusy
)

// Kinds is a set of kinds.
type Kinds uint16

// KindsOf is the set of some kinds.
func KindsOf(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

func (s Kinds) has(k Kind) bool { return k >= KindProof && k <= KindBusy && s&(1<<k) != 0 }

// Proof shows that its sender has the keys of a room, without naming the room.
type Proof struct{ MAC [32]byte }

// StreamClaims says what the one who pulls has. A chain of which it has nothing is claimed with a High of 0. With All
// there is nothing else that it has; without, it asks for the named chains only.
type StreamClaims struct {
	All    bool
	Claims []FeedClaim
}

// Offer is what the other has of the chains in which it has more.
type Offer struct{ Claims []FeedClaim }

// Take asks for records of what was offered, in this order.
type Take struct{ Ranges []SeqRange }

// Entry is one record that was asked for, and the branch that it is in; zero: none.
type Entry struct {
	Branch [16]byte
	Bytes  []byte
}

// End says that all is sent of what the last Take asked for.
type End struct{}

func (Proof) Kind() Kind        { return KindProof }
func (StreamClaims) Kind() Kind { return KindClaims }
func (Offer) Kind() Kind        { return KindOffer }
func (Take) Kind() Kind         { return KindTake }
func (Entry) Kind() Kind        { return KindEntry }
func (End) Kind() Kind          { return KindEnd }
func (Busy) Kind() Kind         { return KindBusy }

// Limits of a message in bytes and items. What is longer than its kind may be is refused when its front has come.
const (
	// MaxStreamClaims is as many chains as a room has at most.
	MaxStreamClaims = 4096
	maxEntry        = 18 << 10 // the largest record and more
	messageFront    = 4 + 1
)

// longest is how long the body of a message may be.
var longest = [...]int{
	KindProof: 32, KindClaims: 1 + 2 + MaxStreamClaims*ClaimSize, KindOffer: 2 + MaxStreamClaims*ClaimSize,
	KindTake: 1 + MaxWants*24, KindEntry: 16 + maxEntry, KindEnd: 0, KindBusy: 2,
}

func (m Proof) appendTo(b []byte) []byte { return append(b, m.MAC[:]...) }
func (End) appendTo(b []byte) []byte     { return b }

func (m StreamClaims) appendTo(b []byte) []byte {
	flag := byte(0)
	if m.All {
		flag = 1
	}
	return appendManyClaims(append(b, flag), m.Claims)
}

func (m Offer) appendTo(b []byte) []byte { return appendManyClaims(b, m.Claims) }

func appendManyClaims(b []byte, claims []FeedClaim) []byte {
	b = be.AppendUint16(b, uint16(len(claims)))
	for _, c := range claims {
		b = appendClaim(b, c)
	}
	return b
}

func (m Take) appendTo(b []byte) []byte { return appendRanges(b, m.Ranges) }

func (m Entry) appendTo(b []byte) []byte { return append(append(b, m.Branch[:]...), m.Bytes...) }

// AppendMessage appends a message as it goes over a stream.
func AppendMessage(dst []byte, m Message) []byte {
	start := len(dst)
	dst = m.appendTo(append(dst, 0, 0, 0, 0, byte(m.Kind())))
	be.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

var errLength = errors.New("message: longer or shorter than its kind may be")

// CutMessage takes the first message off the front of b, which it keeps; nil if it has not come as a whole yet. What is
// not of an expected kind, or too long for its kind, is refused as soon as its front is there, so that nobody makes us
// gather more than the longest message of these.
func CutMessage(b []byte, expected Kinds) (m Message, rest []byte, err error) {
	if len(b) < messageFront {
		return nil, b, nil
	}
	size, kind := int64(be.Uint32(b))-1, Kind(b[4])
	switch {
	case !expected.has(kind):
		return nil, nil, fmt.Errorf("message: kind %d is not expected now", kind)
	case size < 0 || size > int64(longest[kind]):
		return nil, nil, errLength
	case int64(len(b)-messageFront) < size:
		return nil, b, nil
	}
	end := messageFront + int(size)
	m, err = parseMessage(kind, b[messageFront:end:end])
	return m, b[end:], err
}

func parseMessage(k Kind, b []byte) (Message, error) {
	r := reader{Fields: NewFields(b)}
	var m Message
	switch k {
	case KindProof:
		m = Proof{MAC: [32]byte(r.Take(32))}
	case KindClaims:
		flag := r.U8()
		r.FailIf(flag > 1)
		m = StreamClaims{All: flag == 1, Claims: r.manyClaims(true)}
	case KindOffer:
		m = Offer{Claims: r.manyClaims(false)}
	case KindTake:
		m = Take{Ranges: r.takes()}
	case KindEntry:
		m = Entry{Branch: [16]byte(r.Take(16)), Bytes: r.Rest()}
	case KindEnd:
		m = End{}
	case KindBusy:
		m = Busy{RetryMillis: r.U16()}
	}
	if r.Failed() || r.Left() != 0 {
		return nil, errLength
	}
	return m, nil
}

// manyClaims reads claims; with none, also those of chains of which there is nothing.
func (r *reader) manyClaims(none bool) []FeedClaim {
	n := int(r.U16())
	if n > MaxStreamClaims || n*ClaimSize != r.Left() {
		r.FailIf(true)
		return nil
	}
	claims := make([]FeedClaim, n)
	for i := range claims {
		claims[i] = r.claim()
		if c := claims[i]; !valid(c) && !(none && c == FeedClaim{Feed: c.Feed}) {
			r.FailIf(true)
		}
	}
	return claims
}
