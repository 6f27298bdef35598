#!/usr/bin/env python3
"""A second bcast peer, written from PROTOCOL.md alone: it shows that the document is enough to write one.

    scripts/peer.py --nick NICK --room NAME --interface NAME [--ahead SECONDS]

It says each line of its input in the public room, or to one peer if the line begins with @nick; a line that begins with
a quote is a text in JSON, which may have lines of its own; "/room" prints the posts in the room's order; at the end of
the input it says bye. Its clock may be wrong by --ahead. It prints one JSON object a line. Its key and what it stores
die with it. It pulls no streams, follows no branches, keeps no more than one network, and takes no part in rekeys; what
is only recommended it mostly leaves out. The cryptography is that of purecrypto.py: not for use.
"""
import argparse
import collections
import fcntl
import heapq
import json
import math
import os
import random
import select
import socket
import struct
import sys
import time
import unicodedata

sys.dont_write_bytecode = True
import purecrypto  # noqa: E402
import vectors  # noqa: E402
from peerroom import EVERYONE, FRAG, HEAD, RECORD, Bucket, Room, cbor, now, show, u  # noqa: E402
from vectors import Refused, base32, mac, sha256  # noqa: E402

HELLO, ANSWER, ACK, BEAT, PROBE, BYE, ECHO = 1, 2, 3, 4, 5, 6, 7
PORT = 27474


class Link:
    """Two sockets on one interface, section 2, and what is to be done later."""

    def __init__(self, interface):
        def ask(request):
            return fcntl.ioctl(self.own, request, struct.pack("256s", interface.encode()))

        self.shared, self.own = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.shared.bind(("", PORT))
        self.own.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.own.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)  # N5
        for s in (self.shared, self.own):
            s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
            s.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        for port in range(PORT + 1, PORT + 16):
            try:
                self.own.bind(("", port))
                break
            except OSError:
                continue
        self.port, self.index = self.own.getsockname()[1], socket.if_nametoindex(interface)
        self.address, self.all, self.mask = (ask(r)[20:24] for r in (0x8915, 0x8919, 0x891B))
        self.mtu = struct.unpack_from("i", ask(0x8921), 16)[0]
        self.timers, self.turn, self.drops = [], 0, collections.Counter()

    def broadcast(self, b, limited=False):
        self.own.sendto(b, ("255.255.255.255" if limited else socket.inet_ntoa(self.all), PORT))  # N4

    def unicast(self, b, to):
        self.own.sendto(b, to)

    def later(self, seconds, do, *words):
        self.turn += 1
        heapq.heappush(self.timers, (now() + seconds, self.turn, do, words))

    def run(self, receive, inputs):
        while inputs:
            while self.timers and self.timers[0][0] <= now():
                _, _, do, words = heapq.heappop(self.timers)
                do(*words)
            wait = max(0, self.timers[0][0] - now()) if self.timers else 1
            for ready in select.select([self.shared, self.own, *inputs], [], [], wait)[0]:
                if ready in inputs:
                    inputs[ready]()
                    continue
                try:
                    receive(*self.take(ready))
                except Refused as refusal:
                    self.drops[refusal.args[0]] += 1

    def take(self, s):
        b, notes, flags, source = s.recvmsg(65535, 256)
        said = {kind: data for _, kind, data in notes}
        index, _, target = struct.unpack("I4s4s", said[8])
        on_link = all(a & m == b & m for a, b, m in zip(socket.inet_aton(source[0]), self.address, self.mask))
        if index != self.index:
            raise Refused("unused_interface")
        if flags & socket.MSG_TRUNC:
            raise Refused("cut")
        if not on_link:
            raise Refused("off_link")
        if struct.unpack("i", said[2])[0] != 255:
            raise Refused("hops")
        return b, source, s is self.own or target != self.all


class Device:
    """One instance of a device. It is a stranger until it echoes a challenge (P4), then here, lost or left."""

    def __init__(self, key, instance):
        self.key, self.instance, self.status, self.claims = key, instance, "stranger", {}
        self.proven, self.alone = set(), set()  # sources that echoed any challenge, one sent to them alone
        self.heard = self.promised = self.answered = self.reached = -1e9
        self.seen, self.highest = set(), 0
        self.budget, self.asks, self.repairs = Bucket(200, 200), Bucket(64, 0.25), Bucket(512, 2048)  # P9, R10a, R22
        self.beats, self.missed, self.late, self.failed = 2, 0.4, False, 0
        self.echoes = []  # E3: when, bytes

    def new(self, counter):
        """P12: whether the counter was not seen yet."""
        return counter not in self.seen and counter > self.highest - 1024

    def count(self, counter):
        self.highest = max(self.highest, counter)
        self.seen = {c for c in self.seen if c > self.highest - 1024} | {counter}

    def nick(self):
        return self.claims.get(0, "")


