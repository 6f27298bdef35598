package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/fxamacker/cbor/v2"

	"bcast/identity"
)

// The byte table of a presence datagram. Between the claims and the signature are zeros: all presence datagrams have
// one size, so that no answer outweighs its question. An echo may be longer behind its signature: see Probe.
const (
	PresenceSize   = MinDatagram
	presenceClaims = 70
	presenceSig    = PresenceSize - identity.SignatureSize
	presenceDomain = "bcast/1 presence\x00"
)

// Challenge is a random question: whoever echoes it from an address was there to read it.
type Challenge [16]byte

// IsZero tells that there is none.
func (c Challenge) IsZero() bool { return c == Challenge{} }

// Presence is what a device says of itself to the link.
type Presence struct {
	Type     Type
	Key      identity.PublicKey
	Instance identity.Instance
	Counter  uint64            // one row of numbers for all that an instance signs
	To       identity.Instance // the instance it is for; zero: everyone
	Claims

	message, sig []byte // what is signed: made once, however often it is verified
}

// Claims is the part of a presence datagram that later versions may add to.
type Claims struct {
	Nick        identity.Nick
	Challenge   Challenge
	Echo        Challenge
	Addrs       []netip.Addr // of the sending interface, at most MaxAddrs
	UnicastPort uint16
	StreamPort  uint16 // TLS; 0: none
	Wifi        bool
	RecvBuffer  uint16
	Watch       bool
	MaxVersion  uint8
	NextBeat    time.Duration       // until the next BEAT, in milliseconds on the wire
	Rooms       []identity.RoomName // public rooms, as many as fit
	MoreRooms   bool                // there are others
	Probe       Probe               // of an echo
	// Services are what the device offers, at most MaxServices, as many as fit; those without room for their texts
	// have fewer. MoreServices tells that there are others.
	Services     []Service
	MoreServices bool
}

// MaxAddrs is how many addresses of the sending interface a presence datagram names.
const MaxAddrs = 4

// maxList bounds every list and map in the claims, those of unknown keys too.
const maxList = 64

// Of byte strings: a []byte would take a list of numbers too.
type wireClaims struct {
	Nick        string            `cbor:"0,keyasint"`
	Challenge   cbor.ByteString   `cbor:"1,keyasint,omitempty"`
	Echo        cbor.ByteString   `cbor:"2,keyasint,omitempty"`
	Addrs       []cbor.ByteString `cbor:"3,keyasint"`
	UnicastPort uint16            `cbor:"4,keyasint"`
	StreamPort  uint16            `cbor:"5,keyasint,omitempty"`
	Wifi        bool              `cbor:"6,keyasint,omitempty"`
	RecvBuffer  uint16            `cbor:"7,keyasint"`
	Watch       bool              `cbor:"8,keyasint,omitempty"`
	MaxVersion  uint8             `cbor:"9,keyasint"`
	NextBeat    uint32            `cbor:"10,keyasint"`
	Rooms       []string          `cbor:"11,keyasint,omitempty"`
	MoreRooms   bool              `cbor:"12,keyasint,omitempty"`
	Probe       *wireProbe        `cbor:"13,keyasint,omitempty"`

	Services     []wireService `cbor:"14,keyasint,omitempty"`
	MoreServices bool          `cbor:"15,keyasint,omitempty"`
}

