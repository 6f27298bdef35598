package identity

import (
	"encoding/binary"
	"fmt"
)

// InstanceSize is the length of an encoded Instance in bytes.
const InstanceSize = 12

// Instance is one run of a device: the boot count kept in its home orders restarts, the nonce tells two runs apart
// that carry the same count (a copied or restored home). The zero Instance names nobody; as a destination, everyone.
type Instance struct {
	Boot  uint32
	Nonce uint64
}

// IsZero tells whether i names no run.
func (i Instance) IsZero() bool { return i == Instance{} }

// String is the form shown in status and peers: boot count and nonce.
func (i Instance) String() string { return fmt.Sprintf("%d-%016x", i.Boot, i.Nonce) }

// AppendInstance appends i's 12 bytes to dst.
func AppendInstance(dst []byte, i Instance) []byte {
	dst = binary.BigEndian.AppendUint32(dst, i.Boot)
	return binary.BigEndian.AppendUint64(dst, i.Nonce)
}

// ParseInstance reads an instance from the first InstanceSize bytes of b, which must be there.
func ParseInstance(b []byte) Instance {
	return Instance{Boot: binary.BigEndian.Uint32(b), Nonce: binary.BigEndian.Uint64(b[4:])}
}
