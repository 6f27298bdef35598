package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/fxamacker/cbor/v2"

	"bcast/identity"
)

// Kind says what a post is. Numbers up to 63 are the protocol's, 64 to 127 are for experiments; a member that does not
// know a kind stores and repairs it like any other and shows nothing.
type Kind uint8

const (
	KindText Kind = iota + 1
	KindAction
	KindReply
	KindEdit
	KindDelete
	KindReaction
	KindTopic
	KindJoin
	KindLeave
	KindNick
	KindOffer
	KindRekey
)

var kindNames = [...]string{"", "text", "action", "reply", "edit", "delete", "reaction", "topic", "join", "leave",
	"nick", "offer", "rekey"}

// String is the kind's name as scripts see it.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "kind-" + strconv.Itoa(int(k))
	}
	return kindNames[k]
}

// MaxPosts is the largest number of posts in one record.
const MaxPosts = 64

// Ref points at a post: a record and the index of the post in it.
type Ref struct {
	Record ID
	Index  uint16
}

// String is the post id as people and scripts see it.
func (r Ref) String() string { return r.Record.String() + "." + strconv.Itoa(int(r.Index)) }

// ParseRef reads what String wrote. A unique prefix is the caller's affair: it needs to know the records.
func ParseRef(s string) (Ref, error) {
	name, index, dot := strings.Cut(s, ".")
	id, err := identity.ParseDeviceID(name) // the same 16 bytes of base32
	if err != nil {
		return Ref{}, fmt.Errorf("post id %q: want 26 characters of base32, a dot and a number", s)
	}
	n, err := strconv.ParseUint(index, 10, 16)
	if dot && err != nil {
		return Ref{}, fmt.Errorf("post id %q: %q is not a number", s, index)
	}
	return Ref{Record: ID(id), Index: uint16(n)}, nil
}

// Post is one thing said.
type Post struct {
	Kind   Kind
	Text   string        // text, action, reply, edit, topic, offer; the reaction; of a rekey, who is shut out
	Target Ref           // reply, edit, delete, reaction
	Nick   identity.Nick // join, nick
	Data   []byte        // rekey: the new secret, sealed to each member; offer: see Offer
}

// wirePost is a post's CBOR: a map with small integer keys, of which unknown ones are ignored.
type wirePost struct {
	Kind   uint64          `cbor:"0,keyasint"`
	Text   string          `cbor:"1,keyasint,omitempty"`
	Target cbor.ByteString `cbor:"2,keyasint,omitempty"` // a []byte would take a list of numbers too
	Nick   string          `cbor:"3,keyasint,omitempty"`
	Data   cbor.ByteString `cbor:"4,keyasint,omitempty"`
}

