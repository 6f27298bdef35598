// Package push sends a file once to all of a room, as PROTOCOL.md section 16 has it: a Sender broadcasts it, Receivers
// gather it, and who missed something is helped, by all at once or by whoever has it.
//
// Its invariant: what a Receiver takes for right was checked by its Target, whoever sent it. It does no I/O of its own
// but to read a Source and to fill a Target: datagrams and the time go in, datagrams come out.
//
//	Sender ── shards, broadcast ──► Receiver          a stripe of the file is 192 shards, and up to 64 of parity
//	       ── mark: sent so far ──►                   after some stripes, and while nothing is sent
//	       ◄── need: what I have ──                   to each mark
//	       ── parity for the most that one lacks ──►
//	Holder ◄── need, asking ───────                   from a Receiver that lacks what is broadcast no more
//	       ── shards, unicast ─────►
package push
