"""Checks of scripts/lab: interfaces and addresses that come, go and change under running daemons."""

import json
import subprocess
import time

from labhost import NAME, check, expect, milliseconds, wait

LIMIT = 2  # seconds until peers agree on a new address
VIRTUAL = {"vpn9": "ip tuntap add dev vpn9 mode tun", "box9": "ip link add name box9 type bridge"}


def ip(host, *lines):
    """Runs commands of iproute2 in a host."""
    for line in lines:
        subprocess.run(["ip", "netns", "exec", f"{NAME}-{host.name}", *line.split()], check=True, capture_output=True)


def switch(*lines):
    for line in lines:
        subprocess.run(["ip", "-n", f"{NAME}-switch", *line.split()], check=True, capture_output=True)


def at(host, mover):
    """Where a daemon has a peer: its status and address."""
    for peer in host.api("peers") or []:
        if peer["nick"] == mover.name:
            return peer["status"], peer["addr"].rpartition(":")[0]
    return "", ""


def agree(others, mover, address):
    """Waits until others have the mover here at an address, and it has them; returns the seconds."""
    here = ("here", address)
    return wait(lambda: all(at(o, mover) == here for o in others) and mover.sees(others), LIMIT,
                f"{mover.name} at {address}")


def used(host):
    """Names of the interfaces that a daemon uses, and why it does not use others."""
    listed = host.api("status")["interfaces"]
    return [i["name"] for i in listed if i["used"]], {i["name"]: i.get("reason", "") for i in listed}


@check
def interfaces(lab):
    """Down, up, another address, another bridge, one more interface, VPNs: peers agree, and no post is lost."""
    mover, others, cafe = lab[3], lab.hosts[:2], lab[4]
    lab.verb("move", cafe.name, "b")
    lab.start(mover, *others)
    cafe.start().ready()
    said, took = [], {}

    def talk(what, hosts):
        """Everybody speaks while it goes on."""
        for host in hosts:
            said.append(f"{what}, says {host.name}")
            host.say(said[-1])

    def level(hosts, limit):
        return wait(lambda: all(sorted(h.texts()) == sorted(said) for h in hosts), limit, "all posts everywhere")

    everyone = [mover, *others]
    talk("before", everyone)
    ip(mover, "ip link set e0 down")
    wait(lambda: "e0" not in used(mover)[0], 1, "e0 down is noticed")
    talk("while it is down", everyone)
    ip(mover, "ip link set e0 up", "ip route replace default via 10.77.0.254")
    took["up, level"] = level(everyone, LIMIT)

    lab.verb("address", mover.name, "10.77.0.203")
    took["address"] = agree(others, mover, "10.77.0.203")
    talk("at another address", everyone)
    ip(mover, "ip addr add 10.77.0.213/24 brd + dev e0")  # a second one changes nothing for the others
    talk("at two addresses", everyone)
    level(everyone, 5)

    subprocess.run(["ip", "-n", f"{NAME}-switch", "link", "add", "w3", "type", "veth", "peer", "name", "e1",
                    "netns", f"{NAME}-{mover.name}"], check=True)
    switch("link set w3 master b up")
    ip(mover, "ip addr add 10.78.0.103/24 brd + dev e1", "ip link set e1 up")
    took["added"] = agree([cafe], mover, "10.78.0.103")
    for net, (name, line) in enumerate(VIRTUAL.items()):
        ip(mover, line, f"ip addr add 10.99.{net}.1/24 brd + dev {name}", f"ip link set {name} up")
    wait(lambda: "box9" in used(mover)[1], 1, "what is virtual is noticed")
    names, reasons = used(mover)
    expect(names == ["e0", "e1"], f"used: {names}")
    expect("VPN" in reasons["vpn9"] and "bridge of containers" in reasons["box9"], f"reasons: {reasons}")
    listed = [json.loads(line) for line in mover.run("bcast", "ifaces", "--json", "e*", "!e0").splitlines()]
    expect([i["name"] for i in listed if i["used"]] == ["e1"], f"with patterns: {listed}")
    ip(mover, "ip link del e1", "ip link del box9", "ip link del vpn9")
    wait(lambda: used(mover)[0] == ["e0"], 1, "what is gone is noticed")

    lab.verb("move", mover.name, "b")
    took["moved"] = agree([cafe], mover, "10.78.0.3")
    cafe.say("welcome")
    wait(lambda: "welcome" in mover.texts() and cafe.texts() == ["welcome"], 5, "the other network's posts")
    talk("without it", others)
    lab.verb("move", mover.name, "a")
    took["back"] = agree(others, mover, mover.address)
    wait(lambda: set(said) <= set(mover.texts()), 10, "what was missed meanwhile")
    for other in others:
        expect(sorted(other.texts()) == sorted(said), f"{other.name}: {other.texts()}")
    time.sleep(1)
    expect(len(mover.texts()) == len(said) + 1, f"{mover.name} shows {mover.texts()}")
    return ", ".join(f"{what} {milliseconds(seconds)}" for what, seconds in took.items()) + f" (limit {LIMIT} s)"


