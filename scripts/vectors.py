#!/usr/bin/env python3
"""Checks the golden vectors against PROTOCOL.md, independently of the Go code.

It was written from the document alone and needs nothing but the standard library. scripts/peer.py reads with it, too:

    python3 scripts/vectors.py [DIRECTORY]

It opens every datagram and record as a receiver would (sections 4 to 8), compares what it decides with the vector's
`expect`, and every field it reads with the vector's lines. Ed25519 and XChaCha20-Poly1305 are beside it, in
purecrypto.py.
"""
import glob
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import unicodedata

sys.dont_write_bytecode = True  # leave nothing beside the script
from purecrypto import public_key, unseal, verifies, x25519  # noqa: E402


class Refused(Exception):
    """A datagram is dropped; the argument is the name of section 8."""


# --- hashes ----------------------------------------------------------------------------------------------------------

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(secret, info, size):
    return mac(mac(bytes(32), secret), info + b"\1")[:size]


def public_secret(name):
    return sha256(b"bcast/1 public room\0", name.encode())


def direct_secret(seed, other):
    """Of the room of the device with this seed and the one with that public key; None if the key is refused."""
    shared, low_high = x25519(seed, other), b"".join(sorted((public_key(seed), other)))
    return shared and hkdf(shared, b"bcast/1 direct\0" + low_high, 32)


class Room:
    """The keys of a room, section 5."""

    def __init__(self, secret, epoch=0):
        self.secret = secret
        self.id = self.derive("room id", 16, 0)
        self.datagram_key = self.derive("datagram key", 32, epoch)
        self.tag_key = self.derive("tag key", 32, epoch)
        self.range_key = self.derive("range key", 32, epoch)

    def derive(self, label, size, epoch):
        return hkdf(self.secret, b"bcast/1 " + label.encode() + b"\0" + epoch.to_bytes(4, "big"), size)


# --- CBOR, as far as sections 4 and 6 allow it -----------------------------------------------------------------------

def cbor(b, max_map, max_list=64, max_depth=8):
    value, at = cbor_item(b, 0, (max_map, max_list), max_depth)
    if at != len(b):
        raise Refused("malformed")
    return value


def cbor_item(b, at, limits, depth):
    if at >= len(b):
        raise Refused("malformed")
    major, n, at = b[at] >> 5, b[at] & 31, at + 1
    if major == 7 and n < 24:  # undefined is as null
        return {20: False, 21: True}.get(n), at
    if n >= 28 or major == 6:  # indefinite lengths, tags
        raise Refused("malformed")
    if n >= 24:
        size = 1 << n - 24
        n, at, raw = int.from_bytes(b[at:at + size], "big"), at + size, b[at:at + size]
        if major == 7:
            return cbor_float(raw), at
    if major < 2:
        return (-1 - n if major else n), at
    if major < 4:
        if at + n > len(b):
            raise Refused("malformed")
        return (b[at:at + n] if major == 2 else utf8(b[at:at + n])), at + n
    if depth == 0 or n > limits[major == 4]:
        raise Refused("malformed")
    items = []
    for _ in range(n * (2 if major == 5 else 1)):
        item, at = cbor_item(b, at, limits, depth - 1)
        items.append(item)
    if major == 4:
        return items, at
    if len(set(map(repr, items[::2]))) != n:
        raise Refused("malformed")
    return dict(zip(items[::2], items[1::2])), at


def cbor_float(b):
    """A float, of which no version knows a use, or a simple value."""
    if len(b) == 1 and b[0] >= 32:
        return None
    if len(b) not in (2, 4, 8):
        raise Refused("malformed")
    return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[len(b)], b)[0]


def utf8(b):
    try:
        return b.decode()
    except UnicodeDecodeError:
        raise Refused("malformed") from None


def as_json(v):
    if isinstance(v, bytes):
        return "h'" + v.hex() + "'"
    if isinstance(v, list):
        return [as_json(x) for x in v]
    if isinstance(v, dict):
        return {str(k): as_json(x) for k, x in v.items()}
    return v


# --- reading fields --------------------------------------------------------------------------------------------------

