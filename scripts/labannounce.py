"""A check of scripts/lab: what `bcast announce` and a daemon announce, as avahi sees it."""

import signal
import time

from labhost import BUS, check, expect, milliseconds, wait

SOON = 1.5  # seconds until a service is seen: probing takes one at most, the rest is for the program to start

# A system bus and avahi under a host name of their own; then either services to publish, or, without any, a browser that
# prints what comes and goes.
AVAHI = BUS + r"""
if [[ $# = 0 ]]; then
  exec avahi-browse --no-fail --all --resolve --parsable --no-db-lookup
fi
exec avahi-publish --no-fail -s "$@"
"""

# A host name of its own for a command.
NAMED = 'hostname "$1"; shift; exec "$@"'


def avahi(host, name, *service):
    return host.spawn("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "bash", "-c", AVAHI, "avahi", name,
                      *service)


def announce(host, name, port, *more, service="_http._tcp", called=None):
    """Starts `bcast announce` on a host that is called so."""
    return host.spawn("unshare", "--uts", "bash", "-c", NAMED, "named", called or host.name, "bcast", "announce", name,
                      "--service", service, "--port", port, "--json", *more)


def unescape(text):
    r"""What avahi-browse writes as \032, or \. in a name."""
    out, at = b"", 0
    raw = text.encode()
    while at < len(raw):
        if raw[at:at + 1] == b"\\" and raw[at + 1:at + 4].isdigit():
            out, at = out + bytes([int(raw[at + 1:at + 4])]), at + 4
        elif raw[at:at + 1] == b"\\":
            out, at = out + raw[at + 1:at + 2], at + 2
        else:
            out, at = out + raw[at:at + 1], at + 1
    return out.decode()


def resolved(browser):
    """What avahi has resolved and not lost since, by name: host, IPv4 address, port, texts."""
    found = {}
    for _, line in list(browser.lines):
        fields = line.split(";")
        if len(fields) < 6 or fields[2] != "IPv4":
            continue
        name = unescape(fields[3])
        if fields[0] == "-":
            found.pop(name, None)
        if fields[0] == "=":
            found[name] = (fields[6], fields[7], int(fields[8]), fields[9])
    return found


def told(announcing):
    """Names and host names that `bcast announce` says to have by mDNS."""
    return [(line["name"], line.get("host", "")) for line in announcing.objects() if line["by"] == "mdns"]


@check
def announced(lab):
    """avahi sees what bcast announces; names that avahi has are left to it; after a goodbye it is gone; nobody answers for who crashed."""
    lab.dirty = True
    browser = avahi(lab[2], "h2")
    first = avahi(lab[1], "twin", "Shelf", "_http._tcp", "8080", "from=avahi")
    wait(lambda: "Shelf" in resolved(browser), 15, "avahi sees avahi")

    start = time.monotonic()
    web = announce(lab[3], "Web 1.0 · käse", 80, "--txt", "path=/")
    wait(lambda: "Web 1.0 · käse" in resolved(browser), 5, "avahi sees the service")
    seen = time.monotonic() - start
    want = ("h3.local", lab[3].address, 80, '"path=/"')
    expect(resolved(browser)["Web 1.0 · käse"] == want and seen < SOON, resolved(browser), milliseconds(seen))

    # A host and a service of names that an avahi host has; then an avahi host comes to names that bcast has.
    twin = announce(lab[4], "Shelf", 8081, called="twin")
    desk = announce(lab[5], "Desk", 90, called="second")
    wait(lambda: "Shelf (2)" in resolved(browser) and "Desk" in resolved(browser), 10, "the second shelf")
    late = avahi(lab[6], "second", "Desk", "_http._tcp", "91", "from=avahi")
    wait(lambda: "Desk #2" in resolved(browser), 15, "avahi takes another name")
    now = resolved(browser)
    expect(now["Shelf"] == ("twin.local", lab[1].address, 8080, '"from=avahi"'), "avahi's shelf:", now)
    expect(now["Shelf (2)"][:3] == ("twin-2.local", lab[4].address, 8081), "bcast's shelf:", now, told(twin))
    expect(now["Desk"][:3] == ("second.local", lab[5].address, 90), "bcast's desk:", now, told(desk))
    expect(now["Desk #2"][:3] == ("second-2.local", lab[6].address, 91), "avahi's desk:", now)
    expect(told(twin)[-1] == ("Shelf (2)", "twin-2.local"), "twin says", told(twin))

    both = [announce(lab[n], "Both", 70 + n) for n in (7, 8)]
    wait(lambda: {"Both", "Both (2)"} <= set(resolved(browser)), 10, "two of one name")
    expect({resolved(browser)[name][1] for name in ("Both", "Both (2)")} == {lab[7].address, lab[8].address}, resolved(browser))

    # A daemon tells of itself and of what its file says; `bcast discover` has it as one device.
    lab[9].run("mkdir", "-p", lab[9].home)
    lab[9].run("tee", lab[9].home + "/announce.toml",
               data=b"[[service]]\nname = 'Always'\ntype = '_ipp._tcp'\nport = 631\n")
    lab[9].start().ready()
    wait(lambda: {"Always", "h9"} <= set(resolved(browser)), 5, "avahi sees the daemon")
    expect(resolved(browser)["h9"][2] == 27475, resolved(browser)["h9"])
    found = lab[10].spawn("bcast", "discover", "--json", "--for", "3s")
    found.result(10)
    h9 = [d for d in found.objects() if lab[9].address in d["addrs"]]
    expect(len(h9) == 1 and {"bcast", "mdns"} <= set(h9[0]["found_by"]), "discover has h9 as", h9)
    expect({s["type"] for s in h9[0]["services"]} == {"_bcast._udp", "_ipp._tcp"}, "services of h9:", h9[0]["services"])

    web.end(signal.SIGINT)
    gone = wait(lambda: "Web 1.0 · käse" not in resolved(browser), 3, "the goodbye")
    lab[9].daemon.end()
    wait(lambda: not {"Always", "h9"} & set(resolved(browser)), 3, "the daemon's goodbye")
    both[0].end(signal.SIGKILL)
    name = next(name for name, entry in resolved(browser).items() if entry[1] == lab[7].address)
    found = lab[10].spawn("bcast", "discover", "--json", "--for", "3s")
    found.result(10)
    named = {s.get("name") for d in found.objects() for s in d["services"]}
    expect("Desk" in named and name not in named, f"nobody answers for {name}, but found {named}")
    expect(name in resolved(browser), "what was said without a goodbye is remembered")
    expect(first.alive() and late.alive(), "avahi is there")
    return f"seen by avahi {milliseconds(seen)} after the start, gone {milliseconds(gone)} after Ctrl-C"