def six_only(host):
    ip(host, "ip addr flush dev e0 scope global")


def ipv6(host, on):
    """Has a host have IPv6 or not. An IPv4 address that was taken away the lab gives back by itself."""
    subprocess.run(host.argv("sysctl", "-qw", f"net.ipv6.conf.e0.disable_ipv6={0 if on else 1}"), check=True)


def link_local(host):
    """Whether a host is sure of its link-local address."""
    done = subprocess.run(host.argv("ip", "-6", "-o", "addr", "show", "dev", "e0", "scope", "link"),
                          capture_output=True, text=True, check=True)
    return "inet6" in done.stdout and "tentative" not in done.stdout


@check
def mixed(lab):
    """Three hosts of IPv4 alone, three of IPv6 alone, four of both in one room: all posts everywhere, in one order."""
    fours, sixes, both = lab.hosts[:3], lab.hosts[3:6], lab.hosts[6:]
    lab.verb("heal")  # what changes now is to be undone
    for host in sixes + both:
        wait(lambda host=host: link_local(host), 5, f"{host.name} has a link-local address")
    try:
        for host in fours:
            ipv6(host, False)
        for host in sixes:
            six_only(host)
        return mix(lab, fours, sixes, both)
    finally:
        for host in fours:
            ipv6(host, True)


def mix(lab, fours, sixes, both):
    for host in lab.hosts:
        host.start()
    for host in lab.hosts:
        host.ready()
    for host in lab.hosts:
        heard = [o for o in lab.hosts if not (host in fours and o in sixes or host in sixes and o in fours)]
        wait(lambda host=host, heard=heard: host.sees(heard), 10, f"{host.name} sees those of its families")
    for host in both:
        expect(len(host.api("peers")) == len(lab.hosts) - 1, f"{host.name} has {host.peers()}")
        for peer in host.api("peers"):
            expect(("fe80" in peer["addr"]) == (peer["nick"] in {o.name for o in sixes}), f"{host.name}: {peer['addr']}")
    time.sleep(2)
    said, worst = [], {}
    for n in range(3):
        for host in lab.hosts:
            said.append(f"{host.name} says {n}" + " long" * (600 if n == 2 else 0))
            start = time.monotonic()
            host.say(said[-1])
            spoken = time.monotonic() - start
            wait(lambda: all(len(o.texts()) == len(said) for o in lab.hosts), 2, f"{said[-1][:12]} everywhere")
            kind = "from IPv4" if host in fours else "from IPv6" if host in sixes else "from both"
            worst[kind] = max(worst.get(kind, 0), time.monotonic() - start - spoken)
    took = missed(sixes[0], fours[0], said)
    for host in lab.hosts:
        wait(lambda host=host: len(host.texts()) == len(said), 10, f"{host.name} has all")
        expect(sorted(host.texts()) == sorted(said), f"{host.name} shows {len(host.texts())} posts")
    lab.in_one_order()
    found = [json.loads(line) for line in both[-1].run("bcast", "discover", "--json", "--for", "2s").splitlines()]
    names = sorted(device["name"] for device in found if device["kind"] == "bcast")
    expect(names == sorted(o.name for o in lab.hosts[:-1]), f"discover lists {names}")  # each once, whatever it has
    return f"{len(said)} posts on 10 hosts once, in one order; 400 kB missed came after {took:.1f} s; " + ", ".join(
        f"{kind} within {milliseconds(seconds)}" for kind, seconds in sorted(worst.items()))


def missed(away, voice, said):
    """What one of IPv6 alone missed that one of IPv4 alone said comes by a stream; returns the seconds."""
    away.daemon.end()
    for n in range(25):
        said.append(f"missed {n} " + "long " * 3200)
        voice.say(said[-1])
    away.start().ready()
    return wait(lambda: len(away.texts()) == len(said), 5, "what was missed")
