"""The end-to-end checks of scripts/lab: real binary, real kernel, real time. One function a check, one line a result.

    scripts/lab check                   all of them
    scripts/lab check crash crash-loss  some
    scripts/lab check --list            their names

SOAK (seconds, default 120) is how long `false-lost` listens, IDLE (default 60) how long `idle` lets hosts settle,
LAB_HOSTS (default 10, not less) how many hosts there are.
"""

import os
import re
import signal
import sys
import time
import traceback
from datetime import datetime

sys.dont_write_bytecode = True
import labannounce  # noqa: E402, F401 - its checks register themselves
import labdiscover  # noqa: E402, F401
import labdoctor  # noqa: E402, F401
import labfiles  # noqa: E402, F401
import labflood  # noqa: E402, F401
import labguests  # noqa: E402, F401
import labirc  # noqa: E402, F401
import labkeep  # noqa: E402, F401
import lablinks  # noqa: E402, F401
import labpeer  # noqa: E402, F401
import labpush  # noqa: E402, F401
import labpeople  # noqa: E402, F401
import labssdp  # noqa: E402, F401
import labtrust  # noqa: E402, F401
from labhost import CHECKS, LOSS, RESIDENT, Events, Failed, Lab, check, expect, milliseconds, wait  # noqa: E402

SOAK = int(os.environ.get("SOAK", "120"))
IDLE = int(os.environ.get("IDLE", "60"))
PORT = 27474  # the shared broadcast port
RAW = 9999  # the port of the raw datagram checks


# ---- finding each other ------------------------------------------------------------------------------------------


def meet(lab, limit):
    for host in lab.hosts:
        host.start()
    for host in lab.hosts:
        host.ready()
    time.sleep(limit)  # who is asked meanwhile meets others later
    for host in lab.hosts:
        wait(lambda host=host: host.sees(lab.hosts), 60, f"{host.name} sees all others")
    last = max(datetime.fromisoformat(peer["first_seen"]) for host in lab.hosts for peer in host.api("peers"))
    ready = time.time() - time.monotonic() + max(host.ready_at() for host in lab.hosts)
    took = last.timestamp() - ready
    expect(took <= limit, f"last ready to last peer {milliseconds(took)}, limit {milliseconds(limit)}")
    return f"{len(lab.hosts)} hosts, last ready to last peer {milliseconds(took)}"  # below 0: met while starting


@check
def meeting(lab):
    return meet(lab, 0.25)


@check
def meeting_loss(lab):
    lab.verb("loss", "all", LOSS)
    return meet(lab, 3)


# ---- posts -------------------------------------------------------------------------------------------------------


def exactly_once(tails, texts, limit):
    """Every tail shows each of texts once, within limit seconds and for two seconds more; returns the seconds."""

    def shown(tail):
        return sorted(o["text"] for o in tail.objects() if o.get("kind") == "text")

    start = time.monotonic()
    for number, tail in enumerate(tails, 1):
        try:
            wait(lambda: len(shown(tail)) >= len(texts), limit + start - time.monotonic(), f"screen {number}")
        except Failed as failure:
            raise Failed(f"{failure}; without {sorted(set(texts) - set(shown(tail)))}") from None
    took = time.monotonic() - start
    time.sleep(2)  # a duplicate would come with a late repair
    for number, tail in enumerate(tails, 1):
        expect(shown(tail) == sorted(texts), f"screen {number} shows {shown(tail)}")
    return took


def all_to_all(lab, limit):
    lab.start()
    tails = [host.tail() for host in lab.hosts]
    texts = [f"{host.name} says {n}" for host in lab.hosts for n in range(3)]
    for n in range(3):
        voices = [host.spawn("bcast", "say", "lobby", f"{host.name} says {n}") for host in lab.hosts]
        for voice in voices:
            code, text = voice.result(15)
            expect(code == 0, f"say: exit {code}: {text}")
    took = exactly_once(tails, texts, limit)
    lab.in_one_order()
    return f"{len(texts)} posts on {len(tails)} screens once, in one order, {milliseconds(took)} after the last say"


@check
def posts(lab):
    return all_to_all(lab, 2)


@check
def posts_loss(lab):
    lab.verb("loss", "all", LOSS)
    return all_to_all(lab, 15)


