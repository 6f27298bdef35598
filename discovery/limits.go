package discovery

import "time"

// Bounds of memory and work. Each table has a policy for when it is full; none of them grows with what others send.
const (
	// maxPeers is the devices ever proven that are remembered: a full /21. When full, who was lost or left longest ago
	// is forgotten; if all are present, the newcomer waits (table_full).
	maxPeers = 2048
	// maxStrangers is the (device, instance, address) heard and not proven. A handshake takes milliseconds, so half a
	// second of the whole stranger budget fits. When full, who has been silent longest is forgotten.
	maxStrangers = 256
	// maxPaths is the proven (interface, address) pairs of a peer: wired and Wi-Fi on both sides. When full, the one
	// silent longest is forgotten.
	maxPaths = 4
	// maxEnded is the past instances remembered for each device, so that their datagrams are refused. When full, the
	// oldest is forgotten: its datagrams can still prove nothing.
	maxEnded = 8

	// A signature check takes 51 µs: strangers together get 2.5 % of a core, one source a tenth of that. A known peer
	// at its proven address pays from a budget of its own, so that no flood of strangers silences it.
	strangerChecks = 500
	sourceChecks   = 50
	peerChecks     = 200
	checkWindow    = time.Second

	// promptedMax is the broadcasts a second and interface that others can make us send: BEATs for PROBEs, ANSWERs and
	// ACKs where unicast is blocked.
	promptedMax    = 4
	promptedWindow = time.Second

	// Echoes answered within a minute, in bytes: two looks of a doctor's or so for one device, and for all who ask at once
	// less than a second of a Wi-Fi's broadcasts.
	echoesEach = 10_000
	echoesAll  = 40_000
	echoWindow = time.Minute
	// maxAsks is the own questions that may still be answered, each for askLifetime. When full, the oldest is forgotten.
	maxAsks     = 64
	askLifetime = 2 * time.Second
)

// The announcement.
const (
	helloJitter = 10 // of a step: up to one part in helloJitter
	// helloGap is the least time between two HELLOs, whatever makes a burst start again.
	helloGap = 20 * time.Millisecond
	// strangeFor is how long a stranger heard once makes us take spare steps.
	strangeFor = time.Second

	// A BEAT comes every max(base, N/share s), so that the subnet carries at most 8 (wired) or 4 (Wi-Fi) a second
	// however many take part.
	wiredBeat  = 4 * time.Second
	wifiBeat   = 8 * time.Second
	wiredShare = 8
	wifiShare  = 4
	// beatJitter is ± 1/40, not more: 4.1 s until the latest BEAT, 0.1 s of grace, 0.1 s until the first PROBE and
	// 0.5 s for all of them make 4.8 s, and a crash is to be seen within 5.
	beatJitter = 40
	// maxPromise bounds how long a peer can ask to be believed in: longer than the interval of 2048 hosts on Wi-Fi.
	maxPromise = 10 * time.Minute
)

// helloSteps is the schedule of an announcement; its later steps are for links that lose the earlier ones. A spare
// step is taken only if somebody is still a stranger, or was when an earlier one was due: then answers got lost,
// perhaps also those of some who were never heard. Nothing but a broadcast may be repeated to who has proven nothing,
// and what it causes pays for the next answer. (Ten hosts at 30 % loss know one another after 0.36 s, at worst 0.9 s in
// 300 starts; half as many spare steps take 0.52 s and 1.5 s.)
var helloSteps = [...]struct {
	after time.Duration
	spare bool
}{
	{after: 0},
	{after: 20 * time.Millisecond},
	{after: 100 * time.Millisecond},
	{after: 170 * time.Millisecond, spare: true},
	{after: 240 * time.Millisecond, spare: true},
	{after: 330 * time.Millisecond, spare: true},
	{after: 420 * time.Millisecond, spare: true},
	{after: 500 * time.Millisecond},
	{after: 600 * time.Millisecond, spare: true},
	{after: 720 * time.Millisecond, spare: true},
	{after: 860 * time.Millisecond, spare: true},
	{after: 1000 * time.Millisecond, spare: true},
	{after: 1200 * time.Millisecond, spare: true},
	{after: 1400 * time.Millisecond, spare: true},
	{after: 2000 * time.Millisecond},
	{after: 2700 * time.Millisecond, spare: true},
	{after: 3500 * time.Millisecond, spare: true},
}

