package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"bcast/identity"
)

// Frame is the inside of one room datagram. A reader of a signed frame ignores bytes behind the fields it knows.
type Frame interface {
	Type() Type
	// appendTo appends the frame's bytes.
	appendTo(dst []byte) []byte
}

// Record carries one record as it was signed: proof, header, body.
type Record struct{ Bytes []byte }

// Frag carries the bytes of a record from Offset on; Total is the record's whole length.
type Frag struct {
	Record [16]byte
	Total  uint16
	Offset uint16
	Data   []byte
}

// Head carries the proof and header of an author's last record.
type Head struct{ Bytes []byte }

// Fork carries two heads with one feed and one sequence number, or one of which denies the other's chain.
type Fork struct{ A, B []byte }

// FeedClaim says that the sender has stored a feed without gaps from Low to High; Head is the front of the id of
// record High.
type FeedClaim struct {
	Feed [8]byte
	Low  uint64
	High uint64
	Head [4]byte
}

// Digest says in short what the sender has stored: the sum over all its claims, how many feeds, and the claims that
// changed last, as many as fit.
type Digest struct {
	Root   [32]byte
	Feeds  uint32
	Claims []FeedClaim
}

// Span is a part of the feeds in the order of their names, From to To inclusive: either its fingerprint, or, when it
// is small, its claims.
type Span struct {
	From, To    [8]byte
	Fingerprint [16]byte
	Listed      bool // Claims is the whole content; Fingerprint is not sent
	Claims      []FeedClaim
}

// Range compares what two members have where their digests' claims agree and the sums do not.
type Range struct{ Spans []Span }

// SeqRange names records of a feed by their numbers, From to To inclusive.
type SeqRange struct {
	Feed     [8]byte
	From, To uint64
}

// Part names bytes of an encoded record, From inclusive, To exclusive.
type Part struct {
	Record   [16]byte
	From, To uint16
}

// Want asks for records, in datagrams of at most Limit bytes.
type Want struct {
	Limit  uint16
	Ranges []SeqRange
	IDs    [][16]byte
	Parts  []Part
}

// Receipt tells an author what of its feeds is stored, and what the receiver sees of the link: Loss in 1/65535ths,
// Drops the datagrams that its own queues dropped.
type Receipt struct {
	Stored []FeedClaim
	Loss   uint16
	Drops  uint32
}

// Cut tells a sender that its datagram with this nonce was Size bytes long, of which the buffer took Received.
type Cut struct {
	Nonce    [24]byte
	Received uint16
	Size     uint32
}

// Signal is said and forgotten.
type Signal struct {
	Kind uint8 // 1 typing, 2 away, 3 here again
	Text string
}

// Busy asks to come back later.
type Busy struct{ RetryMillis uint16 }

func (Record) Type() Type  { return TypeRecord }
func (Frag) Type() Type    { return TypeFrag }
func (Head) Type() Type    { return TypeHead }
func (Fork) Type() Type    { return TypeFork }
func (Digest) Type() Type  { return TypeDigest }
func (Range) Type() Type   { return TypeRange }
func (Want) Type() Type    { return TypeWant }
func (Receipt) Type() Type { return TypeReceipt }
func (Cut) Type() Type     { return TypeCut }
func (Signal) Type() Type  { return TypeSignal }
func (Busy) Type() Type    { return TypeBusy }

// Limits of one frame: more does not fit a datagram of any size we send.
const (
	MaxClaims    = 48
	MaxSpans     = 32
	MaxWants     = 64
	MaxFragments = 48
	maxSignal    = 255

	maxSeq = 1 << 62 // of a record in its feed: sums of two do not overflow
)

var be = binary.BigEndian

func (f Record) appendTo(b []byte) []byte { return append(b, f.Bytes...) }
func (f Head) appendTo(b []byte) []byte   { return append(b, f.Bytes...) }

// What a datagram takes beside its content, in bytes: any sealed one, and a Frag beside its data; and what each claim
// takes.
const (
	SealedOverhead = 62
	FragOverhead   = 16 + 2 + 2
	ClaimSize      = 8 + 8 + 8 + 4
)

