package doctor

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// quoted is what stands for a comment or the like: it may hold spaces.
var quoted = regexp.MustCompile(`"[^"]*"`)

// parseIptables reads what `iptables -S` prints.
func parseIptables(text string) ruleset {
	var all ruleset
	byName := func(name string) *chain {
		for _, c := range all {
			if c.name == name {
				return c
			}
		}
		c := &chain{name: name, open: "iptables -I " + name + " -p udp --dport " + ports + " -j ACCEPT"}
		c.hook = map[string]string{"INPUT": "input", "OUTPUT": "output"}[name]
		all = append(all, c)
		return c
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(quoted.ReplaceAllString(line, "quoted"))
		if len(words) < 2 {
			continue
		}
		c := byName(words[1])
		switch words[0] {
		case "-P":
			c.drops = len(words) > 2 && words[2] != "ACCEPT"
		case "-A":
			c.rules = append(c.rules, iptablesRule(words[2:]))
		}
	}
	return all
}

// iptablesRule reads the rest of a rule. A flag that is not known may match.
func iptablesRule(words []string) rule {
	var r rule
	negated := false
	for len(words) > 0 {
		flag, value := words[0], ""
		if flag == "!" {
			negated, words = true, words[1:]
			continue
		}
		words = words[1:]
		if len(words) > 0 && !strings.HasPrefix(words[0], "-") && words[0] != "!" {
			value, words = words[0], words[1:]
		}
		switch m := iptablesMatch(flag, value); {
		case flag == "-j" || flag == "-g":
			r.does, r.target = iptablesAction(flag, value)
		case m != nil && negated:
			r.matches = append(r.matches, func(p packet) answer { return yes - m(p) })
		case m != nil:
			r.matches = append(r.matches, m)
		}
		negated = false
	}
	return r
}

func iptablesAction(flag, target string) (action, string) {
	switch target {
	case "ACCEPT":
		return accept, ""
	case "DROP", "REJECT":
		return drop, ""
	case "RETURN":
		return back, ""
	case "LOG", "NFLOG", "MARK", "CONNMARK":
		return goOn, ""
	}
	if flag == "-g" {
		return leap, target
	}
	return jump, target
}

// iptablesMatch is nil for what only names an extension or the way to reject.
func iptablesMatch(flag, value string) match {
	switch flag {
	case "-j", "-g", "-m", "--reject-with", "--comment":
		return nil
	case "-p":
		return func(p packet) answer { return truth(value == p.protocol || value == "all") }
	case "-i":
		return func(p packet) answer { return truth(p.hook == "input" && interfaceIs(p.iface, value)) }
	case "-o":
		return func(p packet) answer { return truth(p.hook == "output" && interfaceIs(p.iface, value)) }
	case "-s":
		return func(p packet) answer { return addrMatches(p.from, value) }
	case "-d":
		return func(p packet) answer { return addrMatches(p.to, value) }
	case "--dport", "--dports":
		return func(p packet) answer { return portMatches(p.target, value) }
	case "--sport", "--sports":
		return func(p packet) answer { return portMatches(p.source, value) }
	case "--ctstate", "--state":
		return func(packet) answer { return truth(strings.Contains(","+value+",", ",NEW,")) }
	case "--pkt-type", "--dst-type":
		return func(p packet) answer {
			return truth(strings.EqualFold(value, "broadcast") == p.broadcast && !strings.EqualFold(value, "multicast"))
		}
	}
	return perhaps
}

// interfaceIs matches a name, or what begins as a pattern that ends in + (iptables) or * (nft).
func interfaceIs(name, pattern string) bool {
	start := strings.TrimRight(pattern, "+*")
	return name == pattern || start != pattern && strings.HasPrefix(name, start)
}

func addrMatches(a netip.Addr, text string) answer {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		one, err := netip.ParseAddr(text)
		if err != nil {
			return maybe
		}
		prefix = netip.PrefixFrom(one, one.BitLen())
	}
	first, last := ends(prefix)
	return addrIn(a, first, last)
}

// portMatches takes ports and ranges of them (from:to) with commas between.
func portMatches(port int, text string) answer {
	best := no
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		low, err := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil {
			best = max(best, maybe)
			continue
		}
		best = max(best, portIn(port, low, high))
	}
	return best
}
