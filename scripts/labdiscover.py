"""A check of scripts/lab: `bcast discover` among devices of other programs.

DISCOVER (default 3) is how many runs of `discover` must all be right.
"""

import json
import os
import re
import signal
import statistics
import time
from collections import Counter

from labhost import BUS, Failed, check, expect, milliseconds, wait

RUNS = int(os.environ.get("DISCOVER", "3"))
UUID = "uuid:6f1e2d3c-0000-1000-8000-00000000beef"
CONTENT = "urn:schemas-upnp-org:service:ContentDirectory:1"

# A system bus and avahi, under a host name of their own. The first service ends when there is a file "stop" in the home.
AVAHI = BUS + r"""
for service; do
  IFS='|' read -r name kind port text <<<"$service"
  avahi-publish --no-fail -s "$name" "$kind" "$port" "$text" 2>&1 &
  first=${first:-$!}
done
until [[ -e $BCAST_HOME/stop ]]; do sleep 0.05; done
kill "$first"
wait
"""

# A media server: minissdpd answers for it, and its description is fetched.
SHELF = r"""
import http.server, os, socket, subprocess, sys, time
address, uuid, content = sys.argv[1:]
folder = os.environ["BCAST_HOME"]
os.makedirs(folder, exist_ok=True)
path = folder + "/minissdpd.sock"
subprocess.Popen(["minissdpd", "-d", "-i", "e0", "-s", path, "-p", folder + "/minissdpd.pid"],
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
location = f"http://{address}:8200/root.xml"
device = "urn:schemas-upnp-org:device:MediaServer:1"
def string(text):
    assert len(text) < 128
    return bytes([len(text)]) + text.encode()
while not os.path.exists(path):
    time.sleep(0.05)
for target in ("upnp:rootdevice", uuid, device, content):
    link = socket.socket(socket.AF_UNIX)
    link.connect(path)
    usn = uuid if target == uuid else uuid + "::" + target
    link.sendall(b"\x04" + string(target) + string(usn) + string("lab/1 UPnP/1.0 shelf/1") + string(location))
    link.close()
document = f'''<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>{device}</deviceType><friendlyName>Shelf</friendlyName><manufacturer>Lab</manufacturer>
<modelName>One</modelName><UDN>{uuid}</UDN><serviceList><service><serviceType>{content}</serviceType>
<serviceId>urn:upnp-org:serviceId:ContentDirectory</serviceId></service></serviceList></device></root>'''.encode()
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)
    def log_message(self, *_):
        pass
print("ready", flush=True)
http.server.HTTPServer((address, 8200), Server).serve_forever()
"""

# Without a resolver, which wsdd would wait for.
WSDD = "mount --bind /dev/null /etc/resolv.conf && exec wsdd -i e0 -n h4 -v"

# What wsdd says when it ends, or not: it may close its sockets before. By both families, as it does.
BYE = r"""
import socket, sys
message = f'''<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">
<s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Bye</a:Action></s:Header>
<s:Body><d:Bye><a:EndpointReference><a:Address>urn:uuid:{sys.argv[1]}</a:Address></a:EndpointReference></d:Bye></s:Body>
</s:Envelope>'''.encode()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(message, ("239.255.255.250", 3702))
index = socket.if_nametoindex("e0")
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(message, ("ff02::c", 3702, 0, index))
"""

# An ARP announcement of an address, as who takes it sends one (RFC 5227).
CLAIM = r"""
import socket, sys
address = socket.inet_aton(sys.argv[1])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("e0", 0))
card = link.getsockname()[4]
link.send(b"\xff" * 6 + card + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + card + address + bytes(6) + address)
"""

# What a watching daemon is to do: a line for each event, in a file of its home.
HOOKS = "".join(f"""
[[hook]]
on = "{on}"
kind = "*"
exec = 'echo {on} "${{BCAST_NAME:-$BCAST_ADDR}}" $BCAST_WHAT >>$BCAST_HOME/news'
""" for on in ("device-new", "device-lost", "device-back", "address-conflict", "name-conflict"))