class Reader:
    """Takes fields off the front of bytes and remembers their names."""

    def __init__(self, b, refusal="malformed"):
        self.b, self.at, self.fields, self.refusal = b, 0, [], refusal

    def left(self):
        return len(self.b) - self.at

    def take(self, name, size):
        if size < 0 or size > self.left():
            raise Refused(self.refusal)
        piece = self.b[self.at:self.at + size]
        self.at += size
        if size:
            self.fields.append((name, piece))
        return piece

    def number(self, name, size):
        return int.from_bytes(self.take(name, size), "big")

    def several(self, *names_and_sizes):
        for name, size in names_and_sizes:
            self.take(name, size)

    def count(self, name, limit, least):
        n = self.number(name, 1)
        if n > limit or n * least > self.left():
            raise Refused("malformed")
        return n


PREFIX = ("magic", 2), ("version", 1), ("type", 1)
TYPES = {1: "hello", 2: "answer", 3: "ack", 4: "beat", 5: "probe", 6: "bye", 7: "echo", 32: "record", 33: "frag",
         34: "head", 35: "fork", 48: "digest", 49: "range", 50: "want", 51: "receipt", 52: "cut", 53: "signal",
         54: "busy"}


def check_nick(nick):
    if not isinstance(nick, str) or not 1 <= len(nick.encode()) <= 32 or nick[0] in "@#-" or not is_nfc(nick):
        raise Refused("malformed")
    check_characters(nick, lambda c: unicodedata.category(c)[0] in "LMNPS")


