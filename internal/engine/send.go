package engine

import (
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// sizeClasses are the sizes that sealed datagrams are padded to, in bytes, beside the limit itself: few, so that a
// size tells little, and none larger than the smallest buffer that can take what is in it.
var sizeClasses = []int{256, 512, 1024}

// outgoing is a frame that waits for the broadcast budget.
type outgoing struct {
	room  identity.RoomName
	scope *scope
	send  chat.Send
}

// post sends a frame: a unicast at once, a broadcast when the budget has place for it. To a member that no unicast
// reaches, a unicast is a broadcast too.
func (e *Engine) post(now Now, r *room, s *scope, send chat.Send) {
	if e.Watching() {
		return
	}
	p, known := e.discovery.Peer(send.To)
	switch {
	case send.To.IsZero() || known && p.UnicastBlocked:
		e.budget.queue(outgoing{r.name, s, send})
	case known:
		e.sendTo(p, r, s, send)
	}
}

// sendTo sends a frame to one member, if it is in reach of the scope.
func (e *Engine) sendTo(p discovery.Peer, r *room, s *scope, send chat.Send) {
	if !p.Proven || e.scopeOn(r, p.Iface) != s {
		return
	}
	limit := min(wire.MaxDatagram, max(p.RecvBuffer, wire.MinDatagram))
	out := Send{To: p.Addr, Iface: p.Iface, Type: send.Frame.Type()}
	out.Data = e.seal(r, send, p.Instance, limit)
	if p.UnicastBlocked {
		out.To = broadcastAddr
		e.budget.spend(len(out.Data))
	}
	e.remember(s, out.Data, send.Record)
	e.out.Send = append(e.out.Send, out)
}

// flush sends the broadcasts that the budget has place for, on every interface of their scopes.
func (e *Engine) flush(now Now) {
	for {
		o, ok := e.budget.next(now.Mono)
		if !ok {
			return
		}
		r := e.rooms[o.room]
		if r == nil || !slices.Contains(r.scopes, o.scope) {
			continue
		}
		if !o.send.To.IsZero() {
			if p, known := e.discovery.Peer(o.send.To); known {
				e.sendTo(p, r, o.scope, o.send)
			}
			continue
		}
		limit, _ := o.scope.chat.Limit()
		data := e.seal(r, o.send, identity.Instance{}, limit)
		for _, i := range e.here(o.scope) {
			e.out.Send = append(e.out.Send, Send{Data: data, Iface: i.Index, Type: o.send.Frame.Type()})
			e.budget.spend(len(data))
		}
		e.remember(o.scope, data, o.send.Record)
	}
}

// seal closes a frame for a room: signed by us if its kind asks for it, padded to the next size class.
func (e *Engine) seal(r *room, send chat.Send, to identity.Instance, limit int) []byte {
	outer, err := r.keys.Outer(wire.Prefix(send.Frame.Type()), e.nonces)
	if err != nil {
		panic("no randomness: " + err.Error()) // crypto/rand does not fail; without it nothing can be kept secret
	}
	var inner []byte
	if send.Frame.Type().Signed() {
		sender := wire.Sender{
			Key: e.cfg.Key.Public(), Instance: e.cfg.Instance, Counter: e.nextCounter(), To: to,
		}
		inner = wire.AppendSigned(nil, send.Frame, sender, e.cfg.Key, r.keys.ID, outer)
	} else {
		inner = wire.AppendFrame(nil, send.Frame)
	}
	size := limit
	for _, class := range sizeClasses {
		if class >= len(inner)+seal.Overhead && class < limit {
			size = class
			break
		}
	}
	return r.keys.Seal(outer, inner, size)
}

// sentLog remembers which record was in which datagram, for members whose buffers cut it.
type sentLog struct {
	byNonce map[[seal.NonceSize]byte]sent
	order   [][seal.NonceSize]byte
}

type sent struct {
	scope  *scope
	record record.ID
}

func (l *sentLog) init() { l.byNonce = map[[seal.NonceSize]byte]sent{} }

func (e *Engine) remember(s *scope, datagram []byte, id record.ID) {
	if id.IsZero() {
		return
	}
	l := &e.sent
	nonce := [seal.NonceSize]byte(datagram[seal.PrefixSize:])
	l.byNonce[nonce] = sent{s, id}
	l.order = append(l.order, nonce)
	if len(l.order) > maxSent {
		delete(l.byNonce, l.order[0])
		l.order = l.order[1:]
	}
}

// sendAgain answers a CUT: the record goes to that member once more, in pieces that its buffer takes whole.
func (e *Engine) sendAgain(to identity.DeviceID, cut wire.Cut) {
	if s, ok := e.sent.byNonce[cut.Nonce]; ok {
		s.scope.chat.Again(s.record, to, int(cut.Received))
	}
}

// budget bounds what we broadcast: a token bucket for each kind of link, and what waits for it, by class.
type budget struct {
	fixed  int // bytes a second the user set; 0: by the kind of link
	rate   float64
	burst  float64
	tokens float64
	at     time.Duration
	queues [3][]outgoing // by chat.Class
}

// What we may broadcast: a wired segment is ours to an eighth of the slowest; on Wi-Fi, where a broadcast goes out at
// the lowest rate and to all, a tenth of the air at 1 Mbit/s.
const (
	wiredRate  = 1 << 20
	wiredBurst = 256 << 10
	wifiRate   = 12 << 10
	wifiBurst  = 24 << 10
	maxQueued  = 1024 // of a class; the oldest is dropped, and repaired like any other loss
)

func (b *budget) init(now time.Duration, fixed int) {
	b.fixed, b.at = fixed, now
	b.setLink(now, false)
	b.tokens = b.burst
}

func (b *budget) setLink(now time.Duration, wifi bool) {
	b.refill(now)
	b.rate, b.burst = wiredRate, wiredBurst
	if wifi {
		b.rate, b.burst = wifiRate, wifiBurst
	}
	if b.fixed > 0 {
		b.rate, b.burst = float64(b.fixed), float64(max(2*b.fixed, wire.MaxDatagram))
	}
	b.tokens = min(b.tokens, b.burst)
}

func (b *budget) refill(now time.Duration) {
	b.tokens = min(b.burst, b.tokens+b.rate*(now-b.at).Seconds())
	b.at = now
}

func (b *budget) queue(o outgoing) {
	q := &b.queues[o.send.Class]
	*q = append(*q, o)
	if len(*q) > maxQueued {
		*q = (*q)[1:]
	}
}

// next is what may go now, what was just said before repairs, those before the rest.
func (b *budget) next(now time.Duration) (outgoing, bool) {
	b.refill(now)
	for c := range b.queues {
		if q := b.queues[c]; len(q) > 0 {
			if b.tokens < 0 {
				return outgoing{}, false
			}
			b.queues[c] = q[1:]
			return q[0], true
		}
	}
	return outgoing{}, false
}

func (b *budget) spend(bytes int) { b.tokens -= float64(bytes) }

// deadline is when what waits may go.
func (b *budget) deadline() time.Duration {
	for _, q := range b.queues {
		if len(q) > 0 {
			return b.at + time.Duration(max(-b.tokens, 0)/b.rate*float64(time.Second)) + time.Millisecond
		}
	}
	return never
}