SERVICES = {
    1: ["Printer|_ipp._tcp|631|rp=x", "Web 1.0 on h1|_http._tcp|80|path=/", "Shell|_ssh._tcp|22|u=me"],
    2: ["Web|_http._tcp|8080|path=/two", "Käse|_sftp-ssh._tcp|22|u=me", "Time|_ntp._udp|123|stratum=1"],
    5: ["Six|_http._tcp|80|only=v6"],
}


def alone(host, *words):
    """Starts a command with processes, mounts and a host name of its own, all of which end with it."""
    return host.spawn("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", *words)


def publish(host):
    """Starts avahi with the services of a host."""
    return alone(host, "bash", "-c", AVAHI, "avahi", host.name, *SERVICES[host.number])


def published(number):
    """The services of a host as `discover` has to list them."""
    services = []
    for entry in SERVICES[number]:
        name, kind, port, text = entry.split("|")
        services.append((kind, name, int(port), text))
    return sorted(services)


def services(device):
    return sorted((s["type"], s.get("name", ""), s.get("port", 0), " ".join(s.get("txt", [])))
                  for s in device["services"])


def link_local(host):
    """The link-local IPv6 address of a host, as h10 writes it."""
    text = host.run("ip", "-6", "-o", "addr", "show", "dev", "e0", "scope", "link")
    return text.split("inet6 ")[1].split("/")[0] + "%e0"


def expected(lab):
    """What is on the subnet beside h10: who it is by name, and then what must be said of it."""
    devices = {
        "Shelf": (lab[3].address, "media server", [(CONTENT, "", 0, "")]),
        "h4": (lab[4].address, "computer", [("pub:Computer", "", 0, ""), ("wsdp:Device", "", 0, "")]),
        "h5": (link_local(lab[5]), "host", published(5)),
        "": (lab[6].address, "host", []),
    }
    for number in (1, 2):
        devices[f"h{number}"] = (lab[number].address, "host", published(number))
    for number in (7, 8, 9):
        itself = ("_bcast._udp", f"h{number}", 27475, "id=" + lab[number].api("status")["id"])
        devices[f"h{number}"] = (lab[number].address, "bcast", [itself])
    return devices


def right(devices, want):
    """What is wrong with a list of devices; empty if it is right."""
    gateway = "10.77.0.254"
    devices = [d for d in devices if gateway not in d["addrs"]]
    names = sorted(d["name"].lower() for d in devices)
    if names != sorted(name.lower() for name in want):
        return f"found {names}, want {sorted(want)}: {devices}"
    for device in devices:
        address, kind, offers = next(value for name, value in want.items() if name.lower() == device["name"].lower())
        if address not in device["addrs"] or device["kind"] != kind or services(device) != sorted(offers):
            return f"want {address} {kind} {offers}: {device}"
    return ""


def started(lab):
    """Starts everybody; returns what may be ended later: avahi of h1, wsdd."""
    lab.dirty = True
    lab[5].run("ip", "-4", "addr", "flush", "dev", "e0")
    avahis = [publish(lab[n]) for n in (1, 2, 5)]
    shelf = alone(lab[3], "python3", "-c", SHELF, lab[3].address, UUID, CONTENT)
    windows = lab[4].spawn("unshare", "--mount", "bash", "-c", WSDD)
    lab.start(*lab.hosts[6:10])
    lab[10].run("bcast", "sendto", f"{lab[6].address}:9", "x", "--count", "1")
    for n, avahi in zip((1, 2, 5), avahis):
        try:
            wait(lambda n=n, avahi=avahi: avahi.text().count("Established") == len(SERVICES[n]), 15, f"avahi of h{n}")
        except Failed as failure:
            raise Failed(f"{failure}: {avahi.text()}") from None
    wait(lambda: "scheduling Hello" in windows.text(), 10, "wsdd")
    wait(lambda: "ready" in shelf.text(), 10, "media server")
    return avahis[0], windows


