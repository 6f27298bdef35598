"""A check of scripts/lab for PROTOCOL.md: scripts/peer.py, written from it alone, beside two real daemons."""

import json
import os
import sys
import time

from labhost import LOSS, ROOM, Typed, check, expect, milliseconds, wait

WRONG = {"malformed", "damaged", "bad_signature", "src_mismatch", "replayed", "unknown_type", "version", "not_bcast"}
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")


class Stranger(Typed):
    """The peer of another hand, in a host; its input stays open."""

    def __init__(self, host, *flags):
        super().__init__(host, sys.executable, PEER, "--nick", "stranger", "--room", ROOM, "--interface", "e0", *flags)

    def room(self):
        """Ids and texts of the room's posts, in the room's order."""
        before = len(self.objects())
        self.type("/room")
        wait(lambda: any("posts" in o for o in self.objects()[before:]), 10, "the stranger's list")
        return [tuple(post) for post in next(o["posts"] for o in self.objects()[before:] if "posts" in o)]


def talk(stranger, others, round_):
    """Everyone speaks in turn, now and then what does not fit a datagram; returns what was said."""
    said = []
    for n in range(4):
        for voice in (stranger, *others):
            name = "stranger" if voice is stranger else voice.name
            said.append(f"{name} {round_}.{n}" + " long" * (600 if n == 2 else 0))
            voice.type(said[-1]) if voice is stranger else voice.say(said[-1])
    return said


def level(stranger, others, said, limit):
    """Waits until all three have all that was said; each has it once, in one order."""
    took = time.monotonic()
    for other in others:
        wait(lambda other=other: len(other.texts()) >= len(said), limit, f"{other.name} has all")
    wait(lambda: sum("post" in o for o in stranger.objects()) >= len(said), limit, "the stranger has all")
    took = time.monotonic() - took
    orders = [stranger.room()]
    for other in others:
        posts = other.api(f"rooms/{ROOM}/posts")
        orders.append([(post["id"], post["text"]) for post in posts if post["kind"] == "text"])
    for order in orders:
        expect(sorted(text for _, text in order) == sorted(said), f"one has {[text[:20] for _, text in order]}")
        expect(order == orders[0], "the orders differ")
    return took


def counted(host, text):
    """Says a post that asks for receipts until all have it, as only such a one does; `bcast who` counts both others."""
    post = host.run("bcast", "say", ROOM, text, "--wait", "all", "--timeout", "30s", limit=40).split()[0]
    ledger = json.loads(host.run("bcast", "who", post, "--json").splitlines()[0])
    expect((ledger["members"], ledger["have"]) == (2, 2), ledger)


def stored_by(peer, others):
    """Whether the stranger was told that all others have its last post."""
    told = [o for o in peer.objects() if "stored" in o and o["room"] == ROOM]
    return {o["by"] for o in told if o["stored"] == told[-1]["of"]} == {other.name for other in others}


@check
def stranger(lab):
    """A peer written from PROTOCOL.md alone talks with two daemons, at no loss and at loss."""
    others, home = lab.hosts[:2], lab[3]
    lab.start(*others)
    peer, said, took = Stranger(home), [], []
    start = time.monotonic()
    wait(lambda: all(other.peers().get("stranger") == "here" for other in others), 10, "both see the stranger")
    met = time.monotonic() - start
    for percent in (0, LOSS):
        lab.verb("loss", "all", percent)
        said += talk(peer, others, percent)
        took.append(level(peer, others, said, 60))
        for other in others:
            said.append(f"{other.name} asks at {percent}")
            counted(other, said[-1])
        level(peer, others, said, 60)
        wait(lambda: stored_by(peer, others), 30, "the stranger knows that both have its posts")
    lab.verb("loss", "all", 0)
    peer.type("@h1 in secret")
    wait(lambda: any(room.get("direct") == "stranger" for room in others[0].api("rooms")), 10, "h1 learns of the room")
    wait(lambda: "in secret" in others[0].texts("@stranger"), 10, "h1 has the direct post")
    others[0].say("as secret", "@stranger")
    wait(lambda: any(o.get("text") == "as secret" for o in peer.objects()), 10, "the stranger has the direct post")
    peer.process.stdin.close()
    wait(lambda: all(other.peers().get("stranger") == "left" for other in others), 5, "both see that it left")
    peer.result(5)
    drops = [other.api("status")["drops"] for other in others] + [o["drops"] for o in peer.objects() if "drops" in o]
    expect(len(drops) == 3 and not WRONG & {name for counts in drops for name in counts}, f"drops: {drops}")
    return f"met after {milliseconds(met)}; level after {took[0]:.1f} s without loss, {took[1]:.1f} s at {LOSS} %"
