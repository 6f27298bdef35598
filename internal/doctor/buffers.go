package doctor

import "fmt"

const (
	// fullQueue is the receive queue that flat-out traffic needs, in bytes.
	fullQueue = 16 << 20
	// fullBuffer takes every datagram whole.
	fullBuffer = 65535
	bufferFix  = "bcast daemon --recv-buffer 65535"
)

func checkBuffers(f *Facts) []Finding {
	if f.Failed != nil {
		return nil
	}
	var all []Finding
	switch own := f.Status.RecvBuffer; {
	case f.Status.Watch:
		all = append(all, problem("buffer_tiny", bufferFix,
			"The receive buffer of %d bytes is too small to take part: this node only watches; start it with more.", own))
	case own < fullBuffer:
		all = append(all, warning("buffer_short", bufferFix,
			"The receive buffer is %d bytes: others send smaller datagrams because of it.", own))
	default:
		all = append(all, ok("buffer", "The receive buffer takes every datagram whole."))
	}
	for _, r := range f.Status.Rooms {
		if r.LimitedBy != "" {
			all = append(all, warning("room_limited", bufferFix,
				"Datagrams of room %s are held to %d bytes by the receive buffer of %s: start its daemon with more.", r.Name,
				r.DatagramLimit, r.LimitedBy))
		}
	}
	return all
}

// checkQueue looks at what the kernel queues for us, or, where it does not tell, at its limit.
func checkQueue(f *Facts) []Finding {
	queue := f.Status.RecvQueue
	if queue == 0 {
		queue = f.Host.RmemMax
	}
	if queue == 0 || queue >= fullQueue {
		return nil
	}
	return []Finding{warning("queue_short", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", fullQueue),
		"The kernel queues %d KiB of what comes: bursts beyond that are lost and asked for again; restart bcast then.",
		queue>>10)}
}

func checkCuts(f *Facts) []Finding {
	s := &f.Status
	if s.Cuts == 0 {
		return nil
	}
	of := ""
	if len(s.CutFrom) > 0 {
		who := s.CutFrom[0].Nick
		if who == "" {
			who = s.CutFrom[0].Addr
		}
		of = fmt.Sprintf(", %d of them from %s", s.CutFrom[0].Count, who)
	}
	return []Finding{warning("cuts", bufferFix, "%d datagrams did not fit the receive buffer and were cut%s.", s.Cuts, of)}
}