@check
def cut_off(lab):
    """A host without a wire for 10 s gets what it missed, and the others what it said."""
    lab.start()
    alone, others = lab[7], [host for host in lab.hosts if host.number != 7]
    lab.verb("partition", alone.name)
    for n in range(5):
        others[n].say(f"missed {n}")
        alone.say(f"alone {n}")
        time.sleep(2)
    expect(not any("missed" in text for text in alone.texts()), "the partition leaks")
    lab.verb("heal")
    took = wait(lambda: all(len(host.texts()) == 10 for host in lab.hosts), 30, "level after the cut")
    return f"10 s without a wire: 5 posts each way, level {took:.1f} s after the heal"


@check
def suspended(lab):
    """SIGSTOP for 15 s is what a closed laptop looks like."""
    lab.start()
    sleeper, others = lab[2], lab.hosts[2:]
    sleeper.daemon.process.send_signal(signal.SIGSTOP)
    for n in range(5):
        others[n].say(f"asleep {n}")
        time.sleep(3)
    sleeper.daemon.process.send_signal(signal.SIGCONT)
    took = wait(lambda: len(sleeper.texts()) == 5, 2, "level after SIGCONT")
    seen = wait(lambda: all(host.peers().get(sleeper.name) == "here" for host in others), 2, "seen again")
    return f"level {milliseconds(took)} after SIGCONT, seen by all after {milliseconds(took + seen)} (limit 2 s)"


@check
def cold_say(lab):
    """No daemon where the words are said; a screen elsewhere shows them."""
    lab.start(*lab.hosts[:9])
    screen = lab[1].tail()
    lab[1].say("warm")
    wait(lambda: "warm" in screen.text(), 5, "the screen itself")
    worst = 0
    for n in range(3):
        start = time.monotonic()
        voice = lab[10].spawn("bcast", "say", "lobby", f"cold {n}")
        wait(lambda n=n: f"cold {n}" in screen.text(), 5, "cold say on the screen")
        worst = max(worst, time.monotonic() - start)
        code, text = voice.result(10)
        expect(code == 0, f"say: exit {code}: {text}")
    expect(worst <= 0.5, f"worst of three: {milliseconds(worst)}, limit 500 ms")
    return f"process start to the other's screen, worst of three: {milliseconds(worst)} (limit 500 ms)"


# ---- leaving, crashing, being mistaken ---------------------------------------------------------------------------


def crash_and_return(lab, limit, return_limit):
    victim, others = lab[4], [host for host in lab.hosts if host.number != 4]
    lab.start()
    worst, back = 0, 0
    for _ in range(2):
        victim.daemon.end(signal.SIGKILL)
        gone = wait(lambda: all(h.peers().get(victim.name) == "lost" for h in others), limit, "the crash is seen")
        worst = max(worst, gone)
        victim.start().ready()
        start = victim.ready_at()
        wait(lambda: all(h.peers().get(victim.name) == "here" for h in others) and victim.sees(others), 10, "back")
        back = max(back, time.monotonic() - start)
    expect(back <= return_limit, f"back {milliseconds(back)} after the restart, limit {return_limit} s")
    return (
        f"kill -9 twice: lost everywhere after {worst:.1f} s (limit {limit} s), "
        f"back in {milliseconds(back)} (limit {return_limit} s)"
    )


@check
def crash(lab):
    return crash_and_return(lab, 5, 0.5)


@check
def crash_loss(lab):
    lab.verb("loss", "all", LOSS)
    return crash_and_return(lab, 8, 5)


@check
def goodbye(lab):
    lab.start()
    leaver, others = lab[5], [host for host in lab.hosts if host.number != 5]
    took = leaver.daemon.end(signal.SIGTERM)
    code = leaver.daemon.process.returncode
    expect(code == 0 and took <= 2, f"SIGTERM: exit {code} after {took:.1f} s, limit 2 s")
    seen = wait(lambda: all(host.peers().get(leaver.name) == "left" for host in others), 2, "the goodbye")
    return f"SIGTERM: ended in {milliseconds(took)}, left everywhere {milliseconds(seen)} later"


