package lan

import (
	"fmt"
	"testing"
)

func TestParseNeighbourText(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"macOS": {"? (192.168.1.1) at 0:11:22:3:44:55 on en0 ifscope [ethernet]\n" +
			"? (192.168.1.7) at (incomplete) on en0 ifscope [ethernet]\n" +
			"? (224.0.0.251) at 1:0:5e:0:0:fb on en0 ifscope permanent [ethernet]\n",
			"[{192.168.1.1 00:11:22:03:44:55 en0 true}]"},
		"FreeBSD": {"? (10.0.2.2) at 52:55:0a:00:02:02 on em0 expires in 1177 seconds [ethernet]\n",
			"[{10.0.2.2 52:55:0a:00:02:02 em0 true}]"},
		"Windows": {"\r\nInterface: 10.0.0.5 --- 0x4\r\n  Internet Address      Physical Address      Type\r\n" +
			"  10.0.0.1              00-11-22-33-44-55     dynamic\r\n  10.0.0.255            ff-ff-ff-ff-ff-ff     static\r\n" +
			"  224.0.0.22            01-00-5e-00-00-16     static\r\n", "[{10.0.0.1 00:11:22:33:44:55  true}]"},
		"nothing": {"arp: not found\n", "[]"},
	} {
		if got := fmt.Sprint(parseNeighbourText(test.text)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
