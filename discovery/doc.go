// Package discovery is who is on the link: it announces this device, hears others, asks them to prove their addresses,
// suspects who falls silent and tells who was lost and who left.
//
// It is a value to be called, not a thing that runs: the time and checked datagrams go in, what is to be sent and what
// has happened come out (Drain). Time is monotonic. The same calls with the same Config.Rand give the same output.
//
// Its invariant: nobody is Here who has not, from the address shown, echoed a random challenge that was sent there or
// to the link. Until then a device costs at most one datagram out for each one in, to the address that it came from,
// and moves nothing that was proven before.
//
// It never opens a socket, reads a clock, signs or checks a signature, or sends to an address that only a payload
// names. What it is handed has passed the caller's checks: signature, replay window, destination instance.
//
// The rules are PROTOCOL.md, section "Presence plane".
package discovery
