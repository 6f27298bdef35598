package chat

import "time"

// Limits: each with what happens when it is reached.
const (
	// maxFeeds bounds the feeds of a room. Reached, those of which nothing is stored make place; if there are none,
	// records of further feeds are not kept. Each restart of a member without a durable store makes a feed.
	maxFeeds = 4096
	// maxAhead is how far beyond a gap records of a feed are held; what is further ahead is asked for again later.
	maxAhead = 1024
	// maxHeldBytes bounds all records held behind gaps in a room; reached, the feed that holds most drops what it holds
	// and asks for it again later.
	maxHeldBytes = 4 << 20
	// maxAssemblies and assemblyLife bound reassembly: a new record pushes out the one that was quiet longest.
	maxAssemblies = 64
	assemblyLife  = 10 * time.Second
	// maxHolders is how many members are remembered as having of a feed what we lack; reached, the one asked in vain most
	// often makes place.
	maxHolders = 16
	// maxAnswers bounds the records queued to be answered. The asker asks again for the rest.
	maxAnswers = 4096
	// maxAwaited is how many own posts are watched for receipts; the oldest is given up first.
	maxAwaited = 64
	// digestClaims is how many claims a digest carries: as many as fit the smallest datagram.
	digestClaims = 10
	// splitAt and splitInto steer the comparison by ranges: a range of up to splitAt feeds is listed, a larger one is
	// split. Both fit the smallest datagram.
	splitAt   = 9
	splitInto = 8
	// memberLife is how long a member counts as one without being heard.
	memberLife = 7 * 24 * time.Hour
	// orderFollowed is the largest order that own records follow: one record from the year 4200 must not use up the order
	// of all that come after it.
	orderFollowed = 1 << 46
	// askRecords and askRate bound the records that one member gets repaired: so many at once, and so many a second.
	askRecords = 512
	askRate    = 2048
	// maxRounds is how often two members compare unequal sums of which neither side changes.
	maxRounds = 3
	// askersForBroadcast: that many members asking for one record get it by one broadcast.
	askersForBroadcast = 2
)

// Timing of one kind of link. The reasons and sources are in PROTOCOL.md, "Timers".
type profile struct {
	firstWant, firstWantEach, firstWantMax time.Duration // truncated exponential over [0, min(base + each·N, max)]
	wantAgain, wantAgainMax                time.Duration // doubling
	gather, holdOff                        time.Duration
	repeats                                []time.Duration
	heavyRepeat                            time.Duration // one more when loss is heavy; 0: none
	heads                                  []time.Duration
	digestMin, digestMax                   time.Duration
	receiptEach                            time.Duration // receipts are spread over [0, N·receiptEach]
}

var wired = profile{
	firstWant: 2 * time.Millisecond, firstWantEach: 50 * time.Microsecond, firstWantMax: time.Second,
	wantAgain: 10 * time.Millisecond, wantAgainMax: time.Second,
	gather: time.Millisecond, holdOff: 10 * time.Millisecond,
	repeats: []time.Duration{3 * time.Millisecond, 12 * time.Millisecond}, heavyRepeat: 50 * time.Millisecond,
	heads: []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 80 * time.Millisecond,
		320 * time.Millisecond, 1300 * time.Millisecond},
	digestMin: 500 * time.Millisecond, digestMax: 64 * time.Second,
	receiptEach: 5 * time.Millisecond,
}

var wifi = profile{
	firstWant: 40 * time.Millisecond, firstWantEach: time.Millisecond, firstWantMax: time.Second,
	wantAgain: 250 * time.Millisecond, wantAgainMax: 4 * time.Second,
	gather: 20 * time.Millisecond, holdOff: 150 * time.Millisecond,
	repeats:   []time.Duration{150 * time.Millisecond, 350 * time.Millisecond},
	heads:     []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 4 * time.Second},
	digestMin: time.Second, digestMax: 64 * time.Second,
	receiptEach: 5 * time.Millisecond,
}

const (
	repeatAt      = 0.5         // repeats pay when this many receivers are expected to miss a record
	heavyLoss     = 0.2         // one more repeat above it
	settleTime    = time.Second // a difference younger than this is on its way, not lost
	receiptAgain  = 60 * time.Millisecond
	minorityShare = 4 // fewer than one in this many do not lower the datagram limit
)