@check
def false_lost(lab):
    lab.verb("loss", "all", LOSS)
    lab.start()
    streams = [Events(host) for host in lab.hosts]
    time.sleep(SOAK)
    changes = [event["peer"] for stream in streams for event in stream.of("peer")]
    wrong = [peer["nick"] for peer in changes if peer["status"] == "lost"]
    expect(len(wrong) <= 1, f"{len(wrong)} false lost in {SOAK} s at {LOSS} % loss: {wrong}")
    doubts = sum(peer["status"] == "suspect" for peer in changes)
    return f"{SOAK} s at {LOSS} % loss: {len(wrong)} false lost, {doubts} suspected and cleared"


@check
def new_address(lab):
    lab.start()
    mover, others = lab[6], [host for host in lab.hosts if host.number != 6]
    lab.verb("address", mover.name, "10.77.0.206")

    def known():
        return all(p["addr"].startswith("10.77.0.206") for h in others for p in h.api("peers") if p["nick"] == "h6")

    took = wait(known, 10, "the new address everywhere")
    mover.say("from the new address")
    lab[1].say("to the new address")
    wait(lambda: all(len(host.texts()) == 2 for host in lab.hosts), 5, "posts both ways")
    return f"known everywhere after {took:.1f} s, posts both ways"


# ---- raw datagrams -----------------------------------------------------------------------------------------------

SEND = (
    "import socket,sys; s=socket.socket(2,2); s.setsockopt(1,6,1); "
    "s.sendto(b'x'*int(sys.argv[2]), (sys.argv[1], int(sys.argv[3])))"
)
RECEIVE = (
    "import socket,sys; s=socket.socket(2,2); s.bind(('', int(sys.argv[1]))); "
    "print(len(s.recv(65535)), flush=True)"
)


def senders(to, size):
    """The same datagram from every program people have."""
    pipe = f"head -c {size} /dev/zero | tr '\\0' x | "
    return {
        "socat": ["sh", "-c", pipe + f"socat -u -b 65507 - UDP-DATAGRAM:{to}:{RAW},broadcast"],
        "ncat": ["sh", "-c", pipe + f"ncat -u --send-only {to} {RAW}"],
        "python": [sys.executable, "-c", SEND, to, size, RAW],
        "bcast": ["bcast", "sendto", f"{to}:{RAW}", "x" * size],
    }


def one_datagram(receiver, sender, buffer, argv):
    """What `bcast recvfrom --json` shows of the one datagram that argv sends."""
    reader = receiver.spawn("bcast", "recvfrom", "--port", RAW, "--buffer", buffer, "--count", 1, "--json")
    wait(lambda: reader.listens(RAW) or not reader.alive(), 5, "recvfrom listens")
    sender.run(*argv)
    code, text = reader.result(5)
    expect(code == 0 and len(reader.objects()) == 1, f"recvfrom: exit {code}: {text}")
    return reader.objects()[0]


def expect_fields(got, **want):
    wrong = {key: got.get(key) for key, value in want.items() if got.get(key) != value}
    expect(not wrong, f"recvfrom shows {wrong}, expected {want}")


@check
def truncation(lab):
    """16 bytes of buffer, 64 bytes of datagram, from every sender, by broadcast and by unicast."""
    for to, broadcast in (("10.77.0.255", True), (lab[2].address, False)):
        for name, argv in senders(to, 64).items():
            got = one_datagram(lab[2], lab[1], 16, argv)
            expect_fields(got, received=16, size=64, lost=48, truncated=True, iface="e0", broadcast=broadcast)
            addresses = got["from"].rsplit(":", 1)[0], got["to"].rsplit(":", 1)[0]
            expect(addresses == (lab[1].address, to), f"{name}: from, to = {addresses}")
    return "received 16, size 64, lost 48, from, to, iface right: socat, ncat, python, bcast; broadcast and unicast"


@check
def sizes(lab):
    """Nothing and the largest datagram there is."""
    for size in (0, 65507):
        got = one_datagram(lab[2], lab[1], 65535, senders("10.77.0.255", size)["python"])
        expect_fields(got, received=size, size=size, lost=0, truncated=False)
        reader = lab[2].spawn(sys.executable, "-c", RECEIVE, RAW)
        wait(lambda reader=reader: reader.listens(RAW), 5, "python listens")
        lab[1].run("bcast", "sendto", f"broadcast:{RAW}", "--size", size)
        expect(reader.result(5)[1] == str(size), f"sendto --size {size}: python got {reader.text()}")
    return "0 and 65507 bytes by broadcast, whole, both directions"