def shown_at(screen, kind):
    """When something found in a way was shown first; none if it was not."""
    return next((at for at, text in screen.lines if kind in json.loads(text)["found_by"]), None)


def first_peer(host):
    """How long `discover --watch` takes from its start, without a daemon, until it shows a peer: the median of ten."""
    took = []
    for _ in range(10):
        start = time.monotonic()
        screen = host.spawn("bcast", "discover", "--watch", "--json")
        wait(lambda: shown_at(screen, "bcast"), 5, "a peer")
        took.append(shown_at(screen, "bcast") - start)
        screen.end(signal.SIGINT)
    return statistics.median(took)


def watched(lab, first, windows):
    """What `discover --watch` shows of who comes and goes, by itself; returns how long things took."""
    lab[10].daemon.end()
    peer = first_peer(lab[10])
    start = time.monotonic()
    screen = lab[10].spawn("bcast", "discover", "--watch", "--json")

    def last(name):
        shown = [d for d in screen.objects() if d["name"].lower() == name]
        return shown[-1] if shown else None

    wait(lambda: last("h1") and len(last("h1")["services"]) == 3, 5, "h1 and its services")
    wait(lambda: last("h4") and last("h4")["status"] == "seen", 5, "h4")
    wait(lambda: last("h7"), 5, "h7")
    took = f"{milliseconds(shown_at(screen, 'mdns') - start)} by mDNS"
    windows.end(signal.SIGKILL)
    lab[4].run("python3", "-c", BYE, last("h4")["uuid"])
    gone = wait(lambda: last("h4")["status"] == "gone", 2, "h4 said Bye")
    lab[1].run("touch", f"{lab[1].home}/stop")
    less = wait(lambda: len(last("h1")["services"]) == 2, 3, "the printer of h1 said goodbye")
    expect(first.alive() and last("h1")["status"] == "seen", "h1 is there:", last("h1"))
    screen.end(signal.SIGINT)
    return (f"a peer {milliseconds(peer)} after the start, {took}; gone after {milliseconds(gone)} by WS-Discovery, "
            f"a service after {milliseconds(less)} by mDNS")


@check
def discover(lab):
    """Ten hosts: two and one more without IPv4 with avahi, minissdpd, wsdd, four with bcast, one that says nothing."""
    first, windows = started(lab)
    want = expected(lab)
    time.sleep(1)  # wsdd and avahi answer once a second at most, and have just announced themselves
    for run in range(RUNS):
        text = lab[10].spawn("bcast", "discover", "--json", "--for", "3s")
        code, output = text.result(10)
        wrong = right(text.objects(), want)
        expect(code == 0 and not wrong, f"run {run + 1}: exit {code}: {wrong or output}")
    lines = lab[10].spawn("bcast", "discover", "--json", "--service", "_http._tcp", "--for", "2s")
    lines.result(10)
    names = sorted(d["name"] for d in lines.objects())
    expect(names == ["h1", "h2", "h5"], f"--service _http._tcp lists {names}")
    lab[10].run("ip", "neigh", "flush", "dev", "e0")
    silent = {}
    for flags in ((), ("--probe",)):
        lines = lab[10].spawn("bcast", "discover", "--json", "--for", "3s", *flags)
        lines.result(10)
        silent[flags] = any(lab[6].address in d["addrs"] for d in lines.objects())
    expect(silent == {(): False, ("--probe",): True}, f"who is silent is found: {silent}")
    return f"{RUNS} runs right, {len(want)} devices; " + watched(lab, first, windows)


