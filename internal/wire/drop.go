package wire

// Drop is why a datagram was refused: never an error, never a log line, always counted under this name in `status`.
// The empty Drop is none. The list is closed.
type Drop string

// In the order in which they are looked at.
const (
	DropUnusedInterface Drop = "unused_interface" // came by an interface that bcast does not use
	DropEmpty           Drop = "empty"            // no byte at all
	DropCut             Drop = "cut"              // longer than the receive buffer
	DropOffLink         Drop = "off_link"         // its source is not on the receiving interface's subnet
	DropHops            Drop = "hops"             // it passed a router: TTL is not 255
	DropNotBcast        Drop = "not_bcast"        // another protocol, or noise
	DropVersion         Drop = "version"          // a version of bcast that this one does not speak
	DropUnknownType     Drop = "unknown_type"     // a type that later versions may know
	DropOwn             Drop = "own"              // our own broadcast came back
	DropUnknownRoom     Drop = "unknown_room"     // sealed for a room not joined here
	DropDamaged         Drop = "damaged"          // the tag is a room's, the rest is not
	DropMalformed       Drop = "malformed"        // the shape is wrong
	DropNotForUs        Drop = "not_for_us"       // names another instance, or a past one of ours
	DropReplayed        Drop = "replayed"         // its counter was seen, or is too old
	DropNothingNew      Drop = "nothing_new"      // a hello of a peer heard just now that says what is known
	DropStranger        Drop = "stranger"         // a signed room frame of a device that proved no address
	DropBudget          Drop = "budget"           // more checks asked for than its kind gets
	DropBadSignature    Drop = "bad_signature"    // not signed by whom it says
	DropSourceMismatch  Drop = "src_mismatch"     // its source is not among the addresses that it says it has
	DropOldInstance     Drop = "old_instance"     // of a run that has ended
	DropTableFull       Drop = "table_full"       // no place for another stranger
	DropQueueFull       Drop = "queue_full"       // the node could not keep up
	DropReadOnly        Drop = "read_only"        // the store failed: what would have to be kept is not taken
)