// The handshake.
const (
	// helloSoon: who sends a HELLO of its own this soon lets the other answer that one, so that a pair that starts
	// together exchanges two datagrams and not four. The lower id never waits.
	helloSoon  = 100 * time.Millisecond
	answerMin  = 20 * time.Millisecond // after that HELLO, until the ANSWER that was put off
	answerSpan = 60 * time.Millisecond

	// answerGap is the least time between ANSWERs to one source for anything but HELLOs.
	answerGap = 500 * time.Millisecond
	// newsEach is for how long after it was heard a HELLO of a peer that says what is known is not looked at.
	newsEach = time.Second
	// An ANSWER is not repeated before the last ones, weighted by lagMemory, would have come back twice: where many start
	// on one machine each waits for others to check what they got, and what is sent meanwhile makes them wait longer.
	lagMemory = 8
	// answerWait is how long an ANSWER may go without ACK before it counts as failed.
	answerWait = 200 * time.Millisecond
	// unicastFailures in a row, while broadcasts arrive, are a unicast that is blocked; more of them on a link that loses
	// so much that as many fail by chance.
	unicastFailures = 3
	blockedChance   = 1e-4
	// unicastRetry is how often a blocked one is tried again.
	unicastRetry = time.Minute

	// A challenge sent to everyone serves all that is sent within challengeShared; an echo counts for echoLifetime.
	challengeShared = 2 * time.Second
	challengesKept  = 4
	echoLifetime    = challengesKept * challengeShared
)

// Suspicion.
const (
	// Grace is how late a BEAT may be: what a busy host, or the power saving of an access point, delays.
	wiredGrace = 100 * time.Millisecond
	wifiGrace  = 400 * time.Millisecond
	// talking: a device heard this recently in rooms is not suspected for a BEAT that got lost.
	talking = time.Second
	// probeDelay spreads the suspicion of all peers, so that the first to ask asks for the others; short, for a crash is
	// to be seen within 5 s with some time to spare for a busy host.
	probeDelay = 100 * time.Millisecond
	// probeSpread is the time that a round of PROBEs takes. On Wi-Fi the answer waits for the access point's beacon: in
	// the shorter time half of a round would go out before the answer to its first PROBE can be back.
	probeSpread     = 500 * time.Millisecond
	wifiProbeSpread = 1500 * time.Millisecond
	minProbes       = 3
	maxProbes       = 33 // what a loss of one half asks for
	// probeMiss is how likely a round of PROBEs may miss a peer that lives.
	probeMiss = 1e-4
	// On a link that loses more than lossyLink, lossyRounds rounds are asked before a peer is given up: losses come in
	// bursts and the estimate may be low.
	lossyLink = 0.05
	// lossSeen is how many missed BEATs, faded, make the loss a measured one: before, the prior alone says so, and a
	// crash in the first seconds of a clean link is to be seen within 5 s, too.
	lossSeen    = 0.5
	lossyRounds = 3
	// pathRest is how long a path may be overdue before it is dropped, if there is another.
	pathRest = 30 * time.Second
	// resumeJump past the deadline is a process that slept: its silence says nothing about others.
	resumeJump = 2 * time.Second

	// The loss estimate starts at lossPrior with the weight of lossWeight BEATs and remembers about this many of one
	// peer, and of all peers together.
	lossPrior        = 0.2
	lossWeight       = 2
	lossMemory       = 8
	lossMemoryPooled = 64
	// The median over peers needs enoughShares of them, and of each so many BEATs that it does not jump between none lost
	// and some.
	lossMemoryShare = 32
	enoughShares    = 3

	watchBelow = 512 // bytes: a receive buffer that no presence datagram fits
)
