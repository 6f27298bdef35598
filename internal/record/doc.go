// Package record is the unit that bcast signs, stores and asks for: a header chained to the author's previous one, a
// body of posts, and the proof that the author signed it, alone or in a flight of up to 48 records under one signature.
//
// Its invariant: a record's id is a function of the bytes as they were received and of the room; nothing is ever
// re-encoded. It reads no clock, opens no file, and believes nothing that Verify has not checked.
//
// The formats are PROTOCOL.md, section "Records".
package record
