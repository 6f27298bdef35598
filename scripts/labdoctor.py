"""A check of scripts/lab: each of ten faults is built, `bcast doctor` names it, and its command mends it.

A command of a finding is run as it stands, on the host that was examined. In capitals is what only a person knows; the
check puts it in. Two commands cannot be run in a lab: `timedatectl` would set the clock of the whole machine, and there
is but one, so it is another host's that is wrong, that of the peer of another hand (scripts/peer.py --ahead). And a
daemon ends before its command starts it with another buffer.
"""

import json
import shlex
import subprocess
import sys
import time

from labhost import NAME, check, expect, wait
from labpeer import Stranger

# Holds the shared port without sharing it.
SQUATTER = "import socket, time\ns = socket.socket(2, 2)\ns.bind(('', 27474))\nprint('held', flush=True)\ntime.sleep(60)"


def examine(host, listen="1ms"):
    """Runs the doctor; returns the exit code and the report."""
    running = host.spawn("bcast", "doctor", "--json", *(["--for", listen] if listen else []))
    code, text = running.result(20)
    reports = [o for o in running.objects() if "findings" in o]  # what its node warns of are objects, too
    expect(len(reports) == 1, f"{host.name}: doctor: exit {code}: {text[-400:]}")
    return code, reports[0]


def finding(report, code):
    return next((f for f in report["findings"] if f["code"] == code), None)


class Faults:
    """What was built so far, and how long it took."""

    def __init__(self):
        self.lines = []

    def named(self, host, code, severity="problem", listen="1ms"):
        """The doctor names a fault and leaves with the exit code of its severity; returns the finding."""
        self.start = time.monotonic()
        exit_code, report = examine(host, listen)
        found = finding(report, code)
        expect(found, f"{code} is not named: {report['verdict']} {[f['code'] for f in report['findings']]}")
        expect(found["severity"] == severity and found["command"], f"{code}: {found}")
        expect(exit_code == (severity == "problem"), f"{code}: exit {exit_code}: {report['verdict']}")
        expect(report["command"] == found["command"] and report["healthy"] == (severity != "problem"),
               f"the verdict is of {report['command']}: {report['verdict']}")
        self.shown = report["verdict"]
        return found

    def mended(self, host, code, command, listen="1ms"):
        """After its command the doctor names it no more and finds no problem."""
        exit_code, report = examine(host, listen)
        problems = [f for f in report["findings"] if f["severity"] == "problem"]
        expect(not finding(report, code) and exit_code == 0, f"{code} after {command}: exit {exit_code}: {problems}")
        self.lines.append(f"{code}: {command}  [{time.monotonic() - self.start:.1f} s]")

    def by_command(self, host, code, severity="problem", listen="1ms", on=(), **known):
        """Names a fault, runs its command on the host, and those in on, and sees that it is mended."""
        command = self.named(host, code, severity, listen)["command"]
        for word, value in known.items():
            expect(word in command, f"{code}: no {word} in {command}")
            command = command.replace(word, value)
        for one in on or [host]:
            one.run(*shlex.split(command))
        self.mended(host, code, command, listen)


def drops(host, hook):
    """A firewall that drops what is for bcast on the way in or out."""
    rules = (f"table inet wall {{\nchain {hook} {{\ntype filter hook {hook} priority 0\n"
             "udp dport 27474-27490 drop\n}\n}\n")
    host.run("nft", "-f", "-", data=rules.encode())


def firewalls(faults, host):
    for hook, code in (("input", "firewall_in"), ("output", "firewall_out")):
        drops(host, hook)
        faults.by_command(host, code)
        host.run("nft", "delete", "table", "inet", "wall")


def isolated(faults, lab, helper, one, other):
    for host in (one, other):
        lab.verb("isolate", host.name, "on")
        host.start().ready()
    for host in (one, other):
        wait(lambda host=host: host.sees([helper]), 10, f"{host.name} sees {helper.name}")
    command = faults.named(one, "isolated")["command"].replace("PORT", f"v{one.number}")
    subprocess.run(["ip", "netns", "exec", NAME + "-switch", *command.split()], check=True)
    wait(lambda: one.sees([other]), 12, f"{one.name} sees {other.name}")
    faults.mended(one, "isolated", command)


