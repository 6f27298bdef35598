"""Checks of scripts/lab for what is kept: histories through loss, partitions and crashes, catching up, the ledger.

RUNS (default 1) repeats `thousand`, KILLS (default 20) and WAITS (default 10) are how often `kill-nine` kills and
`wait-all` waits, AWAY (default 20000) and PAST (default 20000) how many posts `absent` misses and `five-missing` has.
"""

import base64
import hashlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

from labhost import LOSS, ROOM, Failed, Unix, check, expect, milliseconds, wait

RUNS = int(os.environ.get("RUNS", "1"))
KILLS = int(os.environ.get("KILLS", "20"))
WAITS = int(os.environ.get("WAITS", "10"))
AWAY = int(os.environ.get("AWAY", "20000"))
PAST = int(os.environ.get("PAST", "20000"))


class Voice:
    """Says posts over one connection to a daemon, and remembers the ids of those that it reported as said."""

    def __init__(self, host):
        self.host = host
        self.said = []
        self.connection = None

    def say(self, text):
        try:
            if self.connection is None:
                self.connection = Unix(self.host.home + "/control.sock", timeout=30)
            self.connection.request("POST", f"/v1/rooms/{ROOM}/posts", json.dumps({"text": text}))
            response = self.connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as failure:  # killed: what it did not report may be lost
            self.connection = None
            return failure
        if response.status == 200:
            self.said.append(answer["id"])
            return None
        return answer


def ids(host):
    return [post["id"] for post in host.api(f"rooms/{ROOM}/posts", timeout=120)]


def history_hash(host):
    """What `bcast history --json` shows, and the hash of its ids in their order."""
    lines = host.run("bcast", "history", ROOM, "--json", limit=60).splitlines()
    shown = [json.loads(line)["id"] for line in lines if line.startswith("{")]
    return shown, hashlib.sha256("\n".join(shown).encode()).hexdigest()


def level(hosts, count, limit, what):
    return wait(lambda: all(len(ids(host)) >= count for host in hosts), limit, what)


@check
def thousand(lab):
    """1,000 posts of all hosts at 30 % loss, two partitions, three kill -9, one that joins last: one history."""
    worst = 0
    for run in range(RUNS):
        if run:
            lab.reset()
        lab.verb("loss", "all", LOSS)
        early, last = lab.hosts[:9], lab[10]
        lab.start(*early)
        voices = [Voice(host) for host in early]

        def speak(voice, count):
            while len(voice.said) < count:
                if voice.say(f"{voice.host.name} says {len(voice.said)}"):
                    time.sleep(0.05)
                time.sleep(0.1)

        speakers = [threading.Thread(target=speak, args=(v, 112 if n else 104)) for n, v in enumerate(voices)]
        for speaker in speakers:
            speaker.start()
        time.sleep(2)
        lab.verb("partition", "h2", "h3", "h4")
        victim(lab[5])
        time.sleep(3)
        lab.verb("heal")
        time.sleep(2)
        lab.verb("partition", "h7")
        victim(lab[8])
        victim(lab[2])
        time.sleep(3)
        lab.verb("heal")
        for speaker in speakers:
            speaker.join(120)
        said = [post for voice in voices for post in voice.said]
        expect(len(said) == 1000 and len(set(said)) == 1000, f"{len(said)} posts said, {len(set(said))} ids")
        last.start().ready()
        worst = max(worst, level(lab.hosts, 1000, 90, "all have all"))
        histories = {host.name: history_hash(host) for host in lab.hosts}
        for name, (shown, _) in histories.items():
            lost, twice = set(said) - set(shown), len(shown) - len(set(shown))
            expect(not lost and not twice, f"run {run}: {name} lost {len(lost)}, shows {twice} twice")
        hashes = {digest for _, digest in histories.values()}
        expect(len(hashes) == 1, f"run {run}: {len(hashes)} different histories")
    return f"{RUNS} × 1,000 posts: lost 0, twice 0, one order; level at worst {worst:.1f} s after the last join"


def victim(host):
    """Kills a daemon and starts it again."""
    host.daemon.end(signal.SIGKILL)
    host.start().ready()


def fill(host, count):
    """Says count posts as fast as the daemon takes them; returns posts a second."""
    start = time.monotonic()
    threads = []
    for part in range(4):
        voice = Voice(host)

        def speak(voice=voice, part=part):
            for n in range(part, count, 4):
                failure = voice.say(f"{host.name} past {n}")
                while failure:
                    time.sleep(0.02)
                    failure = voice.say(f"{host.name} past {n}")

        threads.append(threading.Thread(target=speak))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.monotonic() - start)


@check
def absent(lab):
    """A host that was away for 20,000 posts is level within 10 s of coming back."""
    three = lab.hosts[:3]
    lab.start(*three)
    away = lab[3]
    away.daemon.end(signal.SIGTERM)
    rate = fill(lab[1], AWAY)
    level([lab[2]], AWAY, 120, "the one that stayed has all")
    lab[1].daemon.end(signal.SIGTERM)  # any member can bring it level, not only the author
    before = lab[2].api("status")["sent_bytes"]
    start = time.monotonic()
    away.start().ready()
    took = wait(lambda: away.api("rooms")[0]["posts"] >= AWAY, 60, "level after the absence")
    took = time.monotonic() - start
    sent = lab[2].api("status")["sent_bytes"] - before
    expect(took <= 10, f"level after {took:.1f} s, limit 10 s")
    return f"{AWAY} posts ({rate:.0f} said a second) level {took:.1f} s after the start, {sent >> 10} KiB of them by datagram"


