"""A check of scripts/lab: what `bcast announce` and a daemon announce by SSDP, as gssdp-discover and curl see it."""

import re
import signal
import time
import xml.etree.ElementTree as ElementTree

from labannounce import announce
from labhost import check, expect, milliseconds, wait

SOON = 1.0  # seconds until a device is seen: a tenth of one is drawn at random, the rest is for the program to start
FLOOD = 5  # seconds
SEARCHES = 4000
BASIC = "urn:schemas-upnp-org:device:Basic:1"
NAMESPACE = "{urn:schemas-upnp-org:device-1-0}"

# Counts what comes to a port of this host from an address, and what that sends to the group, until it is interrupted.
COUNT = r"""
import json, select, signal, socket, sys
address, port, watched = sys.argv[1], int(sys.argv[2]), sys.argv[3]
alone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
alone.bind((address, port))
group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
group.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
group.bind(("239.255.255.250", 1900))
group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(address))
counts = {"alone": 0, "bytes": 0, "group": 0}
def end(*_):
    print(json.dumps(counts), flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
while True:
    ready, _, _ = select.select([alone, group], [], [])
    for link in ready:
        data, source = link.recvfrom(65535)
        if source[0] == watched:
            counts["alone" if link is alone else "group"] += 1
            counts["bytes"] += len(data) if link is alone else 0
"""

# Searches with the sources of others, and what else a stranger may send, for some seconds; prints how many bytes went out
# in the name of the first source.
HOSTILE = r"""
import random, socket, struct, sys, time
victim, port, seconds, count = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def search(target, mx="1", more="", man='"ssdp:discover"'):
    return (f"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: {man}\r\nMX: {mx}\r\nST: {target}\r\n"
            f"{more}\r\n").encode()
def send(source, source_port, data):
    udp = struct.pack("!HHHH", source_port, 1900, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 4, 17, 0, socket.inet_aton(source),
                       socket.inet_aton("239.255.255.250"))
    raw.sendto(head + udp, ("239.255.255.250", 0))
basic = "urn:schemas-upnp-org:device:Basic:1"
honest = [search("ssdp:all"), search("upnp:rootdevice"), search(basic, "3"), search("upnp:rootdevice", more="X: " + "x" * 400 + "\r\n"),
          search("ssdp:all", "2147483647"), search(basic, more="X: " + "x" * 1000 + "\r\n")]
odd = [search("ssdp:all", mx) for mx in ("0", "-1", "1e9", "9" * 300, "\x1b[2J", "")]
odd += [search("ssdp:\x1b[2Jall"), search("ssdp:all\0"), search("ssdp:all", man="ssdp:discover"), b"", b"\r\n\r\n", b"M-SEARCH ",
        search("ssdp:all", more="".join(f"h{n}: x\r\n" for n in range(60))), search("x" * 1300), b"M-SEARCH * HTTP/1.1\r\n" + b":" * 1300,
        b"NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\nNTS: ssdp:byebye\r\nUSN: uuid:1::upnp:rootdevice\r\n\r\n"]
sent = 0
for n in range(count):
    data = honest[n % len(honest)] if n % 3 else odd[n % len(odd)]
    send(victim, port, data)
    sent += len(data)
    send("192.0.2.7", port, honest[n % len(honest)])
    time.sleep(seconds / count)
print(sent, flush=True)
"""

# Connects a hundred times, says nothing, and stays for a while.
SILENT = r"""
import socket, sys, time
links = []
for _ in range(100):
    links.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5))
print("ready", flush=True)
time.sleep(30)
"""


def browse(host, *words):
    return host.spawn("gssdp-discover", "--interface", "e0", "--message-type", "all", *words)


def found(browser):
    """What gssdp-discover has and has not lost since: locations by USN."""
    there, kind, name = {}, "", ""
    for _, line in list(browser.lines):
        key, _, value = line.strip().partition(":")
        if key.startswith("resource "):
            kind = key
        elif key == "USN":
            name = value.strip()
            if kind == "resource unavailable":
                there.pop(name, None)
        elif key == "Location" and kind == "resource available":
            there[name] = value.strip()
    return there


def device(host, location):
    """The device of a description, read with curl."""
    text = host.run("curl", "-sS", "--fail", "--max-time", "3", location)
    return ElementTree.fromstring(text.encode()).find(NAMESPACE + "device")


def field(entry, name):
    return entry.findtext(NAMESPACE + name)


def located(announcing):
    """Where `bcast announce` says that a service is described."""
    def told():
        return [line["location"] for line in announcing.objects() if line["by"] == "ssdp" and "location" in line]
    wait(told, 5, "the location")
    return told()[-1]


def discovered(host, address):
    """The device of an address, as `bcast discover` on a host lists it."""
    looking = host.spawn("bcast", "discover", "--json", "--for", "3s")
    looking.result(10)
    devices = [d for d in looking.objects() if address in d["addrs"]]
    expect(len(devices) == 1, f"{address} is {len(devices)} devices")
    return devices[0]


def by_ssdp(entry):
    return [e for e in entry["evidence"] if e["by"] == "ssdp" and not e.get("gone")]