def two_subnets(faults, here, there):
    there.run("ip", "addr", "flush", "dev", "e0", "scope", "global")
    there.run("ip", "addr", "add", f"10.79.0.{there.number}/24", "brd", "+", "dev", "e0")
    there.start().ready()
    faults.by_command(here, "two_subnets", listen="4500ms", ADDRESS="10.79.0.200")
    wait(lambda: here.sees([there]), 12, f"{here.name} sees {there.name}")


def no_broadcast(faults, host):
    host.run("ip", "addr", "flush", "dev", "e0", "scope", "global")
    host.run("ip", "addr", "add", f"{host.address}/32", "dev", "e0")
    host.run("ip", "route", "add", "10.77.0.0/24", "dev", "e0")
    faults.by_command(host, "no_broadcast")


def tiny_buffer(faults, host):
    host.start("--recv-buffer", "100").ready()
    command = faults.named(host, "buffer_tiny")["command"]
    host.daemon.end()
    expect(command.startswith("bcast daemon "), command)
    host.start(*command.split()[2:]).ready()
    faults.mended(host, "buffer_tiny", command)
    host.daemon.end()


def port_taken(faults, host):
    squatter = host.spawn(sys.executable, "-c", SQUATTER)
    wait(lambda: "held" in squatter.text(), 5, "the port is held")
    faults.by_command(host, "port_taken")


def no_daemon(faults, host):
    command = faults.named(host, "no_daemon", "warning")["command"]
    expect(command == "bcast daemon", command)
    host.start().ready()
    faults.mended(host, "no_daemon", command)
    host.daemon.end()


def wrong_clock(faults, here, there):
    """Mended is as if its command had been run there: it would set this machine's clock."""
    for ahead in (7200, 0):
        stranger = Stranger(there, "--ahead", ahead)
        wait(lambda: ("stranger", "here") in [(p["nick"], p["status"]) for p in here.api("peers")], 10,
             f"{here.name} sees the stranger")
        time.sleep(0.5)  # until it is reached by unicast, too
        if ahead:
            command = faults.named(here, "clock_apart", "warning")["command"]
            expect("2h0m0s ahead" in faults.shown, faults.shown)
        else:
            faults.mended(here, "clock_apart", command + " (there)")
        stranger.process.stdin.close()
        stranger.result(5)


def narrow_path(faults, host, others):
    """The switch passes no more than 1,280 bytes to one host."""
    switch = ["ip", "-n", NAME + "-switch", "link", "set", "dev", f"v{host.number}", "mtu"]
    subprocess.run([*switch, "1280"], check=True)
    faults.by_command(host, "path_mtu", on=[host, *others])
    subprocess.run([*switch, "1500"], check=True)
    for one in (host, *others):
        one.run("ip", "link", "set", "dev", "e0", "mtu", 1500)


@check
def doctor(lab):
    """Ten faults: named, and mended by the command of the finding; and a healthy host."""
    h1, h2, h3, h4, h5, h6, h7, h8, h9, h10 = lab.hosts[:10]
    start = time.monotonic()
    lab.start(h1, h2)
    code, report = examine(h1, listen=None)
    warned = [f["code"] for f in report["findings"] if f["severity"] != "ok"]
    expect(code == 0 and not warned and "one other device is here" in report["verdict"], f"a healthy host: {report}")
    faults = Faults()
    wrong_clock(faults, h1, h10)
    narrow_path(faults, h2, [h1])
    firewalls(faults, h1)
    no_broadcast(faults, h7)
    tiny_buffer(faults, h8)
    port_taken(faults, h9)
    no_daemon(faults, h9)
    isolated(faults, lab, h1, h4, h5)
    two_subnets(faults, h3.start().ready(), h6)
    listing = "".join(f"\n       {line}" for line in faults.lines)
    return f"healthy: {report['verdict']} {len(faults.lines)} of 10 faults named and mended:{listing}"
