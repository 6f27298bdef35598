"""Checks of scripts/lab for few among many: direct and private rooms, and an outsider who has every capture.

OUTSIDER (seconds, default 20) is how long `outsider` attacks.
"""

import os
import signal
import sys
import time

from labhost import LOSS, check, expect, milliseconds, wait

OUTSIDER = int(os.environ.get("OUTSIDER", "20"))
SECRET = "the treasure is under the oak"

# The attacker hears everything on the wire (its port mirrors the bridge), and sends: recordings as they were, with the
# sources and MAC addresses of others; their payloads under its own address; bent, cut and crafted ones; junk on the TCP
# ports. It prints what it sent and what came back to its own address.
ATTACK = r"""
import json, os, random, select, socket, struct, sys, time
seconds, mine = float(sys.argv[1]), sys.argv[2]
dice = random.Random(7)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("e0", 0))
udp = socket.socket(2, 2); udp.setsockopt(1, 6, 1); udp.bind(("", 27475)); udp.setblocking(False)
seen, payloads, hosts = [], [], set()
sent = back = captured = plain = tcp = 0
own = socket.inet_aton(mine)
def listen():
    global back, captured, plain
    while select.select([wire], [], [], 0)[0]:
        frame, origin = wire.recvfrom(65535)
        if origin[2] == 4 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        source, target = frame[26:30], frame[30:34]
        payload = frame[14 + (frame[14] & 15) * 4 + 8:]
        captured += 1
        plain += b"treasure" in payload or b"crew" in payload
        if target == own:
            back += len(payload)
        if source != own and payload[:2] == b"bc":
            hosts.add((socket.inet_ntoa(source), struct.unpack("!H", frame[34:36])[0]))
            if len(seen) < 4000:
                seen.append(frame); payloads.append(payload)
            elif dice.random() < 0.1:
                at = dice.randrange(4000); seen[at] = frame; payloads[at] = payload
def say(payload, to):
    global sent
    try:
        udp.sendto(payload, to); sent += len(payload)
    except OSError:
        pass
end = time.monotonic() + seconds
while time.monotonic() < end:
    listen()
    if not seen:
        time.sleep(0.01)
        continue
    for _ in range(10):
        some = bytearray(dice.choice(payloads))
        to = dice.choice(sorted(hosts) + [("10.77.0.255", 27474)])
        what = dice.randrange(6)
        if what == 0:
            wire.send(dice.choice(seen))
        elif what == 1:
            say(bytes(some), to)
        elif what == 2:
            some[dice.randrange(len(some))] ^= 1 << dice.randrange(8); say(bytes(some), to)
        elif what == 3:
            say(bytes(some[:dice.randrange(len(some))]), to)
        elif what == 4:
            say(b"bc\x01" + bytes([dice.randrange(256)]) + dice.randbytes(dice.randrange(1396)), to)
        else:
            frame = bytearray(dice.choice(seen))
            frame[dice.randrange(42, len(frame))] ^= 1 << dice.randrange(8)
            frame[40:42] = b"\0\0"
            wire.send(bytes(frame))
    if dice.random() < 0.05:
        host, port = dice.choice(sorted(hosts))
        link = socket.socket(); link.settimeout(0.05)
        try:
            link.connect((host, port)); link.send(dice.randbytes(200)); tcp += 1
        except OSError:
            pass
        link.close()
    time.sleep(0.005)
listen()
print(json.dumps({"sent": sent, "back": back, "captured": captured, "plain": plain, "tcp": tcp}))
"""


@check
def outsider(lab):
    """Reads no private post, forges none, replays none, moves no nick, gets no more than it sends, crashes nothing."""
    crew, attacker = lab.hosts[:4], lab[10]
    lab.start(*crew)
    crew[0].run("bcast", "join", "crew", "--private", "--detach")
    invite = crew[0].run("bcast", "invite", "crew")
    for host in crew[1:]:
        host.run("bcast", "join", "-", "--detach", data=invite.encode() + b"\n")
    wait(lambda: all(len(host.api("rooms/crew/members")) == 4 for host in crew), 10, "the crew is complete")
    lab.verb("mirror", attacker.name)
    foe = attacker.spawn(sys.executable, "-c", ATTACK, OUTSIDER, attacker.address)
    said = []
    while foe.alive():
        speaker = crew[len(said) % 4]
        said.append(f"{SECRET} {len(said)}")
        speaker.say(said[-1], "crew")
        time.sleep(0.5)
    code, _ = foe.result(10)
    expect(code == 0 and foe.objects(), f"the attack itself: exit {code}: {foe.text()[-300:]}")
    toll = foe.objects()[0]
    for host in crew:
        wait(lambda host=host: sorted(host.texts("crew")) == sorted(said), 30, f"{host.name} has each post once")
        host.ready_at()  # still alive
        nicks = {peer["id"]: peer["nick"] for peer in host.api("peers") if peer["status"] == "here"}
        expect(sorted(nicks.values()) == sorted(o.name for o in crew if o is not host), f"{host.name} sees {nicks}")
        members = sorted(member["nick"] for member in host.api("rooms/crew/members"))
        expect(members == [o.name for o in crew], f"{host.name}: the crew is {members}")
    expect(toll["captured"] > 100 and toll["plain"] == 0, f"captured {toll['captured']}, readable {toll['plain']}")
    expect(toll["back"] <= toll["sent"], f"{toll['back']} bytes came back for {toll['sent']}")
    return (
        f"{OUTSIDER} s: {toll['captured']} datagrams captured, none readable; {toll['sent']} bytes sent under its own "
        f"address, {toll['back']} came back; {len(said)} private posts, each everywhere once"
    )