// RFC 8949, 4.2.1: the shortest form of everything, keys sorted, nothing of indefinite length.
var (
	cborEncoding = must(cbor.CoreDetEncOptions().EncMode())
	cborDecoding = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 8, MaxArrayElements: MaxPosts, MaxMapPairs: 32, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// EncodePosts is the body of a record that says posts, of which there are 1 to MaxPosts.
func EncodePosts(posts []Post) ([]byte, error) {
	if len(posts) == 0 || len(posts) > MaxPosts {
		return nil, fmt.Errorf("body: %d posts, want 1 to %d", len(posts), MaxPosts)
	}
	if b, ok := encodePlain(posts); ok {
		return b, nil
	}
	b, err := encodeAny(posts)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(b) > MaxBody {
		return nil, fmt.Errorf("body: %d bytes, at most %d", len(b), MaxBody)
	}
	return b, nil
}

func encodeAny(posts []Post) ([]byte, error) {
	all := make([]wirePost, len(posts))
	for i, p := range posts {
		all[i] = wirePost{Kind: uint64(p.Kind), Text: p.Text, Nick: string(p.Nick), Data: cbor.ByteString(p.Data)}
		if p.Target != (Ref{}) {
			all[i].Target = cbor.ByteString(binary.BigEndian.AppendUint16(p.Target.Record[:], p.Target.Index))
		}
	}
	return cborEncoding.Marshal(all)
}

// Overhead is what a record in a flight of the largest size takes beside its body, with so many parents.
func Overhead(parents int) int {
	return 2 + 6*len(node{}) + identity.SignatureSize + headerSize + parents*len(ID{})
}

// Pack divides posts, in their order, into as few bodies as go: the first of at most that many bytes, the rest each of
// at most rest bytes, unless a single post is longer.
func Pack(posts []Post, first, rest int) [][]Post {
	var packs [][]Post
	from, used, size := 0, 0, first
	for i := range posts {
		n := posts[i].size()
		if i > from && (used+n > size || i-from == MaxPosts) {
			packs = append(packs, posts[from:i])
			from, size = i, rest
		}
		if i == from {
			used = 2 // the head of the list
		}
		used += n
	}
	return append(packs, posts[from:])
}

// size is how many bytes a post takes in a body.
func (p *Post) size() int {
	n := 3 // the map, and its kind if it is one of ours
	if p.Kind > 23 {
		n++
	}
	for _, length := range [...]int{len(p.Text), len(p.Nick), len(p.Data)} {
		switch { // a key, and the head of a string
		case length > 255:
			n += 4 + length
		case length > 23:
			n += 3 + length
		case length > 0:
			n += 2 + length
		}
	}
	if p.Target != (Ref{}) {
		n += 2 + len(ID{}) + 2
	}
	return n
}

// DecodePosts reads a body. A body that does not parse is its author's fault and no reason to lose the record: it
// shows nothing.
func DecodePosts(body []byte) ([]Post, error) {
	if posts, ok := decodePlain(body, string(body), false); ok {
		return posts, nil
	}
	return decodeAny(body)
}

// Posts is what DecodePosts reads of the body. Texts may be the memory of the body itself: it is immutable, and at full
// speed a copy of it would cost as much as all else.
func (r *Record) Posts() ([]Post, error) {
	if r.plain {
		posts, _ := decodePlain(r.Body, unsafe.String(unsafe.SliceData(r.Body), len(r.Body)), true)
		return posts, nil
	}
	return decodeAny(r.Body)
}

// PlainKinds are the kinds of the posts in the body, a bit each, if all have but a kind and a text, as most have; of
// others Posts tells more.
func (r *Record) PlainKinds() (kinds uint32, ok bool) { return r.kinds, r.plain }

func decodeAny(body []byte) ([]Post, error) {
	var all []wirePost
	if err := cborDecoding.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("body: no post")
	}
	posts := make([]Post, len(all))
	for i, p := range all {
		post, err := p.post()
		if err != nil {
			return nil, err
		}
		posts[i] = post
	}
	return posts, nil
}

func (p wirePost) post() (Post, error) {
	post := Post{Kind: Kind(p.Kind), Text: p.Text}
	if len(p.Data) > 0 {
		post.Data = []byte(p.Data)
	}
	if p.Kind == 0 || p.Kind > 127 {
		return post, fmt.Errorf("body: post kind %d", p.Kind)
	}
	if len(p.Text) > MaxText {
		return post, fmt.Errorf("body: text of %d bytes, at most %d", len(p.Text), MaxText)
	}
	if p.Nick != "" {
		nick, err := identity.NormalNick(p.Nick)
		if err != nil {
			return post, fmt.Errorf("body: %w", err)
		}
		post.Nick = nick
	}
	if len(p.Target) > 0 {
		if len(p.Target) != len(ID{})+2 {
			return post, fmt.Errorf("body: a target of %d bytes", len(p.Target))
		}
		target := []byte(p.Target)
		post.Target = Ref{Record: ID(target), Index: binary.BigEndian.Uint16(target[len(ID{}):])}
	}
	return post, nil
}

func compareID(a, b ID) int { return bytes.Compare(a[:], b[:]) }