def check_room_name(name):
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 64 or name != name.lower() or not is_nfc(name):
        raise Refused("malformed")
    check_characters(name, lambda c: c in "-_." or unicodedata.category(c) in
                     ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"))


def is_nfc(text):
    return unicodedata.is_normalized("NFC", text)


def check_characters(text, allowed):
    if unicodedata.category(text[0])[0] == "M" or not all(map(allowed, text)):
        raise Refused("malformed")


def read_presence(b):
    """Section 4."""
    if len(b) < 512:
        raise Refused("malformed")
    r = Reader(b)
    r.several(*PREFIX)
    key = r.take("key", 32)
    check_run(r.take("instance", 12), r.number("counter", 8))
    r.take("to", 12)
    size = r.number("claims-length", 2)
    if size > 378:
        raise Refused("malformed")
    claims = cbor(r.take("claims", size), max_map=64)
    check_claims(claims)
    if len(b) != (claims[13][1] if b[3] == 7 and claims.get(13) else 512):
        raise Refused("malformed")
    r.take("padding", 378 - size)
    if not verifies(key, b"bcast/1 presence\0" + b[:448], r.take("signature", 64)):
        raise Refused("bad_signature")
    r.take("ignored", len(b) - 512)
    return r.fields, claims


def check_run(instance, counter):
    if not any(instance) or counter == 0:
        raise Refused("malformed")


def check_claims(claims):
    if not isinstance(claims, dict) or any(type(key) not in (int, str) for key in claims):
        raise Refused("malformed")
    check_nick(claims.get(0))
    for key in (1, 2):
        if len(claims.get(key, b"")) not in (0, 16):
            raise Refused("malformed")
    addresses = claims.get(3, [])
    if len(addresses) > 4 or any(len(a) not in (4, 16) for a in addresses):
        raise Refused("malformed")
    for name in claims.get(11, []):
        check_room_name(name)
    for key, limit in ((4, 16), (5, 16), (7, 16), (9, 8), (10, 32)):
        if not 0 <= claims.get(key, 0) < 1 << limit:
            raise Refused("malformed")
    check_services(claims.get(14) or [])
    if claims.get(13) is not None:
        if not isinstance(claims[13], list) or list(map(type, claims[13])) != [int, int, int, int, bytes]:
            raise Refused("malformed")
        way, size, clock, left, heard = claims[13]
        if not (way < 1 << 8 and 512 <= size <= 4000 and clock < 1 << 64 and left < 1 << 16 and len(heard) in
                range(0, 201, 5)):
            raise Refused("malformed")


def check_services(services):
    if len(services) > 8:
        raise Refused("malformed")
    for name, kind, port, texts in services:
        if not re.fullmatch(r"_[A-Za-z0-9-]{1,15}\._(tcp|udp)", kind) or not 0 < port < 1 << 16 or not name:
            raise Refused("malformed")
        for text, most in [(name, 63), *((text, 255) for text in texts)]:
            if len(text.encode()) > most or any(unicodedata.category(c) == "Cc" for c in text):
                raise Refused("malformed")


# --- records, section 6 ----------------------------------------------------------------------------------------------

def path_length(index, count):
    n = 0
    while count > 1:
        split = largest_power_below(count)
        index, count = (index, split) if index < split else (index - split, count - split)
        n += 1
    return n


def largest_power_below(n):
    return 1 << (n - 1).bit_length() - 1


def root_of(leaf, index, count, path):
    """The root that follows from a leaf and its path; the last of the path is next to the root."""
    if count == 1:
        return leaf
    split, sibling = largest_power_below(count), path[-1]
    if index < split:
        return sha256(b"\1", root_of(leaf, index, split, path[:-1])[:16], sibling)
    return sha256(b"\1", sibling, root_of(leaf, index - split, count - split, path[:-1])[:16])


HEADER = (("flags", 1), ("key-epoch", 4), ("author", 32), ("feed-epoch", 8), ("seq", 8), ("prev", 16), ("order", 8),
          ("wall", 8), ("body-length", 2), ("body-hash", 32))


def read_record(room, b, head=False):
    r = Reader(b)
    index, count = r.number("index", 1), r.number("count", 1)
    if not 1 <= count <= 48 or index >= count:
        raise Refused("malformed")
    path = [r.take("path", 16) for _ in range(path_length(index, count))]
    signature = r.take("signature", 64)
    start = r.at
    if r.number("version", 1) != 1:
        raise Refused("malformed")
    h = {name: r.take(name, size) for name, size in HEADER}
    parents = r.number("parent-count", 1)
    if parents > 4:
        raise Refused("malformed")
    for _ in range(parents):
        r.take("parent", 16)
    number = {name: int.from_bytes(value, "big") for name, value in h.items()}
    if not 1 <= number["seq"] <= 1 << 62 or number["order"] >= 1 << 47 or number["body-length"] > 17408:
        raise Refused("malformed")
    leaf = sha256(b"\0", room.id, b[start:r.at])
    body = b""
    if not head:
        body = r.take("body", number["body-length"])
        if sha256(body) != h["body-hash"]:
            raise Refused("malformed")
    if r.left():
        raise Refused("malformed")
    message = b"bcast/1 flight\0" + root_of(leaf, index, count, path) + bytes([count])
    if not verifies(h["author"], message, signature):
        raise Refused("bad_signature")
    feed = sha256(h["author"], h["feed-epoch"])[:8]
    numbers = {name: number[name] for name in ("flags", "seq", "order")}
    return r.fields, {**h, **numbers, "id": leaf[:16], "feed": feed, "body": body}


def check_body(body):
    posts = cbor(body, max_map=32)
    assert isinstance(posts, list) and 1 <= len(posts) <= 64
    for post in posts:
        assert 1 <= post[0] <= 127 and len(post.get(1, "").encode()) <= 16384 and len(post.get(2, b"")) in (0, 18)
        if post.get(3):
            check_nick(post[3])
        if post[0] == 11:
            check_offer(post[4])
    return posts


def check_offer(data):
    """hash 32, size u64, flags u8, name: the rest."""
    name = data[41:].decode()
    assert int.from_bytes(data[32:40], "big") <= 1 << 44 and 1 <= len(data) - 41 <= 255, data
    assert name not in (".", "..") and not set(name) & set("/\\") and name == name.strip(" ") and not name.endswith("."), name


# --- frames, section 7 -----------------------------------------------------------------------------------------------

def read_claims(r):
    claims = []
    for _ in range(r.count("claim-count", 48, 28)):
        feed, low, high, head = r.take("feed", 8), r.number("low", 8), r.number("high", 8), r.take("head", 4)
        if not 1 <= low <= high <= 1 << 62:
            raise Refused("malformed")
        claims.append((feed, low, high, head))
    return claims


def read_digest(r, seen):
    seen["root"] = r.take("root", 32)
    seen["feeds"] = r.number("feeds", 4)
    seen["claims"] = read_claims(r)


def read_range(r, seen):
    seen["spans"] = []
    for _ in range(r.count("span-count", 32, 18)):
        low, high, form = r.take("from", 8), r.take("to", 8), r.number("form", 1)
        if form == 0:
            seen["fingerprint"] = r.take("fingerprint", 16)
        elif form != 1:
            raise Refused("malformed")
        seen["spans"].append((low, high, read_claims(r) if form else seen["fingerprint"]))


def read_want(r, seen):
    seen["limit"] = r.number("limit", 2)
    seen["ranges"] = [(r.take("feed", 8), r.number("from", 8), r.number("to", 8))
                      for _ in range(r.count("range-count", 64, 24))]
    if not all(1 <= first <= last <= 1 << 62 for _, first, last in seen["ranges"]):
        raise Refused("malformed")
    seen["ids"] = [r.take("record", 16) for _ in range(r.count("id-count", 64, 16))]
    seen["parts"] = [(r.take("record", 16), r.number("from", 2), r.number("to", 2))
                     for _ in range(r.count("part-count", 64, 20))]


def read_receipt(r, seen):
    seen["claims"] = read_claims(r)
    r.several(("loss", 2), ("drops", 4))


def read_cut(r, seen):
    seen["nonce"] = r.take("nonce", 24)
    r.several(("received", 2), ("size", 4))


def read_signal(r, seen):
    r.take("kind", 1)
    utf8(r.take("text", r.number("text-length", 1)))


SIGNED = {
    "digest": read_digest, "range": read_range, "want": read_want, "receipt": read_receipt, "signal": read_signal,
    "cut": read_cut,
    "busy": lambda r, seen: r.take("retry", 2),
}


def read_signed(room, outer, kind, frame):
    if len(frame) < 128:
        raise Refused("malformed")
    r = Reader(frame[:-64])
    key = r.take("key", 32)
    seen = {"key": key, "instance": r.take("instance", 12), "counter": r.number("counter", 8), "to": r.take("to", 12)}
    check_run(seen["instance"], seen["counter"])
    SIGNED[kind](r, seen)
    r.take("ignored", r.left())
    if not verifies(key, b"bcast/1 frame\0" + room.id + outer + frame[:-64], frame[-64:]):
        raise Refused("bad_signature")
    return r.fields + [("signature", frame[-64:])], seen


def read_proving(room, kind, frame):
    r, seen = Reader(frame), {}
    if kind in ("record", "head"):
        return read_record(room, frame, head=kind == "head")
    if kind == "fork":
        a = r.take("a", r.number("a-length", 2))
        b = r.take("b", r.left())
        ids = {read_record(room, x, head=True)[1]["id"] for x in (a, b)}
        assert len(ids) == 2
    else:
        seen["record"] = r.take("record", 16)
        seen["total"], seen["offset"] = r.number("total", 2), r.number("offset", 2)
        seen["data"] = r.take("data", r.left())
        if not seen["data"] or seen["offset"] + len(seen["data"]) > seen["total"]:
            raise Refused("malformed")
    return r.fields, seen


def read_sealed(room, b, kind):
    """Section 5: the fields of the datagram, those of its inside, and what the frame says."""
    r = Reader(b, "unknown_room")
    r.several(*PREFIX)
    nonce, tag = r.take("nonce", 24), r.take("tag", 16)
    if tag != mac(room.tag_key, b[:28])[:16]:
        raise Refused("unknown_room")
    r.refusal = "damaged"
    ciphertext, seal = r.take("ciphertext", r.left() - 16), r.take("mac", 16)
    plain = unseal(room.datagram_key, nonce, ciphertext, seal, b[:44])
    if plain is None:
        raise Refused("damaged")
    inside = Reader(plain, "damaged")
    size = inside.number("length", 2)
    frame = inside.take("frame", size)
    padding = [("padding", plain[2 + size:])] if plain[2 + size:] else []
    if kind in SIGNED:
        fields, seen = read_signed(room, b[:44], kind, frame)
    else:
        fields, seen = read_proving(room, kind, frame)
    seen["frame"] = frame
    return r.fields, inside.fields[:1] + fields + padding, seen


# --- vectors, section 14 ---------------------------------------------------------------------------------------------

def load(path):
    header, sections = {}, []
    for line in open(path, encoding="utf-8").read().split("\n"):
        code, _, name = line.partition("#")
        if line.startswith("= "):
            sections.append((line[2:], []))
        elif not sections and line:
            key, _, value = line.partition(": ")
            header[key] = value
        elif sections and line:
            fields, piece = sections[-1][1], bytes.fromhex(code)
            if name:
                fields.append((name.strip(), piece))
            else:
                fields[-1] = (fields[-1][0], fields[-1][1] + piece)
    return header, sections


def receive(header, room, b):
    """Section 8, as far as it needs no network and no state."""
    if int(header.get("size", 0)) > len(b):
        raise Refused("cut")
    if len(b) < 4 or b[:2] != b"bc":
        raise Refused("not_bcast")
    if b[2] != 1:
        raise Refused("version")
    if b[3] not in TYPES:
        raise Refused("unknown_type")
    if b[3] < 32:
        fields, claims = read_presence(b)
        return fields, None, {"cbor": claims}
    return read_sealed(room, b, TYPES[b[3]])


def check_fields(name, read, written):
    assert read == written, f"{name}: read {[n for n, _ in read]}, written {[n for n, _ in written]}"


def check(path):
    header, sections = load(path)
    room, result, pieces, last = Room(public_secret(header["room"])), "ok", {}, {}
    for i, (kind, fields) in enumerate(sections):
        b = b"".join(piece for _, piece in fields)
        inside = sections[i + 1][1] if i + 1 < len(sections) and sections[i + 1][0] == "inside" else None
        try:
            if kind == "record":
                read, last = read_record(room, b)
                check_fields("record", read, fields)
            elif kind == "datagram":
                read, read_inside, last = receive(header, room, b)
                check_fields("datagram", read, fields)
                if inside:
                    check_fields("inside", read_inside, inside)
        except Refused as refusal:
            result = "drop " + refusal.args[0]
        if "data" in last:
            pieces[last["offset"]] = last["data"]
    assert result == header["expect"], f"{result}, the vector says {header['expect']}"
    check_header(header, room, last, pieces)


def check_header(header, room, last, pieces):
    """What a vector says in words."""
    if "body" in last and last["body"]:
        last["cbor"] = check_body(last["body"])
    if "cbor" in header:
        assert as_json(last["cbor"]) == json.loads(header["cbor"]), as_json(last["cbor"])
    if "record-id" in header:
        assert header["record-id"].split()[0] == last["id"].hex() and header["feed"] == last["feed"].hex()
    if "assembled" in header:
        record = b"".join(pieces[at] for at in sorted(pieces))
        assert sha256(record).hex() == header["assembled"] and len(pieces) <= 48
        read_record(room, record)
    if "claims" in header:
        full = [bytes.fromhex(c) for c in header["claims"].split()]
        if "root" in last:
            total = sum(int.from_bytes(sha256(b"bcast/1 claim\0", c), "big") for c in full)
            assert last["root"] == (total % 2**256).to_bytes(32, "big")
            assert [c[:28] for c in full] == [
                f + low.to_bytes(8, "big") + high.to_bytes(8, "big") + head for f, low, high, head in last["claims"]]
        if "fingerprint" in last:
            assert last["fingerprint"] == mac(room.range_key, b"".join(sorted(full)))[:16]
    for name, value in (("room-secret", room.secret), ("room-id", room.id), ("datagram-key", room.datagram_key),
                        ("tag-key", room.tag_key), ("range-key", room.range_key)):
        assert header.get(name, value.hex()) == value.hex(), name
    for who in header["seeds"].split():
        name, _, seed = who.partition("=")
        if name in header:
            key = public_key(bytes.fromhex(seed))
            want = f"key={key.hex()} id={sha256(key)[:16].hex()} text={base32(sha256(key)[:16])}"
            assert header[name] == want, want


def check_direct():
    """The example of section 5, from both sides, and keys that are refused."""
    seeds = [bytes([n]) * 32 for n in (10, 11)]
    secrets = {direct_secret(seed, public_key(other)).hex() for seed, other in (seeds, seeds[::-1])}
    assert secrets == {"2d0339d8afbfb7443cace3cf4b914c34061a66778d673a33dea86383a31bf991"}, secrets
    for y in (0, 1, 2):  # of order 4 and 1; no point
        assert direct_secret(seeds[0], y.to_bytes(32, "little")) is None


def base32(b):
    bits = int.from_bytes(b, "big") << -len(b) * 8 % 5
    size = (len(b) * 8 + 4) // 5
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[bits >> 5 * i & 31] for i in reversed(range(size)))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../internal/wire/testdata/vectors")
    paths = sorted(glob.glob(os.path.join(directory, "*.txt")))
    failed = 0
    check_direct()
    for path in paths:
        try:
            check(path)
        except (AssertionError, Refused, KeyError) as problem:
            failed += 1
            print(f"{os.path.basename(path)}: {problem!r}", file=sys.stderr)
    print(f"{len(paths) - failed} of {len(paths)} vectors are as PROTOCOL.md says")
    sys.exit(1 if failed or not paths else 0)


if __name__ == "__main__":
    main()