@check
def announced_ssdp(lab):
    """gssdp-discover sees what bcast announces, curl reads it, a goodbye removes it; searches in others' names reach nobody."""
    lab.dirty = True
    browser = browse(lab[2])
    wait(lambda: any("Scanning" in line for _, line in list(browser.lines)), 5, "gssdp-discover is up")
    start = time.monotonic()
    web = announce(lab[3], "Web 1.0 · käse", 80, "--txt", "path=/start?a=1&b=2")
    location = located(web)
    wait(lambda: list(found(browser).values()).count(location) == 3, 5, "gssdp-discover sees the device")
    seen = time.monotonic() - start
    expect(seen < SOON, "seen", milliseconds(seen), "after the start")
    entry = device(lab[5], location)
    uuid = field(entry, "UDN")
    expect(field(entry, "friendlyName") == "Web 1.0 · käse" and field(entry, "deviceType") == BASIC and
           field(entry, "presentationURL") == f"http://{lab[3].address}:80/start?a=1&b=2", ElementTree.tostring(entry))
    expect(set(found(browser)) == {uuid, f"{uuid}::upnp:rootdevice", f"{uuid}::{BASIC}"}, found(browser))

    # Who comes later asks: for all, for a kind, for one. Two hosts have one name, a daemon its file, and one says nothing.
    for target, want in (("ssdp:all", 3), ("upnp:rootdevice", 1), (BASIC, 1), (uuid, 1)):
        late = browse(lab[4], "--target", target)
        wait(lambda late=late, want=want: len(found(late)) == want, 4, f"an answer to {target}")
        late.end()
    for number, flags in ((8, ["--ssdp", "off"]), (9, [])):
        lab[number].run("mkdir", "-p", lab[number].home)
        lab[number].run("tee", lab[number].home + "/announce.toml",
                        data=b"[[service]]\nname = 'Always'\ntype = '_ipp._tcp'\nport = 631\n")
        lab[number].start(*flags).ready()
    lab[1].start().ready()
    wait(lambda: f"http://{lab[9].address}" in " ".join(found(browser).values()), 5, "the daemon's file is announced")
    time.sleep(1)
    expect({address for address in re.findall(r"http://([^:]*)", " ".join(found(browser).values()))} ==
           {lab[3].address, lab[9].address}, found(browser))
    for number, want in ((1, 0), (8, 0), (9, 1)):
        others = [line for line in lab[number].run("ss", "-Hltn").splitlines() if ":27475 " not in line]  # for streams of peers
        expect(len(others) == want, f"h{number} takes connections at", others)
    once = discovered(lab[6], lab[3].address)
    expect(len(by_ssdp(once)) == 1 and {"bcast", "mdns", "ssdp"} <= set(once["found_by"]) and
           [s["name"] for s in once["services"]] == ["Web 1.0 · käse"], once)

    # In the name of h10, and of who is not here; beside them connections that say nothing.
    lab[3].run("nft", "-f", "-", data=b"table ip away { chain out { type filter hook output priority 0; "
                                      b"ip daddr 192.0.2.0/24 counter; }; }")
    counting = lab[10].spawn("python3", "-c", COUNT, lab[10].address, 4000, lab[3].address)
    silent = lab[7].spawn("python3", "-c", SILENT, lab[3].address, location.rsplit(":", 1)[1].split("/")[0])
    for helper in (counting, silent):
        wait(lambda helper=helper: any("ready" in line for _, line in list(helper.lines)), 10, "a helper is ready")
    sent = int(lab[7].run("python3", "-c", HOSTILE, lab[10].address, 4000, FLOOD, SEARCHES, limit=60))
    expect(field(device(lab[5], location), "UDN") == uuid, "the description beside silent connections")
    with open(f"/proc/{web.pid}/status", encoding="ascii") as status:
        resident = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
    late = browse(lab[4], "--target", uuid)
    wait(lambda: found(late) == {uuid: location}, 4, "an answer after the flood")
    counting.end(signal.SIGINT)
    counts = counting.objects()[-1]
    away = lab[3].run("nft", "list", "table", "ip", "away")
    lab[3].run("nft", "delete", "table", "ip", "away")
    expect("packets 0 " in away, "datagrams to who is not on the link:", away)
    expect(0 < counts["bytes"] <= sent and counts["alone"] <= 10 * (FLOOD + 6), counts, f"for {sent} bytes")
    expect(counts["group"] <= 10 * (FLOOD + 6) + 30 and resident < 64, counts, f"{resident:.0f} MiB")

    web.end(signal.SIGINT)
    gone = wait(lambda: location not in found(browser).values(), 1, "the goodbye")
    expect(not by_ssdp(discovered(lab[6], lab[3].address)), "discover has it after its goodbye")
    lab[9].daemon.end()
    wait(lambda: not found(browser), 1, "the daemon's goodbye")
    return (f"seen by gssdp-discover {milliseconds(seen)} after the start, gone {milliseconds(gone)} after Ctrl-C; {2 * SEARCHES} "
            f"hostile searches: {counts['bytes']} bytes for {sent} to their victim, {counts['group']} notices to the group, "
            f"{resident:.0f} MiB")