@check
def five_missing(lab):
    """A host that lacks 5 posts of a long history costs under 64 KB on the wire."""
    one, two = lab[1], lab[2]
    lab.start(one, two)
    fill(one, PAST)
    level([two], PAST, 300, "both have the past")
    two.daemon.end(signal.SIGTERM)
    for n in range(5):
        one.say(f"missed {n}")
    before = wire_bytes(one)
    two.start().ready()
    wait(lambda: two.api("rooms")[0]["posts"] >= PAST + 5, 30, "level")
    time.sleep(5)
    cost = wire_bytes(one) - before
    expect(cost < 65536, f"{cost} bytes on the wire, limit 65536")
    return f"5 of {PAST} posts missing: {cost} bytes both ways on the wire, presence and 5 s of digests included"


def wire_bytes(host):
    """Bytes that went over the host's cable, both ways."""
    text = host.run("cat", "/proc/net/dev")
    fields = next(line for line in text.splitlines() if "e0:" in line).split(":", 1)[1].split()
    return int(fields[0]) + int(fields[8])


@check
def kill_nine(lab):
    """kill -9 at random moments under load: nothing that say reported is missing, no feed is forked, the file is sound."""
    five = lab.hosts[:5]
    lab.start(*five)
    dice = random.Random(1)
    target = lab[1]
    voice, stop = Voice(target), threading.Event()

    def speak():
        n = 0
        while not stop.is_set():
            n += 1
            if voice.say(f"under load {n}"):
                time.sleep(0.01)

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        for _ in range(KILLS):
            time.sleep(dice.random() * 0.5)
            target.daemon.end(signal.SIGKILL)
            target.start().ready()
    finally:
        stop.set()
        speaker.join()
    said = set(voice.said)
    expect(len(said) > KILLS, f"only {len(said)} posts said")
    for host in five:
        wait(lambda host=host: said <= set(ids(host)), 90, f"{host.name} has all that was reported")
    for host in five:
        expect("forked" not in json.dumps(host.api(f"rooms/{ROOM}/posts")), f"{host.name} shows a fork")
    target.daemon.end(signal.SIGTERM)
    file = sqlite3.connect(f"file:{target.home}/history.db?mode=ro", uri=True)
    sound = file.execute("PRAGMA quick_check").fetchone()[0]
    feeds = file.execute("SELECT count(DISTINCT epoch) FROM chain WHERE author = "
                         "(SELECT author FROM chain ORDER BY id LIMIT 1)").fetchone()[0]
    file.close()
    expect(sound == "ok", f"quick_check: {sound}")
    return f"{KILLS} kills, {len(said)} posts reported and everywhere, database sound, {feeds} feed(s) of the first author"


@check
def wait_all(lab):
    """`say --wait all` at 30 % loss says what is true, also of hosts that are off."""
    lab.verb("loss", "all", LOSS)
    lab.start()
    dice = random.Random(2)
    right, off, slowest = 0, None, 0
    for n in range(WAITS):
        if n % 5 == 3:
            off = lab.hosts[1 + dice.randrange(9)]
            off.daemon.end(signal.SIGKILL)
        text = f"for all {n}"
        start = time.monotonic()
        voice = lab[1].spawn("bcast", "say", ROOM, text, "--wait", "all", "--json", "--timeout", "10s")
        code, printed = voice.result(20)
        slowest = max(slowest, time.monotonic() - start if code == 0 else 0)
        said = next(o for o in voice.objects() if "id" in o)
        others = lab.hosts[1:]
        truth = sum(holds(host, said["id"]) for host in others)
        expect(said["members"] == 9, f"{said['members']} members, expected 9: {printed[-300:]}")
        lacking = {m["nick"]: m["status"] for m in said.get("missing", [])}
        views = [host.peers().get("h1") for host in others if host.name in lacking and host.daemon.alive()]
        expect(
            said["have"] == truth and (code == 0) == (truth == 9),
            f"say {n}: {said['have']} have it, exit {code}; truth {truth}; missing {lacking}, who see h1 as {views}",
        )
        right += 1
        if off:
            off.start().ready()
            wait(lambda: lab[1].sees([off]), 10, "back")
            wait(lambda: ledger(lab[1], said["id"])["have"] == 9, 30, "the late answer counts")
            off = None
    return f"{right} of {WAITS} agree with every host's database; slowest success {milliseconds(slowest)}"


def ledger(host, post):
    return host.api(f"posts/{post}/ledger")


def holds(host, post):
    """Whether a host's database has a post: asked of the file itself."""
    record = post.split(".")[0]
    file = sqlite3.connect(f"file:{host.home}/history.db?mode=ro", uri=True)
    try:
        raw = base64.b32decode(record.upper() + "=" * (-len(record) % 8))
        return file.execute("SELECT count(*) FROM record WHERE rid = ?", (raw,)).fetchone()[0] > 0
    except sqlite3.Error as failure:
        raise Failed(f"{host.name}: {failure}") from failure
    finally:
        file.close()
