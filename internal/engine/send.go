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
	keys  *seal.Room // of the moment when it was said
	send  chat.Send
	at    time.Duration // since when
	only  int           // the interface to leave by; 0: all
}

// post sends a frame: a unicast at once, a broadcast when the budget has place for it. To a member that no unicast
// reaches, a unicast is a broadcast too. What is for all of a direct room is for the other one.
func (e *Engine) post(now Now, r *room, s *scope, send chat.Send) {
	if e.Watching() {
		return
	}
	if send.To.IsZero() && r.direct != nil {
		send.To = r.direct.ID()
	}
	p, known := e.discovery.Peer(send.To)
	switch {
	case send.To.IsZero() || known && byBroadcast(p):
		e.budget.queue(outgoing{r.name, s, r.keys, send, now.Mono, 0})
	case known:
		e.sendTo(p, r, s, r.keys, send)
	}
}

// byBroadcast tells whether what is for a peer goes to all: no unicast reaches it, or it has not echoed yet what was
// sent to its address alone, so that the address may be another's.
func byBroadcast(p discovery.Peer) bool { return p.UnicastBlocked || !p.Reached }

// sendTo sends a frame to one member, if it is in reach of the scope.
func (e *Engine) sendTo(p discovery.Peer, r *room, s *scope, keys *seal.Room, send chat.Send) {
	if !p.Proven || e.scopeOn(r, p.Iface) != s {
		return
	}
	out := Send{To: p.Addr, Iface: p.Iface, Type: send.Frame.Type()}
	out.Data = e.seal(keys, send, p.Instance, s.chat.LimitOf(p.ID))
	if byBroadcast(p) {
		out.To = broadcastAddr
		e.budget.spend(len(out.Data))
	}
	e.remember(s, out.Data, send.Record)
	e.out.Send = append(e.out.Send, out)
}

// piecesBehind is how many pieces of a record follow this one.
func piecesBehind(f wire.Frame) int {
	frag, ok := f.(wire.Frag)
	if !ok {
		return 0
	}
	behind := int(frag.Total) - int(frag.Offset) - len(frag.Data)
	return (behind + len(frag.Data) - 1) / len(frag.Data)
}

// flush sends the broadcasts that the budget has place for, on every interface of their scopes.
func (e *Engine) flush(now Now) {
	defer e.replySaid()
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
				e.sendTo(p, r, o.scope, o.keys, o.send)
			}
			continue
		}
		limit, _ := o.scope.chat.Limit()
		data := e.seal(o.keys, o.send, identity.Instance{}, limit)
		for _, i := range e.here(o.scope) {
			if o.only != 0 && o.only != i.Index || i.Second && !e.discovery.Met(i.Index) {
				continue
			}
			e.out.Send = append(e.out.Send, Send{
				Data: data, Iface: i.Index, Type: o.send.Frame.Type(), Rest: piecesBehind(o.send.Frame),
			})
			e.budget.spend(len(data))
		}
		e.remember(o.scope, data, o.send.Record)
	}
}

// seal closes a frame for a room: signed by us if its kind asks for it, padded to the next size class.
func (e *Engine) seal(keys *seal.Room, send chat.Send, to identity.Instance, limit int) []byte {
	outer, err := keys.Outer(wire.Prefix(send.Frame.Type()), e.nonces)
	if err != nil {
		panic("no randomness: " + err.Error()) // crypto/rand does not fail; without it nothing can be kept secret
	}
	var inner []byte
	if send.Frame.Type().Signed() {
		sender := wire.Sender{
			Key: e.cfg.Key.Public(), Instance: e.cfg.Instance, Counter: e.nextCounter(), To: to,
		}
		inner = wire.AppendSigned(nil, send.Frame, sender, e.cfg.Signer, keys.ID, outer)
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
	return keys.Seal(outer, inner, size)
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
