"""Floods for scripts/lab: each leaves the others served within the limits that its check states.

What an attacker of a public room needs is in PROTOCOL.md: the room's keys follow from its name.
"""

import os
import struct
import sys
import threading
import time

from labhost import ROOM, STATE, check, expect, milliseconds, wait
from labkeep import Voice, fill
from purecrypto import SIGMA, chacha_block, chacha_rounds, pad16, poly1305, unwords, words
from vectors import Room, mac, public_secret, sha256

PORT = 27474
SECONDS = 6


def seal(room, kind, frame, size=512):
    """A room datagram with the tag and the seal that every member accepts."""
    nonce = os.urandom(24)
    outer = b"bc\1" + bytes([kind]) + nonce
    outer += mac(room.tag_key, outer)[:16]
    plain = (struct.pack(">H", len(frame)) + frame).ljust(size - 60, b"\0")
    s = chacha_rounds(SIGMA + words(room.datagram_key) + words(nonce[:16]))
    key, nonce = unwords(s[:4] + s[12:]), bytes(4) + nonce[16:]
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(plain) + 63) // 64))
    text = bytes(x ^ y for x, y in zip(plain, stream))
    sizes = len(outer).to_bytes(8, "little") + len(text).to_bytes(8, "little")
    return outer + text + poly1305(chacha_block(key, 0, nonce)[:32], pad16(outer) + pad16(text) + sizes)


def forged_record():
    """A record of an author that nobody is, with a signature of nobody."""
    body = b"\x81\xa2\x00\x01\x01\x66forged"
    header = bytes([1, 0]) + bytes(4) + os.urandom(32) + os.urandom(8) + struct.pack(">Q", 1) + bytes(16)
    header += struct.pack(">QQH", 1, 1, len(body)) + sha256(body) + b"\0"
    signature = os.urandom(32) + os.urandom(31) + b"\0"
    return bytes([0, 1]) + signature + header + body


SEND = """
import socket, struct, sys, time
with open(sys.argv[1], "rb") as f: data = f.read()
size = int(sys.argv[2])
datagrams = [data[i:i + size] for i in range(0, len(data), size)]
out = socket.socket(2, 2); out.setsockopt(1, 6, 1); out.setsockopt(0, 2, 255)  # TTL
end, sent = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:
    for d in datagrams:
        out.sendto(d, ("10.77.0.255", 27474)); sent += 1
    time.sleep(0.002)
print(sent)
"""

HOLD = """
import socket, sys, time
held, refused = [], 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    link = socket.socket(); link.settimeout(0.05)
    try:
        link.connect((sys.argv[1], 27475)); held.append(link)
    except OSError:
        refused += 1
    if len(held) > 500:
        held.pop(0).close()
print(len(held) + refused)
"""


def served(lab, attacker, limit):
    """Posts from the second host to the third while the attacker runs; returns how many and the slowest."""
    said, slowest = 0, 0
    while attacker.alive():
        lab[2].say(f"through the flood {said}")
        said += 1
        slowest = max(slowest, wait(lambda: len(lab[3].texts()) == said, limit, "a post through the flood"))
        time.sleep(0.2)
    return said, slowest


def healthy(hosts, mib):
    """The largest memory of hosts that are still alive and see each other."""
    for host in hosts:
        host.ready_at()
        wait(lambda host=host: host.sees(hosts), 10, f"{host.name} sees all others")
    rss = max(host.rss_mib() for host in hosts)
    expect(rss <= mib, f"RSS {rss:.0f} MiB, limit {mib}")
    return rss


@check
def flood_valid(lab):
    """Datagrams with the room's seal and wrong signatures, some thousand a second: posts go on, in bounded time."""
    crew = lab.hosts[1:5]
    lab.start(*crew)
    room = Room(public_secret(ROOM))
    name = os.path.join(STATE, "forged")
    with open(name, "wb") as out:
        for _ in range(300):
            out.write(seal(room, 32, forged_record()))
    before = crew[1].cpu_seconds()
    attacker = lab[1].spawn(sys.executable, "-c", SEND, name, 512, SECONDS)
    said, slowest = served(lab, attacker, 1)
    code, text = attacker.result(20)
    expect(code == 0 and int(text) > 5000, f"the flood itself: exit {code}: {text[-300:]}")
    cpu = (crew[1].cpu_seconds() - before) / SECONDS * 100
    drops = crew[1].api("status")["drops"]
    expect(drops.get("budget", 0) > drops.get("bad_signature", 0) > 0, f"drops {drops}")
    rss = healthy(crew, 64)
    return (
        f"{text} forged records, {drops['bad_signature']} of them checked; {said} posts meanwhile, slowest "
        f"{milliseconds(slowest)} (limit 1 s); {cpu:.0f} % of a core, RSS {rss:.0f} MiB (64)"
    )


@check
def flood_tls(lab):
    """Half-open connections without end from a known device: another one still catches up by a stream."""
    crew, late = lab.hosts[:3], lab[6]
    lab.start(*crew)
    fill(crew[1], 2000)
    wait(lambda: len(crew[2].texts()) == 2000, 20, "the posts everywhere")
    attackers = [crew[0].spawn(sys.executable, "-c", HOLD, host.address, SECONDS) for host in crew[1:]]
    time.sleep(0.5)
    begun = time.monotonic()
    late.start().ready()
    wait(lambda: len(late.texts()) == 2000, 10, "the latecomer is level")
    took = time.monotonic() - begun
    tried = 0
    for attacker in attackers:
        code, text = attacker.result(20)
        expect(code == 0, f"the flood itself: exit {code}: {text[-300:]}")
        tried += int(text)
    rss = healthy(crew[1:] + [late], 64)
    return (
        f"{tried} connections that say nothing; a latecomer is level with 2000 posts after {took:.1f} s (limit 10 s), "
        f"RSS {rss:.0f} MiB (64)"
    )


@check
def flood_member(lab):
    """A member that says all that its machine can: what others say is shown in bounded time, and everything arrives."""
    crew = lab.hosts[:4]
    lab.start(*crew)
    stop = time.monotonic() + SECONDS
    voices = [Voice(crew[0]) for _ in range(8)]

    def shout(voice):
        number = 0
        while time.monotonic() < stop:
            voice.say("x" * 4000 + str(number))
            number += 1

    threads = [threading.Thread(target=shout, args=(voice,)) for voice in voices]
    for thread in threads:
        thread.start()
    said, slowest = 0, 0
    while time.monotonic() < stop:
        lab[2].say(f"quiet {said}")
        said += 1
        slowest = max(slowest, wait(lambda: heard(lab[3], f"quiet {said - 1}"), 2, "a quiet member's post"))
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    noise = sum(len(voice.said) for voice in voices)
    wait(lambda: len({stored(host) for host in crew}) == 1, 30, "all level after the noise")
    rss = healthy(crew, 128)
    return (
        f"{noise} posts of 4 kB by one in {SECONDS} s; {said} of another meanwhile, slowest {milliseconds(slowest)} "
        f"(limit 2 s); all level, RSS {rss:.0f} MiB (128)"
    )


def stored(host):
    return host.api("status")["rooms"][0]["posts"]


def heard(host, text):
    time.sleep(0.02)
    return any(post["text"] == text for post in host.api("rooms/lobby/posts?search=quiet&limit=5"))
