package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
)

// PostIDSize is that of what names the post which a push follows.
const PostIDSize = 18

// Push holds the keys of what is sent once to all of a room. It is immutable and safe on many goroutines.
type Push struct {
	ID [8]byte // names it on the wire, and nothing to who has not the room's keys
	// Shards closes the bytes of the file. Its nonce follows from what they are, which under one key never differs, so
	// that whoever has a part of the file closes it alike. AES-256-GCM: processors compute it at the speed of a link.
	Shards cipher.AEAD
	// Control closes what sender and receivers tell each other, under random nonces.
	Control cipher.AEAD
}

// Push derives the keys of a push from the keys of the room, for each of them: the current one first.
func (r *Ring) Push(post [PostIDSize]byte) []*Push {
	pushes := make([]*Push, len(r.keys))
	for i, k := range r.keys {
		pushes[i] = k.push(r.id, post)
	}
	return pushes
}

func (k epochKey) push(room [16]byte, post [PostIDSize]byte) *Push {
	p := &Push{ID: [8]byte(k.pushKey("push id", room, post, 8))}
	p.Shards = newGCM(k.pushKey("push shards", room, post, 32))
	p.Control = newGCM(k.pushKey("push control", room, post, 32))
	return p
}

func (k epochKey) pushKey(label string, room [16]byte, post [PostIDSize]byte, size int) []byte {
	info := "bcast/1 " + label + "\x00" + string(room[:]) + string(post[:])
	key, err := hkdf.Key(sha256.New, k.secret.derive("push key", k.epoch, 32), nil, info, size)
	if err != nil {
		panic(fmt.Sprintf("derive %s: %v", label, err)) // only a size beyond HKDF's can do that
	}
	return key
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCM(block); err == nil {
			return aead
		}
	}
	panic(fmt.Sprintf("AES-256-GCM: %v", err)) // only a key of another size can do that
}

// Format keeps the keys out of logs and error texts, whatever the verb.
func (Push) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }
