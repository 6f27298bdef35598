package chat

import (
	"math"
	"math/bits"
	"slices"

	"bcast/identity"
)

// demand is what of the own records members had to ask for: loss as those measure it who suffer it, within some
// records. Beats tell of it, too, but slowly.
type demand struct {
	base  uint64                        // number of the last own record before those that are counted now
	asked map[identity.DeviceID]*wanted // by the members here
	which uint64                        // of the records counted: those asked for, by number
	loss  float64                       // the share lost when repeats were last found to pay; zero: they are not
	found uint64                        // number of the own record at which that was
	calm  int                           // own records said since somebody asked for one said lately
	asker identity.DeviceID             // who did
	alone int                           // own records said since it was another than the time before
}

// wanted is how many of the records counted a member asked for, and up to which number that is known.
type wanted struct {
	count int
	upTo  uint64
}

// meet enters a member that came when own records went up to number high: those it asks for because it was not here.
func (d *demand) meet(id identity.DeviceID, high uint64) {
	if d.asked == nil {
		d.asked = map[identity.DeviceID]*wanted{}
	}
	d.asked[id] = &wanted{upTo: high}
}

// renew has numbers begin at 1: the feed is another one.
func (d *demand) renew() {
	d.restart(0)
	d.found = 0
	for _, w := range d.asked {
		w.upTo = 0
	}
}

// restart counts anew, from the record behind number base on.
func (d *demand) restart(base uint64) {
	d.base, d.which = base, 0
	for _, w := range d.asked {
		w.count = 0
	}
}

// note counts what a member asks for, each record once, if it was said lately: own records go up to number high, and
// each is sent so often.
func (d *demand) note(from identity.DeviceID, first, last, high uint64, copies int) {
	if last = min(last, high); last+quietRecords <= high {
		return
	}
	d.heard(from)
	w := d.asked[from]
	if w == nil {
		return
	}
	if first = max(first, w.upTo+1, d.base+1); first > last {
		return
	}
	w.count += int(last - first + 1)
	w.upTo = last
	for seq := first; seq <= min(last, d.base+64); seq++ {
		d.which |= 1 << (seq - d.base - 1)
	}
	d.takeStock(high, copies)
}

// heard notes that a member asks for a part of what was said lately: records do get lost.
func (d *demand) heard(from identity.DeviceID) {
	if d.calm = 0; from != d.asker {
		d.asker, d.alone = from, 0
	}
}

// quiet tells whether records reach who is here: nobody asked for one lately, or in a crowd always the same one, whose
// loss is not to cost all others.
func (d *demand) quiet(crowd int) bool {
	return d.calm > quietRecords || crowd > enoughTold && d.alone > quietRecords
}

// say counts an own record, number high.
func (d *demand) say(high uint64) {
	d.alone++
	if d.calm++; high > d.found+demandKept {
		d.loss = 0
	}
	if high > d.base+demandEach {
		d.restart(high - 1)
	}
}

// takeStock finds whether repeats pay: if half of the members asked, and for different records, for one that all missed
// is a hiccup. While records are repeated only those are asked for of which all copies got lost. A quarter of the
// members, those that asked most, does not count: one that lies, or hears little, drives nobody's repeats (R14).
func (d *demand) takeStock(high uint64, copies int) {
	hiccup := 2
	if copies > 1 {
		hiccup = 1
	}
	counts := make([]int, 0, len(d.asked))
	for _, w := range d.asked {
		counts = append(counts, w.count)
	}
	slices.Sort(counts)
	if counts[(len(counts)-1)/2] == 0 || bits.OnesCount64(d.which) <= hiccup {
		return
	}
	sum := 0
	for _, n := range counts[:len(counts)-len(counts)/4] {
		sum += n
	}
	all := float64(len(counts)-len(counts)/4) * float64(high-d.base)
	loss := math.Pow(float64(sum)/all, 1/float64(copies))
	if loss*float64(len(counts)) < repeatAt {
		return
	}
	d.loss, d.found = max(d.loss, loss), high
	d.restart(high)
}