class Node:
    """Presence, sections 4 and 9, and the rooms above it."""

    def __init__(self, link, nick, room, ahead=0):
        self.link, self.nick, self.name, self.ahead = link, nick, room, ahead
        self.seed = os.urandom(32)
        self.key = purecrypto.public_key(self.seed)
        self.instance, self.counter = u(4, 1) + os.urandom(8), 0
        self.devices, self.ended, self.issued = {}, set(), {}  # issued: challenge to (when, to which source or None)
        self.shared_challenge, self.next_beat = (-1e9, b""), now() + 4
        self.strangers, self.sources = Bucket(500, 500), {}
        self.beats, self.watched = Bucket(4, 4), now()
        self.budget = Bucket(256 << 10, 1 << 20)  # R31
        self.nonces = collections.deque(maxlen=1024)  # of own sealed datagrams: N6
        self.announce()
        self.beat()
        self.watch()
        self.rooms = [Room(self, vectors.Room(vectors.public_secret(room)), room)]
        self.direct = {}  # key of a device to the room with it

    def here(self):
        return [d for d in self.devices.values() if d.status == "here"]

    def sign(self, message):
        return purecrypto.sign(self.seed, self.key, message)

    def next_counter(self):
        self.counter += 1
        return u(8, self.counter)

    # ---- saying

    def presence(self, kind, source=None, to=EVERYONE, echo=None, probe=None):
        challenge = b""
        if source and kind in (ANSWER, PROBE, BEAT):
            challenge = os.urandom(16)
            self.issued[challenge] = now(), source
        elif kind not in (ACK, BYE, ECHO):
            if now() - self.shared_challenge[0] > 2:
                self.shared_challenge = now(), os.urandom(16)
                self.issued[self.shared_challenge[1]] = now(), None
            challenge = self.shared_challenge[1]
        claims = {0: self.nick, 1: challenge, 2: echo, 3: [self.link.address], 4: self.link.port, 7: 65535, 9: 1,
                  10: max(0, int((self.next_beat - now()) * 1000)), 11: [self.name], 13: probe}
        claims = cbor({key: value for key, value in claims.items() if value})
        b = b"bc\1" + u(1, kind) + self.key + self.instance + self.next_counter() + to + u(2, len(claims)) + claims
        b = b.ljust(448, b"\0")
        b += self.sign(b"bcast/1 presence\0" + b)
        if probe:
            b = b.ljust(probe[1], b"\0")
        if source:
            self.link.unicast(b, source)
        else:
            self.link.broadcast(b, probe and probe[0] == 3)

    def announce(self):
        """P1."""
        for ms in (0, 20, 100, 170, 240, 330, 420, 500, 600, 720, 860, 1000, 1200, 1400, 2000, 2700, 3500):
            self.link.later(ms / 1000 * random.uniform(1, 1.1), self.hello, ms in (0, 20, 100, 500, 2000))

    def hello(self, always):
        if always or any(now() - d.heard < 1 and (d.status == "stranger" or d.status == "here" and not d.alone)
                         for d in self.devices.values()):
            self.presence(HELLO)

    def beat(self):
        """P5."""
        if now() >= self.next_beat:
            self.next_beat = now() + max(4, (len(self.here()) + 1) / 8) * random.uniform(0.975, 1.025)
            self.presence(BEAT)
        self.link.later(self.next_beat - now(), self.beat)

    def loss(self):
        here = self.here()
        return (0.4 + sum(d.missed - 0.4 for d in here)) / (2 + sum(d.beats - 2 for d in here))

    def watch(self):
        """P6: whose beat is late is asked, and lost if it says nothing."""
        for d in self.here():
            if now() > d.promised + 0.1 and now() > d.heard + 1 and not d.late:
                d.late, d.missed, d.beats = True, d.missed + 1, d.beats + 1
                loss = max(self.loss(), d.missed / d.beats)
                rounds = 3 if loss > 0.05 and d.beats > 2 else 1
                self.link.later(random.uniform(0, 0.1), self.probe, d, now(), loss, rounds)
        if now() > self.watched + 2:  # it slept
            self.announce()
        self.watched = now()
        self.issued = {c: i for c, i in self.issued.items() if now() - i[0] < 8}
        self.link.later(0.1, self.watch)

    def probe(self, d, since, loss, rounds):
        if d.heard > since or d.status != "here":
            return
        if rounds == 0:
            d.status = "lost"
            show(peer=d.nick(), status="lost")
            return
        asks = min(33, max(3, math.ceil(math.log(1e-4) / math.log(1 - (1 - loss) ** 2))))
        for n in range(asks):
            self.link.later(0.4 * n / asks, self.probe_once, d, since)
        self.link.later(0.5, self.probe, d, since, loss, rounds - 1)

    def probe_once(self, d, since):
        for source in (d.alone or [None]) if d.heard <= since else []:
            self.presence(PROBE, source, d.instance)

    # ---- hearing

    def receive(self, b, source, to_us):
        if len(b) < 4 or b[:2] != b"bc":
            raise Refused("not_bcast")
        if b[2] != 1:
            raise Refused("version")
        if b[3] not in vectors.TYPES:
            raise Refused("unknown_type")
        if b[3] < 32:
            return self.hear(b, source, to_us)
        if b[4:28] in self.nonces:
            raise Refused("own")
        for room in self.rooms + (self.direct_rooms(source) if to_us and b[3] in (RECORD, FRAG, HEAD) else []):
            if len(b) >= 60 and mac(room.keys.tag_key, b[:28])[:16] == b[28:44]:
                return room.receive(b, source)
        raise Refused("unknown_room")

    def hear(self, b, source, to_us):
        if len(b) < 512:
            raise Refused("malformed")
        key, instance, counter, to = b[4:36], b[36:48], int.from_bytes(b[48:56], "big"), b[56:68]
        d = self.devices.get((key, instance)) or Device(key, instance)
        if key == self.key:
            raise Refused("own")
        if to not in (EVERYONE, self.instance):
            raise Refused("not_for_us")
        if not d.new(counter):
            raise Refused("replayed")
        if not (d.budget.take() if source in d.proven else self.may_check(source[0])):
            raise Refused("budget")
        _, claims = vectors.read_presence(b)
        if socket.inet_aton(source[0]) not in claims.get(3, []):
            raise Refused("src_mismatch")
        if (key, instance) in self.ended:
            raise Refused("old_instance")
        if b[3] == ECHO:
            d.count(counter)
            return self.echo(d, source, to, claims)
        self.devices[key, instance] = d
        d.count(counter)
        d.claims, d.heard, d.late, d.beats = claims, now(), False, d.beats + (b[3] == BEAT)
        d.promised = now() + min(600, claims.get(10, 0) / 1000)
        known, issued = source in d.proven and d.status == "here", self.issued.get(claims.get(2))
        if issued and now() - issued[0] < 8 and issued[1] in (None, source):
            self.prove(d, source, issued[1] is not None)
        if b[3] == BYE:
            self.ended.add((key, instance))
            if d.status == "here":
                show(peer=d.nick(), status="left")
            d.status = "left"
        elif b[3] != ACK:
            self.reply(d, b[3], source, to_us, to == self.instance, known, issued)

    def echo(self, d, source, to, claims):
        """E1 to E3."""
        if d.status != "here" or source not in d.alone:
            raise Refused("stranger")
        if to == EVERYONE:
            raise Refused("not_for_us")
        if 13 not in claims or claims[13][0] not in (1, 2, 3):
            raise Refused("unknown_type")
        d.heard, d.late = now(), False
        if claims.get(2) or not claims.get(1):  # it asks nothing, and we asked nobody
            return
        way, size = claims[13][:2]
        for other in self.here():
            other.echoes = [e for e in other.echoes if now() < e[0] + 60]
        left = min(10000 - sum(n for _, n in d.echoes), 40000 - sum(n for o in self.here() for _, n in o.echoes)) - size
        if left < 0 or way > 1 and not self.beats.take():
            raise Refused("budget")
        d.echoes.append((now(), size))
        heard = [sha256(o.key)[:5] for o in self.here() if o is not d][:40]
        probe = [way, size, int((time.time() + self.ahead) * 1000), left, b"".join(heard)]
        self.presence(ECHO, source if way == 1 else None, d.instance, claims[1], probe)

    def may_check(self, address):
        """P9."""
        if len(self.sources) > 256:
            self.sources.clear()
        return self.sources.setdefault(address, Bucket(50, 50)).take() and self.strangers.take()

    def prove(self, d, source, alone):
        came = d.status != "here" or alone and not d.alone
        d.proven.add(source)
        if alone:
            d.alone.add(source)
            d.reached, d.failed = now(), 0
        if d.status != "here":
            for other in [o for o in self.devices.values() if o.key == d.key and o is not d]:  # P10
                self.ended.add((other.key, other.instance))
                del self.devices[other.key, other.instance]
            d.status = "here"
            show(peer=d.nick(), status="here")
        for room in self.rooms if came else []:
            room.came(d)

    def reply(self, d, kind, source, to_us, for_us, known, issued):
        """P2, P3, P6."""
        challenge, silent, alone = d.claims.get(1), now() - d.answered, source in d.alone
        if kind == ANSWER and challenge:
            if to_us and not alone and issued and issued[1] is None:
                return self.answer(d, source, challenge)
            return self.presence(ACK, source if to_us else None, d.instance, challenge)
        if kind == PROBE and known and (for_us or to_us):
            if self.beats.take():
                return self.presence(BEAT, None, EVERYONE, challenge)
            return self.presence(BEAT, source, d.instance, challenge)
        if kind == HELLO:
            least = 0 if not known else 0.1 if not alone else 0.2 if issued else None
        elif kind == PROBE or not known:
            least = 0.5
        else:
            least = 0.1 if not alone else 0.2 if issued else None
        if challenge and least is not None and silent >= least:
            self.answer(d, source, challenge)

    def answer(self, d, source, challenge):
        """P2; P11: by broadcast where unicast does not arrive."""
        d.answered, blocked = now(), d.failed >= 10
        if not blocked or self.beats.take():
            self.presence(ANSWER, None if blocked else source, d.instance, challenge)
        if not blocked:
            self.link.later(0.2, self.check_answer, d, now())

    def check_answer(self, d, at):
        d.failed += d.reached < at
        if d.failed == 10:
            self.link.later(60, setattr, d, "failed", 9)

    def direct_rooms(self, source):
        """R52: the room with who sends from here, not yet one of ours."""
        rooms = [self.direct_room(d) for d in self.here() if source in d.alone]
        return [room for room in rooms if room and room not in self.rooms]

    def direct_room(self, d):
        if d.key not in self.direct:
            secret = vectors.direct_secret(self.seed, d.key)
            self.direct[d.key] = secret and Room(self, vectors.Room(secret), "@" + d.nick(), d.key)
        return self.direct[d.key]

    def typed(self, line):
        if line == "/room":
            return show(posts=[[post, text] for _, post, text in sorted(self.rooms[0].posts)])
        if line.startswith('"'):
            line = json.loads(line)
        if not line.startswith("@"):
            return self.rooms[0].say([{0: 1, 1: line}])
        nick, _, text = line[1:].partition(" ")
        room = next((self.direct_room(d) for d in self.here() if d.nick() == nick), None)
        if room is None:
            return show(error=f"no {nick} here")
        self.open(room)
        return room.say([{0: 1, 1: text}])

    def open(self, room):
        if room not in self.rooms:
            self.rooms.append(room)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("nick", "room", "interface"):
        words.add_argument("--" + name, required=True)
    words.add_argument("--ahead", type=float, default=0)
    words = words.parse_args()
    link = Link(words.interface)
    nick, room = (unicodedata.normalize("NFC", word) for word in (words.nick, words.room.lower()))
    node, inputs, typed = Node(link, nick, room, words.ahead), {}, bytearray()

    def read():
        b = os.read(0, 65536)
        typed.extend(b)
        *lines, rest = bytes(typed).split(b"\n")
        typed[:] = rest
        for line in lines:
            node.typed(line.decode())
        if not b:
            inputs.clear()

    inputs[sys.stdin] = read
    show(id=base32(sha256(node.key)[:16]), ready=True)
    link.run(node.receive, inputs)
    node.presence(BYE)  # P7
    show(drops=link.drops)


if __name__ == "__main__":
    main()
