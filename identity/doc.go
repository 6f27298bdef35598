// Package identity is who takes part: device keys and ids, the instances of a device between restarts, and the names
// people see and type.
//
// Its invariant: a value of one of its types is well formed; what is malformed never gets past its Parse function. It
// does no I/O, reads no clock, and prints no secret: a Key prints as [redacted].
package identity

import "encoding/base32"

// idEncoding is how every id is written: RFC 4648 base32 in lower case, without padding, so that it can be read aloud,
// typed and used in a file name.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// EncodeID writes the bytes of an id as lower-case base32 without padding.
func EncodeID(id []byte) string { return idEncoding.EncodeToString(id) }
