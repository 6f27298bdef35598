// Package engine is one participant without its sockets, clock and disk: discovery, rooms, sealing and replay windows
// put together. Bytes and the time go in, one ordered Output of effects comes out; the daemon, the simulator and the
// fuzzers call the same code.
//
//	datagram ─► Opener.Open ─► Receive ─► discovery | chat ─┐
//	                            Do, Stored, Loaded, Advance ─┴─► Drain ─► Output
//
// Its invariant: only a checked signature changes state, and nothing is sent to an address that did not prove itself,
// but an answer no larger than its question. It starts nothing, locks nothing, logs nothing and reads no clock; the
// same calls with the same randomness give the same bytes.
package engine