func (f Frag) appendTo(b []byte) []byte {
	b = append(b, f.Record[:]...)
	b = be.AppendUint16(b, f.Total)
	b = be.AppendUint16(b, f.Offset)
	return append(b, f.Data...)
}

func (f Fork) appendTo(b []byte) []byte {
	b = be.AppendUint16(b, uint16(len(f.A)))
	return append(append(b, f.A...), f.B...)
}

func appendClaims(b []byte, claims []FeedClaim) []byte {
	b = append(b, byte(len(claims)))
	for _, c := range claims {
		b = appendClaim(b, c)
	}
	return b
}

func appendClaim(b []byte, c FeedClaim) []byte {
	b = append(b, c.Feed[:]...)
	b = be.AppendUint64(b, c.Low)
	b = be.AppendUint64(b, c.High)
	return append(b, c.Head[:]...)
}

func (f Digest) appendTo(b []byte) []byte {
	b = append(b, f.Root[:]...)
	b = be.AppendUint32(b, f.Feeds)
	return appendClaims(b, f.Claims)
}

func (f Range) appendTo(b []byte) []byte {
	b = append(b, byte(len(f.Spans)))
	for _, s := range f.Spans {
		b = append(append(b, s.From[:]...), s.To[:]...)
		if s.Listed {
			b = appendClaims(append(b, 1), s.Claims)
		} else {
			b = append(append(b, 0), s.Fingerprint[:]...)
		}
	}
	return b
}

// Size is how many bytes s takes of a Range.
func (s Span) Size() int {
	const names, listed = 8 + 8, 1
	if s.Listed {
		return names + listed + 1 + ClaimSize*len(s.Claims)
	}
	return names + listed + len(s.Fingerprint)
}

func appendRanges(b []byte, ranges []SeqRange) []byte {
	b = append(b, byte(len(ranges)))
	for _, r := range ranges {
		b = append(b, r.Feed[:]...)
		b = be.AppendUint64(b, r.From)
		b = be.AppendUint64(b, r.To)
	}
	return b
}

func (f Want) appendTo(b []byte) []byte {
	b = be.AppendUint16(b, f.Limit)
	b = appendRanges(b, f.Ranges)
	b = append(b, byte(len(f.IDs)))
	for _, id := range f.IDs {
		b = append(b, id[:]...)
	}
	b = append(b, byte(len(f.Parts)))
	for _, p := range f.Parts {
		b = append(b, p.Record[:]...)
		b = be.AppendUint16(b, p.From)
		b = be.AppendUint16(b, p.To)
	}
	return b
}

func (f Receipt) appendTo(b []byte) []byte {
	b = appendClaims(b, f.Stored)
	b = be.AppendUint16(b, f.Loss)
	return be.AppendUint32(b, f.Drops)
}

func (f Cut) appendTo(b []byte) []byte {
	b = append(b, f.Nonce[:]...)
	b = be.AppendUint16(b, f.Received)
	return be.AppendUint32(b, f.Size)
}

func (f Signal) appendTo(b []byte) []byte {
	text := f.Text
	if len(text) > maxSignal {
		text = strings.ToValidUTF8(text[:maxSignal], "") // without the half of a character that was cut
	}
	return append(append(b, f.Kind, byte(len(text))), text...)
}

func (f Busy) appendTo(b []byte) []byte { return be.AppendUint16(b, f.RetryMillis) }

// AppendFrame appends the bytes of a frame that proves itself.
func AppendFrame(dst []byte, f Frame) []byte { return f.appendTo(dst) }

// Sender is what a signed frame begins with: who says it, and to whom. A zero To is everyone.
type Sender struct {
	Key      identity.PublicKey
	Instance identity.Instance
	Counter  uint64
	To       identity.Instance
}

// SenderSize and SignedOverhead are what a signed frame takes beside its own bytes.
const (
	SenderSize     = 32 + identity.InstanceSize + 8 + identity.InstanceSize
	SignedOverhead = SenderSize + identity.SignatureSize
)

// SignDomain keeps a frame's signature from being taken for one of anything else.
const signDomain = "bcast/1 frame\x00"

