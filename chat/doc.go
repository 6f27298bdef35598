// Package chat is a room's conversation as a value one calls: the feeds of its authors, the gaps in them, the asking
// and answering that closes the gaps, the digest by which members notice what they lack, who is a member, and who has
// what.
//
// A Room is told what arrived, what was stored and what time it is, and hands out through Drain what to store, load,
// send and show. It does no I/O, reads no clock, starts nothing and locks nothing; the same calls give the same output.
//
// Its invariant: what it shows or claims has been stored, each feed without gaps and nothing twice.
//
//	record ──► feed.hold ──► in order? ──► Output.Store ──► Stored ──► Events, claims, receipts
//	              │ gap                                        └─ own: Output.Send, repeats, HEADs
//	              └─► ask ──► WANT ──► (another member) answer ──► Output.Load ──► Loaded ──► RECORD or FRAGs
//
// The rules cited as R.. are those of PROTOCOL.md.
package chat