@check
def direct(lab):
    """Direct messages at loss: the first one opens the room, who is away gets them when both were killed meanwhile."""
    speaker, here, away, cold = lab.hosts[:4]
    lab.start(speaker, here, away, cold)
    lab.verb("loss", "all", LOSS)
    start = time.monotonic()
    speaker.run("bcast", "say", "@h2", "first", "--wait", "all", limit=20)
    first = time.monotonic() - start
    for number in range(20):
        (speaker if number % 2 else here).say(f"post {number}", "@h2" if number % 2 else "@h1")
    both = {"first", *(f"post {number}" for number in range(20))}
    for host, room in ((speaker, "@h2"), (here, "@h1")):
        wait(lambda host=host, room=room: set(host.texts(room)) == both, 20, f"{host.name} has all of {room}")
    away.daemon.end(signal.SIGKILL)
    for number in range(5):
        speaker.say(f"while away {number}", "@h3")
    speaker.daemon.end(signal.SIGKILL)
    speaker.start().ready()
    away.start().ready()
    start = time.monotonic()
    wait(lambda: len(direct_rooms(away)) == 1, 30, "who was away learns of the room")
    wait(lambda: len(away.texts("@h1")) == 5, 30, "who was away has the posts")
    back = time.monotonic() - start
    cold.daemon.end(signal.SIGTERM)
    cold.run("bcast", "say", "@h1", "without a daemon", "--wait", "all", "--timeout", "15s", limit=25)
    wait(lambda: any(room["direct"] == "h4" for room in direct_rooms(speaker)), 5, "a room of who has no daemon")
    wait(lambda: "without a daemon" in speaker.texts("@h4"), 5, "its post")
    expect([room["direct"] for room in direct_rooms(here)] == ["h1"], f"h2 has {direct_rooms(here)}")
    return (
        f"{LOSS} % loss: the first post was stored by the other after {milliseconds(first)}, 21 both ways; 5 posts to who "
        f"was away, both killed: there {back:.1f} s after its start; one without a daemon"
    )


@check
def rekeys(lab):
    """Who is shut out reads nothing said later; who was away, or rekeyed at once or apart from others, reads it all."""
    crew = lab.hosts[:6]
    first, second, third, fourth, away, out = crew
    stay = crew[:5]
    lab.start(*crew)
    first.run("bcast", "join", "crew", "--private", "--detach")
    invite = first.run("bcast", "invite", "crew")
    for host in crew[1:]:
        host.run("bcast", "join", "-", "--detach", data=invite.encode())
    wait(lambda: all(members(host) == names(crew) for host in crew), 10, "the crew is complete")
    said = round_of(crew, "before")
    lab.verb("partition", away.name)
    away.say("said alone", "crew")
    first.run("bcast", "rekey", "crew", "--without", out.name)
    wait(lambda: all(members(host) == names(stay) for host in stay[:4]), 10, "all who hear it know who is shut out")
    later = round_of(stay[:4], "without") + ["said alone"]
    out.run("bcast", "say", "crew", "let me in", code=1)
    out.run("bcast", "rekey", "crew", code=1)
    third.daemon.end(signal.SIGKILL)
    third.start().ready()
    lab.verb("heal")
    back = wait(lambda: has(away, said + later), 100, "who was away has all")
    both = [host.spawn("bcast", "rekey", "crew") for host in (second, fourth)]
    for running in both:
        expect(running.result(10)[0] == 0, f"two at once: {running.text()}")
    later += round_of(stay, "at once")
    wait(lambda: all(has(host, said + later) for host in stay), 20, "all have what was said after two rekeys at once")
    first.daemon.end(signal.SIGTERM)
    first.start().ready()
    later += round_of(stay, "again")
    wait(lambda: all(has(host, said + later) for host in stay), 20, "all have what was said after a restart")
    for host in stay:
        expect(sorted(host.texts("crew")) == sorted(said + later), f"{host.name} has {host.texts('crew')}")
        expect(members(host) == names(stay), f"{host.name}: the crew is {members(host)}")
    expect(set(out.texts("crew")) <= {*said, "said alone"}, f"who is shut out has {out.texts('crew')}")
    new = second.run("bcast", "invite", "crew")
    out.run("bcast", "join", "-", "--detach", data=new.encode())
    out.run("bcast", "say", "crew", "back", "--wait", "all", limit=20)
    wait(lambda: all(members(host) == names(crew) for host in crew), 10, "who comes back by an invite is a member again")
    return (
        f"{len(said + later)} posts, each once at whoever stays; who was away has them {milliseconds(back)} after the "
        f"heal; who is shut out has the {len(said)} of before"
    )


def names(hosts):
    return sorted(host.name for host in hosts)


def members(host):
    return sorted(member["nick"] for member in host.api("rooms/crew/members"))


def round_of(hosts, text):
    """Each host says something; returns what."""
    posts = [f"{text} {host.name}" for host in hosts]
    for host, post in zip(hosts, posts, strict=True):
        host.say(post, "crew")
    return posts


def has(host, posts):
    return set(host.texts("crew")) >= set(posts)


def direct_rooms(host):
    return [room for room in host.api("rooms") if "direct" in room]
