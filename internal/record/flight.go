package record

import (
	"crypto/sha256"

	"bcast/identity"
)

// MaxFlight is the largest number of records under one signature.
const MaxFlight = 48

// signDomain keeps a flight's signature from being taken for one of anything else.
const signDomain = "bcast/1 flight\x00"

type (
	leaf [32]byte // SHA-256(0x00 ‖ room id ‖ header)
	node [16]byte // SHA-256(0x01 ‖ left ‖ right), first half
	root [32]byte // the leaf of a flight of one, the whole top hash of a larger one
)

func leafOf(room RoomID, header []byte) leaf {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(room[:])
	h.Write(header)
	return leaf(h.Sum(nil))
}

func join(left, right node) root {
	b := make([]byte, 0, 1+2*len(left))
	b = append(append(append(b, 1), left[:]...), right[:]...)
	return sha256.Sum256(b)
}

func half(r root) node { return node(r[:len(node{})]) }

// split is the size of the left subtree of a tree of n leaves: the largest power of two below n (RFC 9162, 2.1.1).
func split(n int) int {
	k := 1
	for k<<1 < n {
		k <<= 1
	}
	return k
}

// treeOf is the root over leaves, and the path of each leaf to it, from the leaf upwards.
func treeOf(leaves []leaf) (root, [][]node) {
	if len(leaves) == 1 {
		return root(leaves[0]), [][]node{nil}
	}
	k := split(len(leaves))
	left, leftPaths := treeOf(leaves[:k])
	right, rightPaths := treeOf(leaves[k:])
	paths := append(leftPaths, rightPaths...)
	for i := range paths {
		sibling := half(right)
		if i >= k {
			sibling = half(left)
		}
		paths[i] = append(paths[i], sibling)
	}
	return join(half(left), half(right)), paths
}

// pathLength is how many nodes prove that leaf index is one of count.
func pathLength(index, count int) int {
	n := 0
	for count > 1 {
		if k := split(count); index < k {
			count = k
		} else {
			index, count = index-k, count-k
		}
		n++
	}
	return n
}

// climb is the root that leaf index of count has by its path.
func climb(l leaf, index, count int, path []node) root {
	if count == 1 {
		return root(l)
	}
	top := path[len(path)-1]
	k := split(count)
	if index < k {
		return join(half(climb(l, index, k, path[:len(path)-1])), top)
	}
	return join(top, half(climb(l, index-k, count-k, path[:len(path)-1])))
}

// signedBytes is what the author of a flight signs.
func signedBytes(r root, count int) []byte {
	b := make([]byte, 0, len(signDomain)+len(r)+1)
	b = append(b, signDomain...)
	b = append(b, r[:]...)
	return append(b, byte(count))
}

// Draft is a record before it is signed: Sign fills in the length and hash of the body.
type Draft struct {
	Header Header
	Body   []byte

	header []byte // once it is named, encoded
	leaf   leaf
}

// Name completes the header and tells the id that the record will have, so that another of the same flight can follow
// it. What is changed later does not count.
func (d *Draft) Name(room RoomID) ID {
	if d.header == nil {
		d.Header.BodyLength = uint16(len(d.Body))
		d.Header.BodyHash = sha256.Sum256(d.Body)
		d.header = d.Header.Append(nil)
		d.leaf = leafOf(room, d.header)
	}
	return ID(d.leaf[:len(ID{})])
}

// Sign makes a flight of the drafts under one signature of key, which must be the author of all. There are 1 to
// MaxFlight drafts.
func Sign(key identity.Signer, room RoomID, drafts []Draft) []*Record {
	leaves := make([]leaf, len(drafts))
	for i := range drafts {
		drafts[i].Name(room)
		leaves[i] = drafts[i].leaf
	}
	top, paths := treeOf(leaves)
	signed := signedBytes(top, len(drafts))
	sig := key.Sign(signed)
	records := make([]*Record, len(drafts))
	for i := range drafts {
		d := &drafts[i]
		b := make([]byte, 0, 2+len(paths[i])*len(node{})+len(sig)+len(d.header)+len(d.Body))
		b = append(b, byte(i), byte(len(drafts)))
		for _, n := range paths[i] {
			b = append(b, n[:]...)
		}
		b = append(append(append(b, sig...), d.header...), d.Body...)
		r := &Record{
			Header: d.Header, ID: d.Name(room), Body: b[len(b)-len(d.Body):], bytes: b, signed: signed, sig: sig,
		}
		r.kinds, r.plain = kindsOf(r.Body)
		records[i] = r
	}
	return records
}