// RFC 8949, 4.2.1: the shortest form of everything, keys sorted, nothing of indefinite length.
var (
	cborEncoding = must(cbor.CoreDetEncOptions().EncMode())
	cborDecoding = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 8, MaxArrayElements: maxList, MaxMapPairs: maxList, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// SealPresence is p as a datagram signed by key. Rooms that do not fit are left out and MoreRooms set.
func SealPresence(p Presence, key identity.Signer) []byte {
	b := make([]byte, 0, PresenceSize)
	prefix := Prefix(p.Type)
	public := key.Public()
	b = append(append(b, prefix[:]...), public[:]...)
	b = identity.AppendInstance(b, p.Instance)
	b = binary.BigEndian.AppendUint64(b, p.Counter)
	b = identity.AppendInstance(b, p.To)
	claims := encodeClaims(p.Claims)
	b = binary.BigEndian.AppendUint16(b, uint16(len(claims)))
	b = append(b, claims...)
	b = b[:PresenceSize]
	copy(b[presenceSig:], key.Sign(presenceMessage(b)))
	return append(b, make([]byte, presenceSize(p.Type, p.Claims)-PresenceSize)...)
}

func encodeClaims(c Claims) []byte {
	w := wireClaims{
		Nick: string(c.Nick), Challenge: c.Challenge.field(), Echo: c.Echo.field(),
		UnicastPort: c.UnicastPort, StreamPort: c.StreamPort, Wifi: c.Wifi, RecvBuffer: c.RecvBuffer, Watch: c.Watch,
		MaxVersion: c.MaxVersion, NextBeat: uint32(c.NextBeat / time.Millisecond), MoreRooms: c.MoreRooms,
		Probe: encodeProbe(c.Probe),
	}
	w.Addrs = []cbor.ByteString{} // an empty list, never null
	for _, a := range c.Addrs[:min(len(c.Addrs), MaxAddrs)] {
		w.Addrs = append(w.Addrs, cbor.ByteString(a.Unmap().AsSlice()))
	}
	for _, r := range c.Rooms {
		w.Rooms = append(w.Rooms, string(r))
	}
	w.Services, w.MoreServices = encodeServices(c.Services)
	w.MoreServices = w.MoreServices || c.MoreServices
	for {
		b := must(cborEncoding.Marshal(w))
		if len(w.Rooms) == 0 || len(b) <= presenceSig-presenceClaims && len(w.Rooms) <= maxList {
			return b
		}
		w.Rooms, w.MoreRooms = w.Rooms[:len(w.Rooms)-1], true
	}
}

func (c Challenge) field() cbor.ByteString {
	if c.IsZero() {
		return ""
	}
	return cbor.ByteString(c[:])
}

// errNobody: as a destination the zero instance is everyone, so that it can be nobody's; and counters begin at 1.
var errNobody = errors.New("said by no instance, or with counter 0")

// ParsePresence reads a presence datagram's shape. The signature is still to be checked. It keeps b.
func ParsePresence(b []byte) (*Presence, error) {
	if len(b) < PresenceSize {
		return nil, fmt.Errorf("presence: %d bytes, want %d", len(b), PresenceSize)
	}
	p := &Presence{
		Type: Type(b[3]), Key: identity.PublicKey(b[4:36]), Instance: identity.ParseInstance(b[36:]),
		Counter: binary.BigEndian.Uint64(b[48:]), To: identity.ParseInstance(b[56:]),
	}
	if p.Instance.IsZero() || p.Counter == 0 {
		return nil, errNobody
	}
	size := int(binary.BigEndian.Uint16(b[68:]))
	if size > presenceSig-presenceClaims {
		return nil, errors.New("presence: claims longer than their place")
	}
	var w wireClaims
	if err := cborDecoding.Unmarshal(b[presenceClaims:presenceClaims+size], &w); err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	claims, err := w.claims()
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	if want := presenceSize(p.Type, claims); len(b) != want {
		return nil, fmt.Errorf("presence: %d bytes, want %d", len(b), want)
	}
	p.Claims, p.message, p.sig = claims, presenceMessage(b), b[presenceSig:PresenceSize]
	return p, nil
}

func (w *wireClaims) claims() (Claims, error) {
	c := Claims{
		UnicastPort: w.UnicastPort, StreamPort: w.StreamPort, Wifi: w.Wifi, RecvBuffer: w.RecvBuffer, Watch: w.Watch,
		MaxVersion: w.MaxVersion, NextBeat: time.Duration(w.NextBeat) * time.Millisecond, MoreRooms: w.MoreRooms,
	}
	var err error
	if c.Probe, err = w.Probe.probe(); err != nil {
		return c, err
	}
	if c.Nick, err = identity.NormalNick(w.Nick); err != nil {
		return c, err
	}
	if c.Challenge, err = parseChallenge(w.Challenge); err != nil {
		return c, err
	}
	if c.Echo, err = parseChallenge(w.Echo); err != nil {
		return c, err
	}
	if len(w.Addrs) > MaxAddrs {
		return c, fmt.Errorf("%d addresses, at most %d", len(w.Addrs), MaxAddrs)
	}
	for _, a := range w.Addrs {
		addr, ok := netip.AddrFromSlice([]byte(a))
		if !ok {
			return c, fmt.Errorf("an address of %d bytes", len(a))
		}
		c.Addrs = append(c.Addrs, addr.Unmap())
	}
	for _, r := range w.Rooms {
		name, err := identity.NormalRoomName(r)
		if err != nil {
			return c, err
		}
		c.Rooms = append(c.Rooms, name)
	}
	c.MoreServices = w.MoreServices
	c.Services, err = parseServices(w.Services)
	return c, err
}

func parseChallenge(b cbor.ByteString) (Challenge, error) {
	switch len(b) {
	case 0:
		return Challenge{}, nil
	case len(Challenge{}):
		return Challenge([]byte(b)), nil
	}
	return Challenge{}, fmt.Errorf("a challenge of %d bytes", len(b))
}

// Verify tells whether the key in the datagram signed it.
func (p *Presence) Verify(verify func(key identity.PublicKey, message, sig []byte) bool) bool {
	return verify(p.Key, p.message, p.sig)
}

func presenceMessage(b []byte) []byte {
	return append([]byte(presenceDomain), b[:presenceSig]...)
}
