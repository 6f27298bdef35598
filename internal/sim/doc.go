// Package sim is a LAN in memory: many engines, segments between them, a clock that jumps from event to event, and
// faults. Everything in a run follows from one seed: how many devices, what is lost, doubled, delayed, cut off,
// crashed, put to sleep, moved elsewhere, and who says what when.
//
//	seed ─► Options ─► world: one queue of events ─► engines ─► checker ─► Result
//
// After every event the checker holds what the engines did against what their authors really said (PROTOCOL.md,
// "Invariants"); after the heal it looks every second whether all are level, and at the end it compares all members
// completely. The first violation ends the run and names the seed that repeats it.
//
// A device outlives its processes: its disk keeps what engines stored, may lose what was written last with the power,
// may fail, be restored from a backup or be copied. The scenarios that seeds draw from are in profile.go.
//
// Its invariant: the same seed gives the same trace, bit for bit. It opens no socket, reads no clock, starts no
// goroutine and keeps nothing of one run for another.
package sim
