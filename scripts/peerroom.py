"""The rooms of scripts/peer.py: sections 5 to 7 of PROTOCOL.md and its rules R1 to R52."""
import collections
import functools
import json
import math
import os
import random
import time

import purecrypto
import vectors
from vectors import Refused, base32, mac, path_length, sha256

RECORD, FRAG, HEAD, FORK, DIGEST, RANGE, WANT, RECEIPT, CUT = 32, 33, 34, 35, 48, 49, 50, 51, 52
EVERYONE = bytes(12)
now = time.monotonic
vectors.verifies = functools.lru_cache(4096)(vectors.verifies)  # R43: a signature known to be right needs no check


def u(size, n):
    return n.to_bytes(size, "big")


def cbor(v):
    """Deterministic CBOR (RFC 8949, 4.2.1) of what sections 4 and 6 need."""
    major, n = {int: (0, v), bytes: (2, v), str: (3, v), list: (4, v), dict: (5, v)}[type(v)]
    n = n if isinstance(v, int) else len(v.encode() if isinstance(v, str) else v)
    size = next(s for s in (0, 1, 2, 4, 8) if n < (24 if s == 0 else 1 << 8 * s))
    head = u(1, major << 5 | n) if size == 0 else u(1, major << 5 | 23 + size.bit_length()) + u(size, n)
    if isinstance(v, dict):
        return head + b"".join(cbor(k) + cbor(v[k]) for k in sorted(v))
    if isinstance(v, list):
        return head + b"".join(map(cbor, v))
    return head + (v.encode() if isinstance(v, str) else v if isinstance(v, bytes) else b"")


def show(**fields):
    print(json.dumps(fields), flush=True)


class Bucket:
    """So much at once, refilled by so much a second."""

    def __init__(self, burst, rate):
        self.burst, self.rate, self.left, self.at = burst, rate, burst, now()

    def take(self, n=1):
        self.left, self.at = min(self.burst, self.left + (now() - self.at) * self.rate), now()
        enough = self.left >= n
        self.left -= n if enough else 0
        return enough


class Feed:
    """One author's chain, section 6, as far as it is stored, and what is known of the rest."""

    def __init__(self, author, epoch):
        self.author, self.name = author, sha256(author, epoch)[:8]
        self.low = self.high = self.exists = 0
        self.records, self.early, self.pieces = {}, {}, {}
        self.claims = {}  # device to (low, high) of its last claim
        self.asked, self.due, self.vain = 0, None, collections.Counter()

    def begin(self):
        """R5."""
        if 1 in self.early or not (self.early or self.claims):
            return 1
        lows = [low for low, _ in self.claims.values()]
        return min(lows + list(self.early)) if lows else 1

    def next(self):
        return self.high + 1 if self.high else self.begin()

    def claim(self):
        return self.name + u(8, self.low) + u(8, self.high) + self.records[self.high]["id"]