@check
def receivers(lab):
    """What `bcast sendto` sends is read by every program people have."""
    programs = {
        "socat": ["socat", "-u", f"UDP4-RECV:{RAW}", "STDOUT"],
        "ncat": ["ncat", "-4", "-u", "-l", RAW, "--recv-only"],
        "python": [sys.executable, "-c", RECEIVE, RAW],
    }
    for to in ("broadcast", lab[2].address):
        for name, argv in programs.items():
            reader = lab[2].spawn(*argv)
            wait(lambda reader=reader: reader.listens(RAW) or not reader.alive(), 5, f"{name} listens")
            lab[1].run("bcast", "sendto", f"{to}:{RAW}", "hello, lan\n")
            wait(lambda reader=reader: reader.lines, 3, f"sendto {to}: {name} reads")
            expect(reader.text() in ("hello, lan", "11"), f"sendto {to}: {name} got {reader.text()!r}")
            reader.end(signal.SIGKILL)
    return "socat, ncat, python; broadcast and unicast"


@check
def short_buffer(lab):
    """A daemon that reads 600 bytes gets every post, and says what was cut."""
    short = lab[5].start("--recv-buffer", "600")
    for host in lab.hosts:
        if host is not short:
            host.start()
    for host in lab.hosts:
        host.ready()
    for host in lab.hosts:
        wait(lambda host=host: host.sees(lab.hosts), 10, f"{host.name} sees all others")
    texts = [f"{size} ".ljust(size, "x")[:size] for size in (1, 500, 1300, 5000, 16384)]
    for number, text in enumerate(texts):
        lab.hosts[number * 2 % 10].say(text)
    took = wait(lambda: sorted(short.texts()) == sorted(texts), 15, "every post at the short buffer")
    for host in lab.hosts:
        wait(lambda host=host: sorted(host.texts()) == sorted(texts), 5, f"every post at {host.name}")
    status = short.api("status")
    expect(status["recv_buffer"] == 600 and status["cuts"] > 0, f"status: cuts {status['cuts']}")
    return f"1 to 16384 bytes whole, {milliseconds(took)} after the last say; {status['cuts']} datagrams cut and shown"


# ---- being a good neighbour --------------------------------------------------------------------------------------


@check
def idle(lab):
    lab.start()
    time.sleep(IDLE)
    span = 30
    before = [(host.cpu_seconds(), host.datagrams_sent()) for host in lab.hosts]
    time.sleep(span)
    after = [(host.cpu_seconds(), host.datagrams_sent()) for host in lab.hosts]
    cpu = max((b[0] - a[0]) / span * 100 for a, b in zip(before, after))
    rate = sum(b[1] - a[1] for a, b in zip(before, after)) / span
    rss, own = (max(host.rss_mib(what) for host in lab.hosts) for what in ("VmRSS", "RssAnon"))
    figures = (f"worst RSS {rss:.1f} MiB ({RESIDENT}), of it not the binary's {own:.1f} (16), worst CPU {cpu:.2f} % (0.5), "
               f"{rate:.1f} datagrams/s of all (3)")
    expect(rss <= RESIDENT and own <= 16 and cpu < 0.5 and rate <= 3, figures)
    return figures


@check
def other_network(lab):
    """A host carried to another network with a room of the same name hands over nothing of the first."""
    cafe = lab.hosts[8:]
    for host in cafe:
        lab.verb("move", host.name, "b")
    lab.start(*lab.hosts[:8])
    for host in cafe:
        host.start().ready()
    for host in lab.hosts[:8]:
        host.say(f"office secret {host.number} ".ljust(1000, "x"))
    wait(lambda: all(len(host.texts()) == 8 for host in lab.hosts[:8]), 5, "the office's posts")
    carried = lab[3]
    lab.verb("mirror", cafe[0].name)  # one datagram of 512 and one of 256 in a train would be captured as one of 768
    capture = cafe[0].spawn("tcpdump", "-i", "e0", "-nlQ", "in", "--immediate-mode", "udp and src host 10.78.0.3")
    wait(lambda: "listening" in capture.text(), 5, "tcpdump listens")
    lab.verb("move", carried.name, "b")
    wait(lambda: all(host.peers().get(carried.name) == "here" for host in cafe), 15, "the café sees the newcomer")
    time.sleep(15)
    lengths = [int(found) for found in re.findall(r"UDP, length (\d+)", capture.text())]
    large = [length for length in lengths if length > 512]
    expect(not large, f"{sum(large)} bytes in {len(large)} datagrams larger than presence before it spoke")
    for host in cafe:
        leaked = [text[:20] for text in host.texts()]
        expect(not leaked, f"{host.name} has posts of the other network: {leaked}")
    carried.say("hello, café")
    wait(lambda: all(host.texts() == ["hello, café"] for host in cafe), 5, "the newcomer's own words")
    return f"before it spoke {sum(lengths)} bytes in {len(lengths)} datagrams, none above 512; no post of the first"


