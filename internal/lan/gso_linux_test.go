package lan

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// packetsOf are packets of those sizes, each "size" or "size>way": ways are other addresses by the same interface.
func packetsOf(e *egress, sizes ...[2]int) []packet {
	packets := make([]packet, len(sizes))
	for n, s := range sizes {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(s[1])}), 9)
		packets[n] = packet{data: make([]byte, s[0]), to: to, by: e, of: n}
	}
	return packets
}

func TestCouple(t *testing.T) {
	e := &egress{mtu: 1500}
	long := make([][2]int, 120)
	for n := range long {
		long[n] = [2]int{1400, 1}
	}
	small := make([][2]int, 60)
	for n := range small {
		small[n] = [2]int{100, 1}
	}
	for _, test := range []struct {
		name string
		e    *egress
		in   [][2]int
		want string
	}{
		{"one size", e, [][2]int{{9, 1}, {9, 1}, {9, 1}}, "[[0 1 2]]"},
		{"a shorter one ends it", e, [][2]int{{9, 1}, {8, 1}, {8, 1}, {9, 1}}, "[[0 1] [2] [3]]"},
		{"two ways, mixed", e, [][2]int{{9, 1}, {9, 2}, {9, 1}, {9, 2}, {10, 1}}, "[[0 2] [1 3] [4]]"},
		{"empty ones go alone", e, [][2]int{{9, 1}, {0, 1}, {0, 1}, {9, 1}}, "[[0] [1] [2] [3]]"},
		{"what does not fit the link goes alone", e, [][2]int{{1473, 1}, {1473, 1}, {1472, 1}, {1472, 1}}, "[[0] [1] [2 3]]"},
		{"without a way", nil, [][2]int{{9, 1}, {9, 1}}, "[[0] [1]]"},
		{"65,000 bytes", e, long, ""},
		{"50 datagrams", e, small, ""},
	} {
		trains := couple(nil, packetsOf(test.e, test.in...), true)
		var got [][]int
		for _, tr := range trains {
			got = append(got, tr.members)
			if len(tr.members) > maxTrain || tr.bytes > maxTrainBytes {
				t.Errorf("%s: %d datagrams of %d bytes", test.name, len(tr.members), tr.bytes)
			}
		}
		if test.want != "" && fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
		var all []int
		for _, members := range got {
			all = append(all, members...)
		}
		if slices.Sort(all); len(all) != len(test.in) || len(slices.Compact(all)) != len(test.in) {
			t.Errorf("%s: packets %v", test.name, all)
		}
		if again := couple(trains, packetsOf(test.e, test.in...), false); len(again) != len(test.in) {
			t.Errorf("%s: %d trains without joining", test.name, len(again))
		}
	}
}

// What belongs together is not divided, unless it is longer than any train.
func TestCoupleKeepsTogether(t *testing.T) {
	e := &egress{mtu: 1500}
	for _, test := range []struct {
		each, count int
		want        string
	}{
		{1, 100, "[46 46 8]"}, {10, 100, "[40 40 20]"}, {46, 92, "[46 46]"}, {48, 96, "[2 46 2 46]"},
	} {
		sizes := make([][2]int, test.count)
		for n := range sizes {
			sizes[n] = [2]int{1400, 1}
		}
		packets := packetsOf(e, sizes...)
		for n := range packets {
			packets[n].rest = test.each - 1 - n%test.each
		}
		var got []int
		for _, tr := range couple(nil, packets, true) {
			got = append(got, len(tr.members))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%d together: trains of %v, want %s", test.each, got, test.want)
		}
	}
}

// What leaves as a train comes in as what was written, whether the receiver has it joined or not.
func TestTrainsComeInAsDatagrams(t *testing.T) {
	var ms []Outgoing
	for n := range 130 {
		ms = append(ms, Outgoing{Data: bytes.Repeat([]byte{byte(n)}, 400-n%7/6)}) // now and then a shorter one
	}
	for _, buffer := range []int{MaxDatagram, 600} {
		l := openTestLink(t, freePort(t), buffer)
		mustWrite(t, l.Link, ms...)
		for n := range ms {
			if d := await(t, l.shared); !bytes.Equal(d.Data, ms[n].Data) || d.Size != len(ms[n].Data) {
				t.Fatalf("buffer of %d bytes: datagram %d has %d bytes of %d", buffer, n, len(d.Data), d.Size)
			}
		}
		if l.sender.single.Load() {
			t.Error("trains were refused on loopback")
		}
	}
}

// A kernel that refuses a train gets its datagrams one by one, and no train any more; if those fail as well, it was
// something else.
func TestTrainsFallBack(t *testing.T) {
	l := openTestLink(t, freePort(t), MaxDatagram)
	e := l.table.Load().egressTo(l.Interfaces()[0].Index, l.address().Addr())
	faulty := *e
	faulty.mtu = 1 << 20 // the train is longer than the interface takes
	packets := make([]packet, 3)
	for n := range packets {
		packets[n] = packet{data: bytes.Repeat([]byte{byte(n)}, 21_000), to: l.address(), by: &faulty, of: n}
	}
	sent := 0
	count := func(_ *packet, err error) {
		if err == nil {
			sent++
		}
	}
	if err := l.sender.send(packets, count); err != nil {
		t.Fatal(err)
	}
	for n := range packets {
		if d := await(t, l.private); len(d.Data) != 21_000 || d.Data[0] != byte(n) {
			t.Errorf("datagram %d of %d bytes", n, len(d.Data))
		}
	}
	if sent != 3 {
		t.Errorf("%d of 3 sent", sent)
	}
	nowhere := packet{data: []byte("x"), to: netip.MustParseAddrPort("127.0.0.1:0"), by: e}
	l.sender.single.Store(false)
	var failed []error
	if err := l.sender.sendApart(&train{members: []int{0}}, []packet{nowhere},
		func(_ *packet, err error) { failed = append(failed, err) }); err != nil {
		t.Fatal(err)
	}
	if len(failed) != 1 || failed[0] == nil || l.sender.single.Load() {
		t.Errorf("failed with %v, single %t", errors.Join(failed...), l.sender.single.Load())
	}
	if err := l.sender.sendApart(&train{members: []int{0, 1, 2}}, packets, count); err != nil || !l.sender.single.Load() {
		t.Errorf("%v; single %t after the parts went", err, l.sender.single.Load())
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, single := range []bool{true, false} {
		b.Run(fmt.Sprintf("trains=%t", !single), func(b *testing.B) {
			l, err := Open(Config{Port: 19, RecvBuffer: MaxDatagram, Ifaces: []string{"lo"}})
			if err != nil {
				b.Skip(err)
			}
			defer l.Close()
			l.sender.single.Store(single)
			ms := make([]Outgoing, 48)
			for n := range ms {
				ms[n] = Outgoing{Data: make([]byte, 1400)}
			}
			b.SetBytes(48 * 1400)
			b.ReportAllocs()
			for b.Loop() {
				l.Write(ms)
			}
		})
	}
}
