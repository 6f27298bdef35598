package chat

import (
	"cmp"
	"slices"

	"bcast/identity"
	"bcast/internal/record"
)

// stretch is from where to where somebody has a chain, without a gap.
type stretch struct{ low, high uint64 }

func (s stretch) holds(seq uint64) bool { return s.low <= seq && seq <= s.high }

// level is from where and how far a member has, or had, a chain without a gap, and which run of it said so; none if
// that is over. A run only gains, and what it gives up of age it did have; the next one may have lost its store, so
// what it says counts, be it less.
type level struct {
	stretch
	run identity.Instance
}

// then is what a member has that had lv and says now to have low to high.
func (lv level) then(low, high uint64, run identity.Instance) level {
	switch {
	case run != lv.run || high > lv.high && low > lv.high+1: // what is between it may never have had
		return level{stretch{low, high}, run}
	default:
		return level{stretch{lv.low, max(lv.high, high)}, run}
	}
}

// levels are those of one chain, by number of the device. In a crowd there are hundreds of each of hundreds of chains,
// and most have the same of it: so stretches are kept once, and a device takes eight bytes.
type levels struct {
	chain     record.Chain
	own       bool
	unsaved   int
	of        []numbered
	stretches []shared
}

type numbered struct {
	device  uint32
	stretch uint16 // fewer are distinct than there may be devices
	current bool   // the run of the device that was heard last said so
	unsaved bool
}

// shared is a stretch of so many devices. One of none is taken for another.
type shared struct {
	stretch
	devices int
}

// find is where a device's level is, or would be.
func (ls *levels) find(device uint32) (int, bool) {
	return slices.BinarySearchFunc(ls.of, device, func(n numbered, device uint32) int {
		return cmp.Compare(n.device, device)
	})
}

// stretch is what a device has.
func (ls *levels) stretch(n numbered) stretch { return ls.stretches[n.stretch].stretch }

// add makes place for a device that has nothing yet.
func (ls *levels) add(i int, device uint32) {
	ls.of = slices.Insert(ls.of, i, numbered{device: device, stretch: ls.share(stretch{})})
}

// move gives a device another stretch.
func (ls *levels) move(n *numbered, to stretch) {
	ls.stretches[n.stretch].devices--
	n.stretch = ls.share(to)
}

// share counts a device more that has s. What changed last is the likeliest, and at the end.
func (ls *levels) share(s stretch) uint16 {
	free := len(ls.stretches)
	for i, known := range slices.Backward(ls.stretches) {
		if known.devices > 0 && known.stretch == s {
			ls.stretches[i].devices++
			return uint16(i)
		}
		if known.devices == 0 {
			free = i
		}
	}
	if free == len(ls.stretches) {
		ls.stretches = append(ls.stretches, shared{})
	}
	ls.stretches[free] = shared{s, 1}
	return uint16(free)
}

// cut takes away what all have from seq on.
func (ls *levels) cut(seq uint64) {
	for i := range ls.stretches {
		ls.stretches[i].high = min(ls.stretches[i].high, seq-1)
	}
}

// devices are those that have levels, by number: short, for there are many levels.
type devices struct {
	number map[identity.DeviceID]uint32
	ids    []identity.DeviceID
	runs   []identity.Instance // heard last, none yet
	others []int32             // how many of the levels of others' chains are a device's
	last   uint32              // the one that was asked for last: who says something says it of many chains
}

// find is a device's number, if it has one.
func (d *devices) find(id identity.DeviceID) (n uint32, known bool) {
	if int(d.last) < len(d.ids) && d.ids[d.last] == id {
		return d.last, true
	}
	if n, known = d.number[id]; known {
		d.last = n
	}
	return n, known
}

// numberOf is a device's number, given to it now if it has none. Who may have a level is a member: these are bounded.
func (d *devices) numberOf(id identity.DeviceID) uint32 {
	n, known := d.find(id)
	if !known {
		n = uint32(len(d.ids))
		d.number[id] = n
		d.ids, d.runs, d.others = append(d.ids, id), append(d.runs, identity.Instance{}), append(d.others, 0)
	}
	return n
}
