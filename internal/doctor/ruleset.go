package doctor

import "net/netip"

// A ruleset is what a host's firewall does with packets, as far as its rules tell: what a rule asks for is answered by
// no, maybe or yes, and so several things may become of a packet.
type ruleset []*chain

// chain is a list of rules. One with a hook is asked by the kernel, the others by rules that jump.
type chain struct {
	table string // chains find each other within one
	name  string
	hook  string // input | output; empty: none
	drops bool   // what no rule decides
	rules []rule
	open  string // the command that lets bcast pass this chain
}

// rule does something with the packets that all of its matches match.
type rule struct {
	matches []match
	does    action
	target  string // of jump and leap
}

type match func(packet) answer

// perhaps is a match of what is not understood.
func perhaps(packet) answer { return maybe }

type action uint8

const (
	goOn action = iota
	accept
	drop
	back // to the rule behind the one that jumped here
	jump
	leap // a jump that does not come back
)

type answer uint8

const (
	no answer = iota
	maybe
	yes
)

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}

// fate is a set of what may become of a packet in a chain.
type fate uint8

const (
	accepted fate = 1 << iota
	dropped
	undecided // the chain that asked goes on
)

// packet is one of ours: what a rule can ask of it.
type packet struct {
	hook      string
	protocol  string
	from, to  netip.Addr // invalid: not known
	source    int        // ports; 0: not known
	target    int
	iface     string
	broadcast bool
}

// anything is the fate in a chain of which nothing is known.
const anything = accepted | dropped | undecided

// judge tells what may become of a packet, and the chain that may drop it: each base chain has to accept it.
func (r ruleset) judge(p packet) (fate, *chain) {
	all, by := accepted, (*chain)(nil)
	walk := walk{r, p, map[*chain]fate{}}
	for _, c := range r {
		if c.hook != p.hook {
			continue
		}
		f := walk.through(c)
		if f&undecided != 0 {
			f &^= undecided
			if c.drops {
				f |= dropped
			} else {
				f |= accepted
			}
		}
		if f == dropped {
			return dropped, c
		}
		if f&dropped != 0 {
			all, by = f, c
		}
	}
	return all, by
}

// walk is the way of a packet through chains, each of which it is asked of once.
type walk struct {
	rules  ruleset
	packet packet
	fates  map[*chain]fate
}

func (w *walk) through(c *chain) fate {
	f, known := w.fates[c]
	if !known {
		w.fates[c] = anything // in a loop, which the kernel does not allow
		f = w.fresh(c)
		w.fates[c] = f
	}
	return f
}

func (w *walk) fresh(c *chain) fate {
	var all fate
	for _, rule := range c.rules {
		m := yes
		for _, match := range rule.matches {
			m = min(m, match(w.packet))
		}
		if m == no {
			continue
		}
		f, ends := w.carryOut(c, rule)
		if ends {
			all |= f
		} else {
			all |= f &^ undecided
		}
		if m == yes && (ends || f&undecided == 0) {
			return all
		}
	}
	return all | undecided
}

// carryOut tells what a rule that matches may do, and whether the rules behind it are not asked any more.
func (w *walk) carryOut(c *chain, rule rule) (f fate, ends bool) {
	switch rule.does {
	case accept:
		return accepted, true
	case drop:
		return dropped, true
	case back:
		return undecided, true
	case jump, leap:
		for _, target := range w.rules {
			if target.table == c.table && target.name == rule.target {
				return w.through(target), rule.does == leap
			}
		}
		return anything, false
	}
	return undecided, false
}

// portIn matches a port; one that is not known may be any.
func portIn(port, low, high int) answer {
	if port == 0 {
		return maybe
	}
	return truth(low <= port && port <= high)
}

// addrIn matches an address against a range of them.
func addrIn(a, low, high netip.Addr) answer {
	if !a.IsValid() || !low.IsValid() || !high.IsValid() {
		return maybe
	}
	return truth(low.Compare(a) <= 0 && a.Compare(high) <= 0)
}

// ends are the first and the last address of a prefix.
func ends(p netip.Prefix) (first, last netip.Addr) {
	b := p.Masked().Addr().AsSlice()
	for bit := max(p.Bits(), 0); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ = netip.AddrFromSlice(b)
	return p.Masked().Addr(), last
}
