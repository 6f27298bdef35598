package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// nftHooks are those that see what comes to this host or leaves it.
var nftHooks = map[string]string{
	"prerouting": "input", "input": "input", "output": "output", "postrouting": "output",
}

var nftPorts = strings.Replace(ports, ":", "-", 1)

// parseNft reads what `nft -j list ruleset` prints: the chains of IPv4 that see what comes to this host or leaves it.
// What is not understood is a match that may match.
func parseNft(text []byte) (ruleset, error) {
	var list struct {
		Nftables []struct {
			Chain *struct{ Family, Table, Name, Hook, Policy string }
			Rule  *struct {
				Family, Table, Chain string
				Expr                 []map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("parse nft: %w", err)
	}
	var all ruleset
	for _, o := range list.Nftables {
		switch {
		case o.Chain != nil && (o.Chain.Family == "ip" || o.Chain.Family == "inet"):
			c := &chain{table: o.Chain.Family + " " + o.Chain.Table, name: o.Chain.Name, drops: o.Chain.Policy == "drop"}
			c.hook = nftHooks[o.Chain.Hook]
			c.open = fmt.Sprintf("nft insert rule %s %s udp dport %s accept", c.table, c.name, nftPorts)
			all = append(all, c)
		case o.Rule != nil:
			for _, c := range all {
				if c.table == o.Rule.Family+" "+o.Rule.Table && c.name == o.Rule.Chain {
					c.rules = append(c.rules, nftRules(o.Rule.Expr)...)
				}
			}
		}
	}
	return all, nil
}

// nftRules is one rule, or, where it holds a map of verdicts, one for each of its elements.
func nftRules(statements []map[string]json.RawMessage) []rule {
	var rules []rule
	var matches []match
	for _, s := range statements {
		for _, name := range slices.Sorted(maps.Keys(s)) { // there is one
			body := s[name]
			switch name {
			case "match":
				matches = append(matches, nftMatch(body))
			case "limit", "xt", "ct count", "quota", "queue":
				matches = append(matches, perhaps)
				if bytes.Contains(body, []byte(`"target"`)) { // of iptables: it may do anything
					rules = append(rules, rule{does: jump, matches: matches})
				}
			case "vmap":
				for _, element := range nftMap(body) {
					element.matches = append(element.matches, matches...)
					rules = append(rules, element)
				}
			default:
				if r, ok := nftVerdict(name, body); ok {
					r.matches = matches
					rules = append(rules, r)
				}
			}
		}
	}
	return rules
}

func nftVerdict(name string, body json.RawMessage) (rule, bool) {
	does, known := map[string]action{
		"accept": accept, "drop": drop, "reject": drop, "return": back, "jump": jump, "goto": leap,
	}[name]
	var to struct{ Target string }
	_ = json.Unmarshal(body, &to) // only jumps have a body of that form
	return rule{does: does, target: to.Target}, known
}

func nftMap(body json.RawMessage) []rule {
	var m struct {
		Key  json.RawMessage
		Data struct{ Set [][2]json.RawMessage }
	}
	if json.Unmarshal(body, &m) != nil || len(m.Data.Set) == 0 { // a named one
		return []rule{{does: jump, matches: []match{perhaps}}}
	}
	var rules []rule
	for _, element := range m.Data.Set {
		var what map[string]json.RawMessage
		_ = json.Unmarshal(element[1], &what) // what is no verdict makes no rule
		for _, name := range slices.Sorted(maps.Keys(what)) {
			if r, ok := nftVerdict(name, what[name]); ok {
				r.matches = []match{nftCompare(m.Key, element[0])}
				rules = append(rules, r)
			}
		}
	}
	return rules
}

func nftMatch(body json.RawMessage) match {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return perhaps
	}
	compare := nftCompare(m.Left, m.Right)
	switch m.Op {
	case "==", "in", "":
		return compare
	case "!=":
		return func(p packet) answer { return yes - compare(p) }
	}
	return perhaps
}

// nftCompare compares what a packet has, left, with a value, a range or a set of them.
func nftCompare(left, right json.RawMessage) match {
	var l struct {
		Payload struct{ Protocol, Field string }
		Meta    struct{ Key string }
		Ct      struct{ Key string }
		Fib     struct{ Result string }
	}
	_ = json.Unmarshal(left, &l) // what is not of that form is not known below
	values := nftValues(right)
	oneOf := func(have string) answer {
		return anyOf(values, func(v nftValue) answer { return truth(interfaceIs(have, v.text)) })
	}
	port := func(have int) answer {
		return anyOf(values, func(v nftValue) answer { return portIn(have, v.low, v.high) })
	}
	return func(p packet) answer {
		payload := l.Payload.Protocol + " " + l.Payload.Field
		switch {
		case payload == p.protocol+" dport", payload == "th dport":
			return port(p.target)
		case payload == p.protocol+" sport", payload == "th sport":
			return port(p.source)
		case payload == "ip daddr":
			return anyOf(values, func(v nftValue) answer { return addrIn(p.to, v.first, v.last) })
		case payload == "ip saddr":
			return anyOf(values, func(v nftValue) answer { return addrIn(p.from, v.first, v.last) })
		case payload == "ip protocol", l.Meta.Key == "l4proto":
			return oneOf(p.protocol)
		case l.Payload.Protocol != "" && l.Payload.Protocol != "ip":
			return no // ip6, icmp, the other one of tcp and udp
		case l.Meta.Key == "nfproto":
			return oneOf("ipv4")
		case l.Meta.Key == p.hook[:1]+"ifname", l.Meta.Key == p.hook[:1]+"if":
			return oneOf(p.iface)
		case l.Meta.Key == "iifname", l.Meta.Key == "oifname", l.Meta.Key == "iif", l.Meta.Key == "oif":
			return no
		case l.Meta.Key == "pkttype":
			return oneOf(map[bool]string{true: "broadcast", false: "host"}[p.broadcast])
		case l.Ct.Key == "state":
			return oneOf("new")
		case l.Fib.Result == "type":
			return oneOf(map[bool]string{true: "broadcast", false: "local"}[p.broadcast])
		}
		return maybe
	}
}

func anyOf(values []nftValue, holds func(nftValue) answer) answer {
	best := no
	for _, v := range values {
		if v.odd {
			best = max(best, maybe)
		} else {
			best = max(best, holds(v))
		}
	}
	return best
}

// nftValue is what a packet is compared with, in all forms that it may be of.
type nftValue struct {
	text        string
	low, high   int
	first, last netip.Addr
	odd         bool // another form: a named set
}

func nftValues(raw json.RawMessage) []nftValue {
	var list []json.RawMessage
	var o struct {
		Set, Range []json.RawMessage
		Prefix     *struct {
			Addr string
			Len  int
		}
	}
	if json.Unmarshal(raw, &list) == nil || json.Unmarshal(raw, &o) == nil && o.Set != nil {
		var all []nftValue
		for _, element := range append(list, o.Set...) {
			all = append(all, nftValues(element)...)
		}
		return all
	}
	switch {
	case len(o.Range) == 2:
		low, high := nftValues(o.Range[0]), nftValues(o.Range[1])
		if len(low) != 1 || len(high) != 1 {
			return []nftValue{{odd: true}}
		}
		return []nftValue{{low: low[0].low, high: high[0].high, first: low[0].first, last: high[0].last,
			odd: low[0].odd || high[0].odd}}
	case o.Prefix != nil:
		v := nftValue{}
		if a, err := netip.ParseAddr(o.Prefix.Addr); err == nil {
			v.first, v.last = ends(netip.PrefixFrom(a, o.Prefix.Len))
		}
		return []nftValue{v}
	}
	var text string
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return []nftValue{{low: n, high: n}}
	}
	if json.Unmarshal(raw, &text) != nil || strings.HasPrefix(text, "@") {
		return []nftValue{{odd: true}}
	}
	v := nftValue{text: text, low: -1, high: -1}
	if a, err := netip.ParseAddr(text); err == nil {
		v.first, v.last = a, a
	}
	return []nftValue{v}
}
