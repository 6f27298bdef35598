package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// nft is a ruleset of one chain, in the words of nft's JSON.
func nft(hook, policy string, rules ...string) string {
	text := fmt.Sprintf(`{"chain":{"family":"inet","table":"t","name":"c","hook":%q,"policy":%q}}`, hook, policy)
	for _, r := range rules {
		text += fmt.Sprintf(`,{"rule":{"family":"inet","table":"t","chain":"c","expr":[%s]}}`, r)
	}
	return `{"nftables":[{"metainfo":{}},` + text + `]}`
}

func eq(left, right string) string {
	return fmt.Sprintf(`{"match":{"op":"==","left":%s,"right":%s}}`, left, right)
}

const (
	dport  = `{"payload":{"protocol":"udp","field":"dport"}}`
	saddr  = `{"payload":{"protocol":"ip","field":"saddr"}}`
	daddr  = `{"payload":{"protocol":"ip","field":"daddr"}}`
	iif    = `{"meta":{"key":"iifname"}}`
	denied = `{"drop":null}`
	passed = `{"accept":null}`
	random = `{"match":{"op":"<","left":{"numgen":{"mode":"random","mod":100}},"right":30}}`
)

// What a firewall does is told from its rules where they say it for sure; where they may, only with the symptom.
func TestFirewalls(t *testing.T) {
	for _, test := range []struct {
		name, tool, text string
		deaf             bool // own broadcasts do not come back
		code             string
		command          string
	}{
		{"nothing", "nft", `{"nftables":[]}`, false, "firewall", ""},
		{"a rule in", "nft", nft("input", "accept", eq(dport, `{"range":[27474,27490]}`)+","+denied), false, "firewall_in",
			"nft insert rule inet t c udp dport 27474-27490 accept"},
		{"a rule out", "nft", nft("output", "accept", eq(dport, `27474`)+`,{"reject":{"type":"icmp"}}`), false, "firewall_out",
			"nft insert rule inet t c udp dport 27474-27490 accept"},
		{"opened before", "nft", nft("input", "drop", eq(dport, `{"set":[53,{"range":[27474,27490]}]}`)+","+passed,
			eq(`{"payload":{"protocol":"tcp","field":"dport"}}`, `{"range":[1,65535]}`)+","+passed), false, "firewall", ""},
		{"opened for datagrams alone", "nft", nft("input", "drop", eq(dport, `{"range":[27474,27490]}`)+","+passed), false,
			"firewall_streams", "nft insert rule inet t c tcp dport 27474-27490 accept"},
		{"policy", "nft", nft("input", "drop"), false, "firewall_in", "nft insert rule inet t c udp dport 27474-27490 accept"},
		{"another port", "nft", nft("input", "accept", eq(dport, `5353`)+","+denied), false, "firewall", ""},
		{"another interface", "nft", nft("input", "accept", eq(iif, `"eth9"`)+","+denied), false, "firewall", ""},
		{"interfaces by pattern", "nft", nft("input", "accept", eq(iif, `"eth*"`)+","+denied), false, "firewall_in",
			"nft insert rule inet t c udp dport 27474-27490 accept"},
		{"the subnet may", "nft", nft("input", "drop", eq(saddr, `{"prefix":{"addr":"10.77.0.0","len":24}}`)+","+passed), false,
			"firewall", ""},
		{"another subnet may", "nft", nft("input", "drop", eq(saddr, `{"prefix":{"addr":"10.9.0.0","len":24}}`)+","+passed), false,
			"firewall_in", "nft insert rule inet t c udp dport 27474-27490 accept"},
		{"broadcasts may not", "nft", nft("input", "accept", eq(daddr, `"10.77.0.255"`)+","+denied), false, "firewall_in",
			"nft insert rule inet t c udp dport 27474-27490 accept"},
		{"at random", "nft", nft("input", "accept", random+","+denied), false, "firewall", ""},
		{"at random, and deaf", "nft", nft("input", "accept", random+","+denied), true, "firewall_in",
			"nft insert rule inet t c udp dport 27474-27490 accept"},
		{"a named set may", "nft", nft("input", "drop", eq(saddr, `"@friends"`)+","+passed), false, "firewall", ""},
		{"back from an unknown chain", "nft", nft("input", "drop", `{"jump":{"target":"gone"}}`), false, "firewall", ""},
		{"workstation", "nft", "nft-workstation.json", true, "firewall_in",
			"nft insert rule inet filter input udp dport 27474-27490 accept"},
		{"workstation, heard all the same", "nft", "nft-workstation.json", false, "firewall", ""},
		{"not JSON", "nft", "table inet t", false, "firewall", ""},

		{"iptables", "iptables", "iptables.txt", false, "firewall_in", "iptables -I INPUT -p udp --dport 27474:27490 -j ACCEPT"},
		{"iptables as nft shows it", "nft", "nft-of-iptables.json", true, "firewall_in",
			"nft insert rule ip filter INPUT udp dport 27474-27490 accept"},
		{"iptables, open", "iptables", "-P INPUT DROP\n-A INPUT -i eth+ -s 10.77.0.0/24 -j ACCEPT\n", false, "firewall", ""},
		{"iptables, but not these", "iptables", "-P INPUT ACCEPT\n-A INPUT ! -s 10.9.0.0/16 -p udp -m state --state NEW -g OUT\n" +
			"-N OUT\n-A OUT -j RETURN\n", false, "firewall", ""},
		{"iptables, a chain that drops", "iptables", "-P INPUT ACCEPT\n-N OUT\n-A INPUT -j OUT\n-A OUT -j DROP\n", false,
			"firewall_in", "iptables -I INPUT -p udp --dport 27474:27490 -j ACCEPT"},
		{"iptables, out", "iptables", "-P OUTPUT DROP\n-A OUTPUT -p udp --dport 53 -j ACCEPT\n", false, "firewall_out",
			"iptables -I OUTPUT -p udp --dport 27474:27490 -j ACCEPT"},
		{"iptables, a loop", "iptables", "-P INPUT ACCEPT\n-N A\n-A INPUT -j A\n-A A -j A\n", false, "firewall", ""},

		{"ufw", "ufw", "Status: active\nDefault: deny (incoming), allow (outgoing)\n\n22/tcp ALLOW IN Anywhere\n", false,
			"firewall_in", "ufw allow 27474:27490/udp"},
		{"ufw, open", "ufw", "Status: active\nDefault: deny (incoming)\n27474:27490/udp  ALLOW IN  Anywhere\n", false, "firewall", ""},
		{"ufw, off", "ufw", "Status: inactive\n", false, "firewall", ""},
		{"firewalld", "firewalld", "public (active)\n  target: default\n  ports: 22/tcp\n", false, "firewall_in",
			"firewall-cmd --add-port=27474-27490/udp"},
		{"firewalld, open", "firewalld", "public\n  target: default\n  ports: 1000-30000/udp\n", false, "firewall", ""},
		{"firewalld, trusted", "firewalld", "trusted\n  target: ACCEPT\n", false, "firewall", ""},
	} {
		facts := sound()
		if !strings.ContainsAny(test.text, " {") {
			test.text = testdata(t, test.text)
		}
		facts.Host.Tools = map[string]Output{test.tool: {Text: test.text}}
		if test.deaf {
			eth0(&facts).OwnHeard = ago(time.Hour)
		}
		findings := checkFirewall(&facts)
		if findings[0].Code != test.code || findings[0].Command != test.command {
			t.Errorf("%s: %+v", test.name, findings)
		}
	}
}

