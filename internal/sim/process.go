package sim

import (
	"slices"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
)

// job is something for a node's disk to do, and what follows from it.
type job struct {
	write  *write
	then   func([]record.Floor, error)
	failed bool // it stands behind a write that failed, and would be kept without it
}

// later has the disk do a job: at once, or in the order of the calls within the time that each takes.
func (n *node) later(j job) {
	slow := max(n.w.opt.Storing, n.slow)
	if slow == 0 && len(n.jobs) == 0 {
		n.finish(j)
		return
	}
	n.jobs = append(n.jobs, j)
	n.idle = max(n.idle, n.w.now) + n.w.below(slow)
	n.w.queue.push(event{at: n.idle, node: n, run: n.run, call: func() {
		j := n.jobs[0]
		n.jobs = n.jobs[1:]
		n.finish(j)
		n.settle()
	}})
}

// finish does a job and tells the engine.
func (n *node) finish(j job) {
	var floors []record.Floor
	var err error
	switch {
	case j.failed:
		err = errDisk
	case j.write != nil:
		floors, err = n.commit(j.write)
	}
	if err != nil && j.write.batch != nil {
		n.failBehind()
	}
	if j.then != nil && n.w.err == nil {
		j.then(floors, err)
	}
}

// failBehind has all batches fail that were handed out before the engine hears of a failure, as the node's keeper does.
func (n *node) failBehind() {
	for i := range n.jobs {
		if w := n.jobs[i].write; w != nil && w.batch != nil {
			n.jobs[i].failed = true
		}
	}
}

// leftShare is how many of the writes that a broken disk refuses the next process may find all the same.
const leftShare = 0.3

// commit writes to the disk. That a disk refuses what it was asked for means that the engine asked for what cannot be.
func (n *node) commit(w *write) ([]record.Floor, error) {
	w.at, w.now = n.now().Wall.UnixNano(), n.w.now
	leave := n.disk.broken && n.w.rng.Float64() < leftShare
	floors, err := n.disk.do(*w, leave)
	switch {
	case err != nil && err != errDisk:
		n.w.violate("I4", "%v stores what does not fit: %v", n, err)
	case w.batch != nil && leave:
		n.w.check.doubts(n, w.batch)
	case w.batch != nil && err == nil:
		n.w.check.keeps(n, w.batch)
	}
	return floors, err
}

// troubled tells whether the disk did not work lately. For a while the engine may think that it still does not.
func (n *node) troubled() bool { return n.disk.broken || n.mended > n.w.now-mendedFor }

const mendedFor = 15 * time.Second

// die ends the process. Of what was on its way to the disk a part may have arrived.
func (n *node) die() {
	if n.engine == nil {
		return
	}
	n.w.count.NodeTime += n.w.now - n.since
	jobs := n.jobs
	if len(jobs) > 0 {
		jobs = jobs[:n.w.rng.IntN(len(jobs)+1)]
	}
	for _, j := range jobs {
		if j.write == nil || j.failed {
			continue
		}
		if _, err := n.commit(j.write); err != nil {
			break
		}
	}
	n.engine, n.socket, n.jobs = nil, nil, nil
}

// kill ends the process without a word; the system goes on, and with it all that was written.
func (n *node) kill() {
	if n.engine != nil {
		n.hangUp()
		n.die()
		n.resume = true
	}
}

// losePower ends the system without a word. Its next run knows no network by the carrier any more.
func (n *node) losePower() {
	ran := n.engine != nil
	n.die()
	if !ran && len(n.disk.since) == 0 {
		return // all was written long ago
	}
	if lost := n.disk.losePower(n.w.rng.IntN(len(n.disk.since) + 1)); lost > 0 {
		n.w.tell("%v: %d writes lost", n, lost)
	}
	n.resume = n.disk.full && (ran || n.resume)
	for _, c := range n.nics {
		c.network = n.w.networkID()
	}
}

// stop ends the process with a goodbye, and with all written.
func (n *node) stop() {
	if n.engine == nil {
		return
	}
	if !n.asleep {
		n.do(engine.Bye{})
	}
	for n.engine != nil && len(n.jobs) > 0 {
		j := n.jobs[0]
		n.jobs = n.jobs[1:]
		n.finish(j)
		n.settle()
	}
	n.hangUp()
	n.die()
	n.disk.sync()
	n.resume = true
}

// restored puts another image on the disk, of another time or device: of its own feeds nothing may be continued.
func (n *node) restored(i image) {
	n.disk.replace(i)
	n.resume, n.keys = false, engine.Keys{Secret: lobbySecret} // files of before any rekey
}

func (n *node) revive() {
	if n.engine == nil {
		n.start()
	}
}

// copyHome makes a device that has the same key and the same files, and starts it: as itself a copy of the home knows
// that it is one, and a copy of the whole machine does not.
func (w *world) copyHome(n *node, machine bool) *node {
	t := &node{
		w: w, index: len(w.nodes) + n.index, key: n.key, nick: n.nick, buffer: n.buffer, boot: n.boot, clock: n.clock,
		rooms: slices.Clone(n.rooms), device: device{disk: newDisk(n.disk.full), keep: n.keep},
	}
	t.restored(n.disk.clone())
	c := &nic{node: t, index: 1, mtu: n.nics[0].mtu}
	t.nics = []*nic{c}
	w.attach(c, w.home(n))
	if machine {
		c.part = 1 + w.rng.IntN(2) // it comes up elsewhere
		t.resume = n.resume || n.engine != nil
		w.check.clone(n)
	}
	n.twin = t
	t.start()
	return t
}

// endTwin takes the copy of a home off the network, and restarts the device: to others the copy was its next run, so
// that they do not hear the one before it any more.
func (n *node) endTwin() {
	if t := n.twin; t != nil {
		t.die()
		n.w.detach(t.nics[0])
		n.twin = nil
		n.stop()
		n.boot++ // the copy counted, too
		n.revive()
	}
}

// everybody are all that may say something: copies of homes, too.
func (w *world) everybody() []*node {
	all := slices.Clone(w.nodes)
	for _, n := range w.nodes {
		if n.twin != nil {
			all = append(all, n.twin)
		}
	}
	return all
}