// AppendSigned appends f with its sender in front and key's signature behind. The signature covers the room and the
// outside of the datagram that will carry it, so that it says nothing anywhere else.
func AppendSigned(dst []byte, f Frame, s Sender, key identity.Signer, room [16]byte, outer []byte) []byte {
	start := len(dst)
	dst = append(dst, s.Key[:]...)
	dst = identity.AppendInstance(dst, s.Instance)
	dst = be.AppendUint64(dst, s.Counter)
	dst = identity.AppendInstance(dst, s.To)
	dst = f.appendTo(dst)
	return append(dst, key.Sign(signedMessage(room, outer, dst[start:]))...)
}

func signedMessage(room [16]byte, outer, inner []byte) []byte {
	b := make([]byte, 0, len(signDomain)+len(room)+len(outer)+len(inner))
	b = append(append(b, signDomain...), room[:]...)
	return append(append(b, outer...), inner...)
}

// Signed is a signed frame whose signature is still to be checked.
type Signed struct {
	Sender Sender
	Frame  Frame
	inner  []byte
	sig    []byte
}

// ParseSigned reads a signed frame's shape. It keeps inner.
func ParseSigned(t Type, inner []byte) (*Signed, error) {
	if len(inner) < SignedOverhead {
		return nil, errShort
	}
	cut := len(inner) - identity.SignatureSize
	s := &Signed{inner: inner[:cut], sig: inner[cut:]}
	s.Sender = Sender{
		Key: identity.PublicKey(inner[:32]), Instance: identity.ParseInstance(inner[32:]),
		Counter: be.Uint64(inner[44:]), To: identity.ParseInstance(inner[52:]),
	}
	if s.Sender.Instance.IsZero() || s.Sender.Counter == 0 {
		return nil, errNobody
	}
	var err error
	s.Frame, err = parseSignedBody(t, inner[SenderSize:cut])
	return s, err
}

// Verify tells whether the sender named in the frame signed it for this room and this datagram.
func (s *Signed) Verify(
	verify func(key identity.PublicKey, message, sig []byte) bool, room [16]byte, outer []byte,
) bool {
	return verify(s.Sender.Key, signedMessage(room, outer, s.inner), s.sig)
}

// ParseFrame reads a frame that proves itself: every byte of b. It keeps b.
func ParseFrame(t Type, b []byte) (Frame, error) {
	r := reader{Fields: NewFields(b)}
	var f Frame
	switch t {
	case TypeRecord:
		f = Record{Bytes: r.Rest()}
	case TypeHead:
		f = Head{Bytes: r.Rest()}
	case TypeFrag:
		frag := Frag{Record: [16]byte(r.Take(16)), Total: r.U16(), Offset: r.U16()}
		frag.Data = r.Rest()
		if end := int(frag.Offset) + len(frag.Data); !r.Failed() && (len(frag.Data) == 0 || end > int(frag.Total)) {
			return nil, fmt.Errorf("frag: bytes up to %d of %d", end, frag.Total)
		}
		f = frag
	case TypeFork:
		f = Fork{A: r.Take(int(r.U16())), B: r.Rest()}
	default:
		return nil, fmt.Errorf("frame: type %d proves nothing by itself", t)
	}
	if r.Failed() {
		return nil, errShort
	}
	return f, nil
}

func parseSignedBody(t Type, b []byte) (Frame, error) {
	r := reader{Fields: NewFields(b)}
	var f Frame
	switch t {
	case TypeDigest:
		f = Digest{Root: [32]byte(r.Take(32)), Feeds: r.U32(), Claims: r.claims()}
	case TypeRange:
		f = Range{Spans: r.spans()}
	case TypeWant:
		f = r.want()
	case TypeReceipt:
		f = Receipt{Stored: r.claims(), Loss: r.U16(), Drops: r.U32()}
	case TypeCut:
		f = Cut{Nonce: [24]byte(r.Take(24)), Received: r.U16(), Size: r.U32()}
	case TypeSignal:
		f = Signal{Kind: r.U8(), Text: r.text(int(r.U8()))}
	case TypeBusy:
		f = Busy{RetryMillis: r.U16()}
	default:
		return nil, fmt.Errorf("frame: unknown type %d", t)
	}
	if r.Failed() {
		return nil, errShort
	}
	return f, nil
}

var errShort = errors.New("frame: cut short")
