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
	maxHeldBytes = 8 << 20
	// maxFeedBytes bounds those of one feed: what is beyond is asked for again later. To drop all of it instead would make
	// a lost datagram of a fast author cost all that follows.
	maxFeedBytes = maxHeldBytes * 3 / 4
	// maxAssemblies and assemblyLife bound reassembly: a new record pushes out the one that was quiet longest.
	maxAssemblies = 64
	assemblyLife  = 10 * time.Second
	// piecesTake is for how long after the first piece of a record those that follow put off the asking for the rest.
	piecesTake = 50 * time.Millisecond
	// maxHolders is how many members are remembered as having of a feed what we lack; reached, the one asked in vain most
	// often makes place.
	maxHolders = 16
	// patience is how often a member is asked in vain for what it claims of a feed that does not go on. Then it is asked
	// rarely, and its word keeps nobody any more from going on where others say that the feed can be had. An honest one
	// answers one in two at a loss of 30 %.
	patience = 16
	// maxAround is how many members are asked at once whether they have what a feed is about to skip.
	maxAround = 16
	// vainWants and vainRate bound the wants that one member is sent and that bring nothing: so many at once, and so many
	// a second. Each record that came after it was asked makes good wantsDeserved of them for each datagram that it took.
	// maxCredits is of how many members that is remembered; beyond, all begin anew.
	vainWants     = 64
	vainRate      = 0.25
	wantsDeserved = 2
	maxCredits    = 4096
	// openMost and openRate bound the wants and receipts that go to all because no unicast reaches whom they are for: so
	// many at once of each member, and so many a second of all together. In a crowd that comes nobody is known to be
	// reached yet, and what goes from each to each and is heard by all is the cube of it.
	openMost = 8
	openRate = 256
	// maxWakes and wakesRate bound the copies of own records to members on Wi-Fi: so many at once, and so many a second.
	// One takes an eighth of the air that a broadcast of its size takes at the lowest rate, so that 96 of 512 bytes a
	// second are half of what may be broadcast there.
	maxWakes  = 192
	wakesRate = 96
	// maxAnswers bounds the records queued to be answered. The asker asks again for the rest.
	maxAnswers = 4096
	// maxWatched is how many own posts are told of when more have them; the oldest is given up first. Who asks is still
	// told.
	maxWatched = 64
	// maxRosters, maxOwnLevels and maxOtherLevels bound what is in memory of who has what (1 MiB). Of own posts the oldest
	// go first, they stay in the store; of others what comes later is not noted: only its author needs to know it all.
	maxRosters     = 64
	maxOwnLevels   = 1 << 14
	maxOtherLevels = 1 << 14
	// maxSaved is how many levels are stored at once: some milliseconds of the store. The others follow.
	maxSaved = 1024
	// agreedFeeds is how many of the feeds that changed last are noted as held by a member whose sum is ours, beside all
	// own ones.
	agreedFeeds = 64
	// quietRecords is how many own records have to go unasked for until none is repeated any more: beats that come late
	// on a busy host look like loss, and to repeat makes it busier.
	quietRecords = 64
	// lastLeftOut is the HEAD up to which those are left out that come before the next record is due.
	lastLeftOut = 2
	// enoughTold is how many members tell of the link by asking or not, and not only of themselves.
	enoughTold = 3
	// demandEach is over how many own records it is counted who asked for them. So many records after it was found that
	// loss makes repeats pay, demandKept, it is measured anew, without them, whether it still does.
	demandEach = 32
	demandKept = 1024
	// maxFollowing is how many bytes of records may follow one before it is repeated. Beyond it is not: what follows a
	// record so fast tells receivers of its loss before a repeat could.
	maxFollowing = 8 << 10
	// MaxMissing is how many of those who do not have a post an event names.
	MaxMissing = 10
	// inquireEach is up to how many members are asked for a receipt one by one, so that the others need not answer.
	inquireEach = 8
	// digestClaims is how many claims a digest carries: as many as fit the smallest datagram.
	digestClaims = 10
	// splitAt and splitInto steer the comparison by ranges: a range of up to splitAt feeds is listed, a larger one is
	// split. Both fit the smallest datagram.
	splitAt   = 9
	splitInto = 8
	// memberLife is how long a member counts as one without being heard.
	memberLife = 7 * 24 * time.Hour
	// askRecords and askRate bound the records that one member gets repaired: so many at once, and so many a second.
	askRecords = 512
	askRate    = 2048
	// manyAsks are the feeds that may lack something and are looked at whenever one of them is due. Each one more puts off
	// the next look by askLook, a hundred times what it takes: a liar claims thousands that nobody has.
	manyAsks = 256
	askLook  = 5 * time.Microsecond
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
	heavyRepeats                           []time.Duration // these, too, when loss is heavy
	heads                                  []time.Duration
	digestMin, digestMax                   time.Duration
	receiptEach                            time.Duration // receipts are spread over [0, N·receiptEach]
}

var wired = profile{
	firstWant: 2 * time.Millisecond, firstWantEach: 50 * time.Microsecond, firstWantMax: time.Second,
	wantAgain: 6 * time.Millisecond, wantAgainMax: time.Second,
	gather: time.Millisecond, holdOff: 10 * time.Millisecond,
	repeats:      []time.Duration{2 * time.Millisecond, 5 * time.Millisecond},
	heavyRepeats: []time.Duration{8 * time.Millisecond, 12 * time.Millisecond},
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
	repeatAt   = 0.5         // repeats pay when this many receivers are expected to miss a record
	heavyLoss  = 0.2         // more repeats above it
	settleTime = time.Second // a difference younger than this is on its way, not lost
	// askRarest is how rarely a member is asked for what it did not give, however often it was asked.
	askRarest = 16 * time.Second
	// anewAfter is how long nobody may have claimed what a feed lacks before it goes on behind that: several digests of
	// all who have something to say.
	anewAfter    = 10 * time.Second
	receiptAgain = 60 * time.Millisecond
	// Of an author that asks for receipts again and again one answer each receiptAgainEach reaches it: fifty a second.
	receiptAgainEach = 20 * time.Millisecond
	// Unasked, a receiver tells an author at most every receiptEvery, and all receivers together one each
	// receiptEveryEach.
	receiptEvery     = time.Second
	receiptEveryEach = 50 * time.Millisecond
	// Members that owe a receipt are asked, after inquireAfter and for a minute after the post or after they came: every
	// inquireFirst for as long as people wait for an answer, then at growing intervals. At a loss of 30 % both ways one
	// question in two is answered, so that in inquireEager nearly all are.
	inquireAfter = 400 * time.Millisecond
	inquireFirst = 300 * time.Millisecond
	inquireBack  = 50 * time.Millisecond // after a member came back, which tells by itself when it has met us
	inquireEager = 10 * time.Second
	inquireMax   = 3 * time.Second
	inquireUntil = time.Minute
	// saveAfter and saveOthersAfter are how long what members told of own and of others' chains waits for the store.
	saveAfter       = 500 * time.Millisecond
	saveOthersAfter = 10 * time.Second
	// tellReceivedEach is how often it is told that more have a post for which nobody waits.
	tellReceivedEach = 200 * time.Millisecond
	minorityShare    = 4 // fewer than one in this many do not lower the datagram limit
)