@check
def devices(lab):
    """A daemon that watches, in the midst of avahi, wsdd, two with bcast and one silent: hooks, memory, conflicts."""
    lab.dirty = True
    watcher, silent, windows = lab[10], lab[6], lab[4].spawn("unshare", "--mount", "bash", "-c", WSDD)
    publish(lab[1])
    os.makedirs(watcher.home, exist_ok=True)
    with open(f"{watcher.home}/hooks.toml", "w", encoding="utf-8") as file:
        file.write(HOOKS)

    def said():
        """What hooks said so far."""
        with open(f"{watcher.home}/news", "a+", encoding="utf-8") as file:
            file.seek(0)
            return [" ".join(line.lower().split()) for line in file]

    def news(*lines):
        """Waits until hooks have said these lines, and forgets what they said; returns how long that took, and the rest."""
        try:
            took = wait(lambda: set(lines) <= set(said()), 40, "hooks")
        except Failed as failure:
            raise Failed(f"{failure}: {said()}, want {lines}: {watcher.daemon.text()[-800:]}") from None
        # The gateway, and hosts on which nothing runs, are neighbours when the kernel has happened to ask for them.
        kernels = re.compile(r"device-\w+ (fe80:|10\.77\.0\.254$)")
        rest = [line for line in (Counter(said()) - Counter(lines)).elements() if not kernels.match(line)]
        os.remove(f"{watcher.home}/news")
        return took, rest

    def known(*flags):
        """What the daemon remembers, by name."""
        listed = watcher.spawn("bcast", "discover", "--json", *flags)
        expect(listed.result(5)[0] == 0, "discover:", listed.text())
        found = [d for d in listed.objects()
                 if "10.77.0.254" not in d["addrs"] and (d["name"] or any("10.77." in a for a in d["addrs"]))]
        names = Counter(d["name"].lower() for d in found if d["name"])  # two cards may have no name and one address
        expect(set(names.values()) == {1}, "a name is listed twice:", names)
        return {d["name"].lower(): d for d in found}

    lab[7].start().ready()
    lab[8].start().ready()
    watcher.start().ready()
    watcher.run("bcast", "sendto", f"{silent.address}:9", "x", "--count", "1")
    came, rest = news("device-new h1", "device-new h4", "device-new h7", "device-new h8",
                      f"device-new {silent.address}")
    expect(rest == [], "hooks also said", rest)
    listed = known()
    expect({"h1", "h4", "h7", "h8", ""} == set(listed), "the daemon remembers", listed)
    first = listed["h4"]["first_seen"]

    windows.end(signal.SIGKILL)
    lab[4].run("python3", "-c", BYE, listed["h4"]["uuid"])
    lab[7].daemon.end()
    went, rest = news("device-lost h4", "device-lost h7")
    expect(rest == [], "hooks also said", rest)
    expect("h4" not in known() and known("--all")["h4"]["status"] == "gone", "h4 is here:", known("--all")["h4"])

    lab[8].run("bcast", "nick", "h1")
    news("name-conflict h1 h1")
    lab[8].run("bcast", "nick", "h8")
    for host in (lab[5], silent, lab[5]):
        host.run("python3", "-c", CLAIM, silent.address)
        time.sleep(2.5)  # the neighbour table keeps to an answer for a second, and is read once a second
    news(f"address-conflict {silent.address} {silent.address}")
    expect("change=address-conflict" in watcher.daemon.text(), "the log:", watcher.daemon.text()[-800:])

    watcher.daemon.end()
    watcher.start().ready()
    lab[7].start().ready()
    _, rest = news("device-back h7")
    expect(not any("device-new" in line for line in rest), "after a restart hooks said", rest)
    expect(known("--all")["h4"]["first_seen"] == first, "after a restart h4 is", known("--all")["h4"])
    metrics = watcher.run("curl", "-s", "--unix-socket", f"{watcher.home}/control.sock", "http://bcast/metrics")
    expect('bcast_devices{kind="bcast",status="here"} 2' in metrics, "metrics:", metrics[-600:])
    return f"five new within {milliseconds(came)}, two lost {milliseconds(went)} later, both conflicts, and a restart"