FLOOD = """
import os, random, socket, sys, time
dice = random.Random(1)
ear = socket.socket(2, 2); ear.setsockopt(1, 2, 1); ear.setsockopt(1, 6, 1); ear.bind(("", int(sys.argv[1])))
ear.settimeout(20); ear.setsockopt(0, 2, 255)  # TTL
real = [ear.recv(65535) for _ in range(3)]
end = time.monotonic() + 5
sent = 0
while time.monotonic() < end:
    for _ in range(20):
        some = bytearray(dice.choice(real))
        some[dice.randrange(len(some))] ^= 1 << dice.randrange(8)
        for junk in (b"", dice.randbytes(dice.randrange(1, 1400)), some, some[:dice.randrange(len(some))]):
            ear.sendto(junk, ("10.77.0.255", int(sys.argv[1])))
            sent += 1
    time.sleep(0.01)
print(sent)
"""


@check
def flood(lab):
    """Empty, random, bent and shortened datagrams at some thousand a second: the daemons go on serving."""
    lab.start(*lab.hosts[1:])
    attacker = lab[1].spawn(sys.executable, "-c", FLOOD, PORT)
    slowest = 0
    said = 0
    while attacker.alive() and said < 50:
        lab[2].say(f"through the flood {said}")
        said += 1
        slowest = max(slowest, wait(lambda: len(lab[3].texts()) == said, 1, "a post through the flood"))
        time.sleep(0.3)
    code, text = attacker.result(20)
    expect(code == 0 and int(text) > 1000, f"the flood itself: exit {code}: {text}")
    for host in lab.hosts[1:]:
        host.ready_at()  # still alive
        expect(sum(host.api("status")["drops"].values()) > 0, f"{host.name} counts no drops")
    wait(lambda: all(host.sees(lab.hosts[1:]) for host in lab.hosts[1:]), 10, "all see all after the flood")
    rss = max(host.rss_mib() for host in lab.hosts[1:])
    expect(rss <= 64, f"RSS {rss:.0f} MiB, limit 64")
    return (
        f"{text} junk datagrams, {said} posts meanwhile, slowest {milliseconds(slowest)} (limit 1 s), "
        f"RSS {rss:.0f} MiB (64); drops counted"
    )


@check
def one_daemon_per_home(lab):
    lab[1].start().ready()
    second = lab[1].spawn("bcast", "daemon", "--json")
    code, text = second.result(5)
    errors = [o["error"]["code"] for o in second.objects() if "error" in o]
    expect(code == 1 and errors == ["running"], f"exit {code}: {text}")
    expect(lab[1].api("status")["nick"] == "h1", "the first daemon no longer answers")
    return "refused with exit 1 and code running; the first goes on"


# ---- the runner --------------------------------------------------------------------------------------------------


def run(lab, name):
    start = time.monotonic()
    try:
        verdict, said = "ok  ", CHECKS[name](lab)
    except Exception as failure:  # whatever went wrong, the other checks still run
        verdict, said = "FAIL", str(failure) if isinstance(failure, Failed) else traceback.format_exc()
        for host in lab.hosts:
            lines = host.daemon.text().splitlines()[1:] if host.daemon else []
            said += "".join(f"\n       {host.name}: {line}" for line in lines[-3:])
    lab.reset()
    print(f"{verdict} {name:<20} {said}  [{time.monotonic() - start:.0f} s]", flush=True)
    return verdict == "ok  "


def main(names):
    if names == ["--list"]:
        print("\n".join(CHECKS))
        return 0
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"lab: no check {' '.join(unknown)}; there are: {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    lab = Lab()
    results = [run(lab, name) for name in names or CHECKS]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


sys.exit(main(sys.argv[1:]))