class Room:
    """One room: sections 5 to 7 and R1 to R52."""

    def __init__(self, node, keys, name, partner=None):
        self.node, self.keys, self.name, self.partner = node, keys, name, partner
        self.feeds, self.posts, self.order = {}, [], 0
        self.epoch, self.sent = os.urandom(8), collections.deque(maxlen=256)
        self.mine = self.feed(node.key, self.epoch)
        self.joined = {}  # author to ((order, id), whether it joined)
        self.roster, self.levels, self.said, self.asking = set(), {}, 0, 0  # R24 to R26: of the last own record
        self.assemblies = collections.OrderedDict()
        self.owed, self.told = {}, {}  # receipts: author to when one is due, and when the last one was sent
        self.changed, self.differs, self.compared, self.disputes = -1e9, {}, -1e9, {}
        self.interval, self.turn, self.agree = 0, 0, set()
        if not partner:
            self.say([{0: 8, 3: node.nick}])
        self.shorten()
        self.tick()

    def feed(self, author, epoch):
        feed = Feed(author, epoch)
        feed = self.feeds.setdefault(feed.name, feed)
        feed.author = author
        return feed

    def members(self):
        """R9, R50."""
        if self.partner:
            return [d for d in self.node.here() if d.key == self.partner]
        return [d for d in self.node.here() if self.joined.get(d.key, (0, self.name in d.claims.get(11, [])))[1]]

    # ---- sending

    def seal(self, kind, frame, limit, signed):
        outer = b"bc\1" + u(1, kind) + os.urandom(24)
        self.node.nonces.append(outer[4:28])
        outer += mac(self.keys.tag_key, outer)[:16]
        if signed:
            frame += self.node.sign(b"bcast/1 frame\0" + self.keys.id + outer + frame)
        size = next(s for s in sorted({256, 512, 1024, limit}) if s >= len(frame) + 62)
        plain = (u(2, len(frame)) + frame).ljust(size - 60, b"\0")
        return outer + purecrypto.seal(self.keys.datagram_key, outer[4:28], plain, outer)

    def send(self, kind, frame, to=None, limit=0, signed=False):
        """To one device, or to all: P14, R31, R51."""
        if self.partner:
            to = next(iter(self.members()), None)
            if to is None:
                return None
        limit = limit or self.limit()
        if signed:
            frame = self.node.key + self.node.instance + self.node.next_counter() + (
                to.instance if to else EVERYONE) + frame
        b = self.seal(kind, frame, limit, signed)
        if to and to.alone:
            self.node.link.unicast(b, max(to.alone))
        elif self.node.budget.take(len(b)) and not self.partner:
            self.node.link.broadcast(b)
        return b

    def limit(self):
        """R30."""
        most, members = min(1400, self.node.link.mtu - 28), self.members()
        buffers = [d.claims.get(7, 0) for d in members if 512 <= d.claims.get(7, 0) < most]
        return min(buffers) if len(buffers) * 4 >= max(1, len(members)) and buffers else most

    def send_record(self, record, to=None, limit=0, start=0, end=None):
        limit = limit or self.limit()
        raw = record["raw"]
        if start == 0 and end is None and len(raw) + 62 <= limit:
            self.sent.append((self.send(RECORD, raw, to, limit), record))
            return
        end = min(end or len(raw), len(raw))
        for at in range(start, end, limit - 82):
            piece = record["id"] + u(2, len(raw)) + u(2, at) + raw[at:min(end, at + limit - 82)]
            self.sent.append((self.send(FRAG, piece, to, limit), record))

    def say(self, posts):
        """Section 6: one record of its own flight, stored before it is sent (R3)."""
        feed, body = self.mine, cbor(posts)
        prev = feed.records[feed.high]["id"] if feed.high else bytes(16)
        order = max(int(time.time() * 1000), self.order + 1)  # R7
        header = (b"\1\1" + u(4, 0) + self.node.key + self.epoch + u(8, feed.high + 1) + prev + u(8, order)
                  + u(8, time.time_ns()) + u(2, len(body)) + sha256(body) + b"\0")
        root = sha256(b"\0", self.keys.id, header)
        raw = b"\0\1" + self.node.sign(b"bcast/1 flight\0" + root + b"\1") + header + body
        self.roster, self.said = {d.key for d in self.members()}, now()
        record = self.take(raw)
        self.send_record(record)
        for n, ms in enumerate((5, 20, 80, 320, 1300)):  # R17
            self.node.link.later(ms / 1000, self.head, record)
        self.ask_after(0.4 + 0.005 * (len(self.members()) + 1))

    def head(self, record, to=None):
        if record["seq"] == self.mine.high:
            self.send(HEAD, record["raw"][:len(record["raw"]) - len(record["body"])], to)

    def ask_after(self, seconds):
        self.asking += 1
        self.node.link.later(seconds, self.ask, self.asking)

    def ask(self, turn):
        """R26: members that did not tell to have the last record are sent its head."""
        record = self.mine.records[self.mine.high]
        missing = [d for d in self.members() if d.key in self.roster and self.levels.get(d, 0) < record["seq"]]
        if turn != self.asking or not missing or now() - self.said > 60:
            return
        for d in missing if len(missing) <= 8 else [None]:
            self.head(record, d)
        self.ask_after(0.3 if now() - self.said < 10 else 3)

    def came(self, d):
        """R26, R51: who comes is asked soon, and told what was stored of it."""
        if self.mine.high and self.levels.get(d, 0) < self.mine.high:
            self.said = now()
            self.roster |= {self.partner} - {None}
            self.ask_after(0.05)
        if any(f.author == d.key and f.high for f in self.feeds.values()):
            self.owe(d.key, 0.1)

    # ---- receiving

    def receive(self, b, source):
        kind = b[3]
        _, _, seen = vectors.read_sealed(self.keys, b, vectors.TYPES[kind])
        if kind < 48:
            return self.proving(kind, b, seen)
        d = self.node.devices.get((seen["key"], seen["instance"]))
        if seen["key"] == self.node.key:
            raise Refused("own")
        if seen["to"] not in (EVERYONE, self.node.instance):
            raise Refused("not_for_us")
        if d is None or d.status != "here" or self.partner not in (None, d.key):
            raise Refused("stranger")
        if not d.new(seen["counter"]):
            raise Refused("replayed")
        d.count(seen["counter"])
        does = {DIGEST: self.digest, RANGE: self.range, WANT: self.want, RECEIPT: self.receipt, CUT: self.cut}
        return does.get(kind, lambda d, seen: None)(d, seen)

    def proving(self, kind, b, seen):
        if kind == FRAG:
            return self.piece(seen)
        if kind == FORK:
            return None
        self.check_author(seen)
        if kind == HEAD:
            return self.exists(seen)
        return self.take(seen["frame"])

    def check_author(self, record):
        """R50, R52."""
        if self.partner and record["author"] not in (self.partner, self.node.key):
            raise Refused("stranger")
        self.node.open(self)

    def exists(self, head):
        """R2: a record that there is."""
        feed = self.feed(head["author"], head["feed-epoch"])
        if feed.author == self.node.key:
            return feed
        feed.exists = max(feed.exists, head["seq"])
        if head["seq"] <= feed.high and head["flags"] & 1:
            self.owe(feed.author, 0.005 * (len(self.members()) + 1), wanted=True)
        self.notice(feed)
        return feed

    def take(self, raw):
        """R1, R5, R8."""
        _, record = vectors.read_record(self.keys, raw)
        record["raw"] = raw
        feed = self.exists(record) if record["author"] != self.node.key else self.mine
        first = feed.next()
        if feed.name != record["feed"] or not first <= record["seq"] < first + 1024:
            return record
        feed.early[record["seq"]] = record
        while feed.next() in feed.early:
            self.store(feed, feed.early.pop(feed.next()))
        self.notice(feed)
        return record

    def store(self, feed, record):
        seq = record["seq"]
        if feed.high and record["prev"] != feed.records[feed.high]["id"]:
            return
        feed.records[seq], feed.high, feed.low = record, seq, feed.low or seq
        feed.pieces.pop(seq, None)
        feed.asked, feed.due = 0, None
        if record["order"] < 1 << 44 or record["order"] <= self.order + (1 << 16):
            self.order = max(self.order, record["order"])
        self.changed = now()
        if self.interval > 2:
            self.shorten()
        if feed.author != self.node.key:
            wanted = bool(record["flags"] & 1)
            self.owe(feed.author, (0.005 if wanted else 0.05) * (len(self.members()) + 1), wanted)
        self.read(record)

    def read(self, record):
        try:
            posts = vectors.check_body(record["body"])
        except (Refused, AssertionError, KeyError, TypeError):
            return
        for n, post in enumerate(posts):
            at, author = (record["order"], record["id"]), record["author"]
            if post[0] in (8, 9) and at > self.joined.get(author, ((-1, b""), False))[0]:
                self.joined[author] = at, post[0] == 8
            if post[0] in (1, 2, 3):
                self.posts.append((at, f"{base32(record['id'])}.{n}", post.get(1, "")))
                show(room=self.name, post=self.posts[-1][1], text=self.posts[-1][2], author=base32(sha256(author)[:16]))

    def piece(self, seen):
        """R21: pieces of one record and total; what the first proves tells where it belongs."""
        name = seen["record"], seen["total"]
        at, parts = self.assemblies.pop(name, (0, {}))
        parts = parts if now() - at < 10 else {}
        self.assemblies[name] = now(), parts
        if len(self.assemblies) > 64:
            self.assemblies.popitem(last=False)
        parts[seen["offset"]] = seen["data"]
        if seen["offset"] == 0:
            b = seen["data"]
            at = 2 + 16 * path_length(*b[:2]) + 64 + 120 if len(b) > 1 and b[0] < b[1] <= 48 else len(b)
            if at >= len(b):  # R20: the first piece holds the whole head
                raise Refused("malformed")
            _, head = vectors.read_record(self.keys, b[:at + 1 + 16 * b[at]], head=True)
            if head["id"] != seen["record"]:
                raise Refused("bad_signature")
            self.check_author(head)
            self.exists(head).pieces[head["seq"]] = name
        whole = b""
        for offset in sorted(parts):
            if offset <= len(whole):
                whole = whole[:offset] + parts[offset]
        if len(whole) == seen["total"]:
            del self.assemblies[name]
            if self.take(whole)["id"] != seen["record"]:
                raise Refused("bad_signature")

    # ---- what others have

    def claim(self, d, claims):
        """Claims of d: what of its feeds is missing here, what of ours is stored there (R25)."""
        new = False
        for name, low, high, head in claims:
            feed = self.feeds.get(name) or self.foreign(name)
            if feed.author == self.node.key:
                if high <= feed.high and feed.records[high]["id"][:4] == head and high > self.levels.get(d, 0):
                    self.levels[d] = high
                    show(room=self.name, stored=high, of=feed.high, by=d.nick())
                continue
            feed.claims[d] = low, max(high, feed.claims.get(d, (0, 0))[1])
            new |= high != feed.high
            self.notice(feed)
        return new

    def foreign(self, name):
        """A feed of which only the name is known."""
        feed = self.feeds[name] = Feed(b"", b"")
        feed.name = name
        return feed

    def holders(self, feed):
        """Who has, or may have, the next record: R10."""
        least = feed.next()
        return [d for d in self.node.here() if feed.claims.get(d, (0, 0))[1] >= least
                or d.key == feed.author and feed.exists >= least]

    def notice(self, feed):
        """R10: a gap is asked for after a random time (RFC 5401)."""
        members = len(self.members()) + 1
        if feed.due is None and max([feed.exists] + [high for _, high in feed.claims.values()]) >= feed.next():
            most, rate = 0.002 + 50e-6 * members, math.log(members) + 1
            feed.due = now() + most / rate * math.log(1 + random.random() * (math.exp(rate) - 1))

    def tick(self):
        for feed in [f for f in self.feeds.values() if f.due is not None and f.due <= now()]:
            self.ask_for(feed)
        for author in [a for a, due in self.owed.items() if due <= now()]:
            self.tell(author)
        self.node.link.later(0.002, self.tick)

    def ask_for(self, feed):
        """R10, R10a, R11: a want for what is missing of a feed."""
        holders = self.holders(feed)
        author = [d for d in holders if d.key == feed.author]
        turn = author if author and (feed.asked < 2 or feed.asked % 2 == 0) else holders
        d = min(turn, key=lambda d: (feed.vain[d], random.random()), default=None)
        feed.asked += 1
        wait = min(1, 0.01 * 2 ** feed.asked) if feed.asked <= 16 else min(16, 2 ** (feed.asked - 16))
        feed.due = now() + wait * random.uniform(1, 1.25) if d else None
        if d is None or not d.asks.take():
            return
        feed.vain[d] += 1
        ranges, parts, seq, fit = [], [], feed.next(), min(60, (self.limit() - 195) // 24)
        last = max([feed.exists, *(high for _, high in feed.claims.values())])
        while seq <= last and len(ranges) + len(parts) < fit:
            start = seq
            while seq <= last and seq not in feed.early and seq not in feed.pieces and seq - start < 64:
                seq += 1
            if seq > start:
                ranges.append(feed.name + u(8, start) + u(8, seq - 1))
            elif seq in feed.pieces:
                parts += self.holes(*feed.pieces[seq])
            seq += seq == start
        ranges, parts = ranges[:fit], parts[:fit - len(ranges[:fit])]
        frame = u(2, self.limit()) + u(1, len(ranges)) + b"".join(ranges) + b"\0" + u(1, len(parts)) + b"".join(parts)
        self.send(WANT, frame, d, signed=True)

    def holes(self, record, total):
        at, out = 0, []
        parts = self.assemblies.get((record, total), (0, {}))[1]
        for offset in [*sorted(parts), total]:
            if offset > at:
                out.append(record + u(2, at) + u(2, offset))
            at = max(at, offset + len(parts.get(offset, b"")))
        return out

    def want(self, d, seen):
        """R12, R13, R22."""
        limit, gone = max(512, min(seen["limit"], self.limit())), []
        for name, start, end in seen["ranges"]:
            feed = self.feeds.get(name, self.mine)
            if feed.name == name and feed.high and start < feed.low:
                gone.append(feed)
            for seq in range(max(start, feed.low), min(end, feed.high) + 1) if feed.name == name else []:
                if d.repairs.take():
                    self.send_record(feed.records[seq], d, limit)
        known = {r["id"]: r for f in self.feeds.values() for r in f.records.values()}
        for record in seen["ids"]:
            if record in known and d.repairs.take():
                self.send_record(known[record], d, limit)
        for record, start, end in seen["parts"]:
            if record in known and start < end and d.repairs.take():
                self.send_record(known[record], d, limit, start, end)
        if gone:
            self.send(DIGEST, self.summary(gone), d, signed=True)

    def receipt(self, d, seen):
        self.claim(d, seen["claims"])

    def owe(self, author, most, wanted=False):
        """R18."""
        n = len(self.members()) + 1
        last = self.told.get(author, -1e9)
        least = max(0.06, n * 0.02) if wanted else max(1, n * 0.05)
        due = max(now() + random.uniform(0, most), last + least)
        self.owed[author] = min(due, self.owed.get(author, due))

    def tell(self, author):
        d = next((d for d in self.members() if d.key == author), None)
        del self.owed[author]
        feeds = [f for f in self.feeds.values() if f.author == author and f.high]
        if d and feeds:
            self.told[author] = now()
            claims = self.claims(sorted(feeds, key=lambda f: f.records[f.high]["order"])[-10:])
            self.send(RECEIPT, claims + u(2, int(self.node.loss() * 65535)) + u(4, 0), d, signed=True)

    def cut(self, d, seen):
        """T4."""
        for b, record in self.sent:
            if b and b[4:28] == seen["nonce"]:
                self.send_record(record, d, 512)

    # ---- digests and ranges

    def stored(self):
        return sorted((f for f in self.feeds.values() if f.high), key=lambda f: f.name)

    @staticmethod
    def claims(feeds):
        return u(1, len(feeds)) + b"".join(f.claim()[:28] for f in feeds)

    def root(self):
        return u(32, sum(int.from_bytes(sha256(b"bcast/1 claim\0", f.claim()), "big") for f in self.stored()) % 2**256)

    def summary(self, feeds):
        return self.root() + u(4, len(self.stored())) + self.claims(feeds[:9])

    def shorten(self):
        """R15: a new shortest interval of Trickle."""
        self.interval = 0.25
        self.turn += 1
        self.begin_interval(self.turn)

    def begin_interval(self, turn):
        if turn == self.turn:
            self.interval, self.agree = min(64, self.interval * 2), set()
            self.node.link.later(self.interval * random.uniform(0.5, 1), self.say_digest, turn)
            self.node.link.later(self.interval, self.begin_interval, turn)

    def say_digest(self, turn):
        if turn == self.turn and len(self.agree) < 2:
            newest = sorted(self.stored(), key=lambda f: -f.records[f.high]["order"])
            self.send(DIGEST, self.summary(newest), signed=True)

    def digest(self, d, seen):
        """R15, R16, R25."""
        new = self.claim(d, seen["claims"])
        if seen["root"] == self.root():
            self.agree.add(d)
            self.differs.pop(d, None)
            if self.mine.high:
                self.claim(d, [(self.mine.name, 1, self.mine.high, self.mine.records[self.mine.high]["id"][:4])])
            return
        since = self.differs.setdefault(d, now())
        roots = seen["root"], self.root()
        same, times = self.disputes.get(d, (roots, 0))
        self.disputes[d] = roots, times + 1 if same == roots else 1
        if self.disputes[d][1] < 4 and (now() - self.changed > 1 or now() - since > 1) and self.interval > 0.5:
            self.shorten()
        if (not new or seen["feeds"] != len(self.stored())) and now() - self.compared > 0.5:
            self.compared = now()
            self.send(RANGE, self.spans([(bytes(8), b"\xff" * 8)]), d, signed=True)

    def spans(self, spans):
        """Spans as a range: listed up to 9 feeds in all, else split into fingerprinted ones."""
        out = []
        for low, high in spans:
            feeds = [f for f in self.stored() if low <= f.name <= high]
            if len(feeds) <= 9:
                out.append(low + high + b"\1" + self.claims(feeds))
                continue
            cuts = [low, *(feeds[len(feeds) * n // 8].name for n in range(1, 8)), None]
            for start, end in zip(cuts, cuts[1:]):
                end = u(8, int.from_bytes(end, "big") - 1) if end else high
                out.append(start + end + b"\0" + self.fingerprint(start, end))
        return u(1, len(out)) + b"".join(out)

    def fingerprint(self, low, high):
        return mac(self.keys.range_key, b"".join(f.claim() for f in self.stored() if low <= f.name <= high))[:16]

    def range(self, d, seen):
        """R16."""
        differ, lacks = [], []
        for low, high, what in seen["spans"]:
            if isinstance(what, bytes):
                differ += [(low, high)] if what != self.fingerprint(low, high) else []
                continue
            self.claim(d, what)
            has = {name: top for name, _, top, _ in what}
            lacks += [f for f in self.stored() if low <= f.name <= high and has.get(f.name, 0) < f.high]
        if differ:
            self.send(RANGE, self.spans([random.choice(differ)]), d, signed=True)
        if lacks:
            self.send(DIGEST, self.summary(random.sample(lacks, len(lacks))), d, signed=True)