// With --port another port is to be let through.
func TestFirewallsOfAnotherPort(t *testing.T) {
	for tool, want := range map[string][2]string{
		"nft":       {nft("input", "drop"), "nft insert rule inet t c udp dport { 5000, 27475-27490 } accept"},
		"iptables":  {"-P INPUT DROP\n", "iptables -I INPUT -p udp -m multiport --dports 5000,27475:27490 -j ACCEPT"},
		"ufw":       {"Status: active\n27474:27490/udp ALLOW IN Anywhere\n", "ufw allow 5000,27475:27490/udp"},
		"firewalld": {"ports: 27474-27490/udp\n", "firewall-cmd --add-port=5000/udp --add-port=27475-27490/udp"},
	} {
		facts := sound()
		facts.Status.Port, facts.Host.Tools = 5000, map[string]Output{tool: {Text: want[0]}}
		if f := checkFirewall(&facts)[0]; f.Command != want[1] || !strings.Contains(f.Sentence, "5000") {
			t.Errorf("%s: %+v", tool, f)
		}
	}
}

func TestFirewallsThatDoNotTell(t *testing.T) {
	for _, test := range []struct {
		root     bool
		tools    map[string]Output
		sentence string
		command  string
	}{
		{false, map[string]Output{"nft": {Failed: "not permitted"}, "iptables": {Failed: "no"}}, "nft and iptables would drop only root",
			"sudo bcast doctor"},
		{true, map[string]Output{"iptables": {Failed: "no such table"}}, "no such table", ""},
		{true, nil, "No tool is there", ""},
	} {
		facts := sound()
		facts.Host.Root, facts.Host.Tools = test.root, test.tools
		f := checkFirewall(&facts)[0]
		if f.Code != "firewall_unread" || f.Severity != OK || !strings.Contains(f.Sentence, test.sentence) || f.Command != test.command {
			t.Errorf("%+v", f)
		}
	}
}

// Whatever a tool prints is judged, and alike each time.
func FuzzFirewall(f *testing.F) {
	for _, name := range []string{"nft-workstation.json", "nft-of-iptables.json", "iptables.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		facts := sound()
		facts.Host.Tools = map[string]Output{
			"nft": {Text: text}, "iptables": {Text: text}, "ufw": {Text: text}, "firewalld": {Text: text},
		}
		one, _ := json.Marshal(Examine(facts))
		two, _ := json.Marshal(Examine(facts))
		if !slices.Equal(one, two) {
			t.Errorf("%s\nand then %s", one, two)
		}
	})
}
