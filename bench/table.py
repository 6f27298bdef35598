"""The table of bench/run: the same work on each system, one after the other, on the hosts of a lab that is up."""

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from labhost import NAME, Failed, Lab, expect, wait

ROOM = "bench"
SIZE, RATE = 200, 50
SILENCE = 10  # seconds without a message after which a receiver gives up
PEER = os.environ["PEER"]
QUICK = "--quick" in sys.argv
MORE = "--more" in sys.argv
KEPT, STORED = "kept", 100_000  # a room with a history, and how many messages go into it

# How many messages flat out: some seconds of work for each system.
FLAT = {"bcast": 300_000, "nats": 300_000, "gossipsub": 5_000, "memberlist": 1_000}
PACED = 50 if QUICK else 500
IDLE = 2 if QUICK else 20
LOSSES = (0, 30) if QUICK else (0, 10, 30)


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Bcast:
    """The real daemon on every host; its own bench inside it."""

    name = "bcast"

    def __init__(self, lab):
        self.hosts = lab.hosts

    def start(self):
        for host in self.hosts:
            host.start("--log-format", "text")
        for host in self.hosts:
            host.ready()
        offset = time.time() - time.monotonic()
        ready = max(host.ready_at() for host in self.hosts) + offset
        for host in self.hosts:
            wait(lambda host=host: host.sees(self.hosts), 30, f"{host.name} sees all others")
        seen = max(instant(peer["first_seen"]) for host in self.hosts for peer in host.api("peers"))
        for host in self.hosts:
            host.api(f"rooms/{ROOM}", {"ephemeral": True}, method="PUT")
        for host in self.hosts:
            wait(lambda host=host: len(host.api(f"rooms/{ROOM}/members")) == len(self.hosts), 30, "members of the room")
        return max(seen - ready, 0)

    def pids(self):
        return [host.daemon.pid for host in self.hosts]

    def measure(self, count, rate, silence, room=ROOM):
        found = [None] * (len(self.hosts) - 1)

        def receive(i, host):
            body = {"do": "recv", "room": room, "silence": f"{silence}s", "stored": room == KEPT}
            try:
                found[i] = host.api("bench", body, timeout=600)
            except Failed as failure:
                say("   ", failure)
                found[i] = nothing(count)

        threads = [threading.Thread(target=receive, args=pair) for pair in enumerate(self.hosts[1:])]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        body = {"do": "send", "room": room, "count": count, "size": SIZE, "rate": rate, "silence": f"{silence}s"}
        self.hosts[0].api("bench", body | {"stored": room == KEPT}, timeout=600)
        for thread in threads:
            thread.join()
        return found

    def more(self, lab):
        """What only bcast is asked: rows by name."""
        rows = {}
        for host in self.hosts:
            host.api(f"rooms/{KEPT}", {}, method="PUT")
        for host in self.hosts:
            wait(lambda host=host: len(host.api(f"rooms/{KEPT}/members")) == len(self.hosts), 30, "members of the room")
        found = self.measure(STORED // (10 if QUICK else 1), 0, SILENCE, KEPT)
        kept = {databases(host) for host in self.hosts}
        rows["stored, a second and receiver"] = (
            f"{statistics.median(f['per_second'] for f in found):,.0f}{loss(found)}; every database whole, "
            f"records: {', '.join(map(str, sorted(kept)))}")
        deaf, p99 = self.hosts[-1], []
        for percent in (0, 90, 0, 90):
            lab.verb("loss", deaf.name, percent)
            time.sleep(1)
            others = self.measure(PACED, RATE, SILENCE)[:-1]
            p99.append(f"{max(f['p99_ms'] for f in others):.1f}")
        lab.verb("loss", deaf.name, 0)
        rows["p99 of the others while one loses 0, 90, 0, 90 %"] = f"{', '.join(p99)} ms"
        return rows

    def end(self):
        for host in self.hosts:
            host.daemon.end()


class Peer:
    """Another system: one process of bench/main.go on every host."""

    def __init__(self, name, lab):
        self.name, self.hosts = name, lab.hosts
        self.running = []
        self.run = 0

    def start(self):
        first = self.hosts[0].address
        for host in self.hosts:
            words = [PEER, self.name, "--self", host.address, "--first", first, "--hosts", str(len(self.hosts))]
            self.running.append(Commanded(host.argv(*words)))
        for process in self.running:
            process.await_line("all", 60)
        ready = max(process.line("ready") for process in self.running)
        return max(max(process.line("all") for process in self.running) - ready, 0) / 1e9

    def pids(self):
        return [process.pid for process in self.running]

    def measure(self, count, rate, silence):
        self.run += 1
        for process in self.running:
            process.forget()
        for process in self.running[1:]:
            process.command(f"recv {self.run} {silence}s")
        time.sleep(0.3)
        self.running[0].command(f"send {self.run} {count} {SIZE} {rate}")
        for process in self.running[1:]:
            process.await_line("received", 600)
        self.running[0].await_line("said", 600)
        return [process.result() if process.result()["received"] else nothing(count) for process in self.running[1:]]

    def more(self, _):
        return {}

    def end(self):
        for process in self.running:
            process.end()


class Commanded:
    """A process that takes lines and prints JSON objects."""

    def __init__(self, argv):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        self.pid, self.objects = self.process.pid, []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.objects.append(json.loads(line))

    def command(self, line):
        self.process.stdin.write(line + "\n")

    def line(self, key):
        return next((o[key] for o in list(self.objects) if key in o), None)

    def await_line(self, key, limit):
        def there():
            expect(self.process.poll() is None, f"{self.process.args[-7:]} ended")
            return self.line(key) is not None

        wait(there, limit, f"{key} of {self.process.args[-7:]}")

    def forget(self):
        self.objects = [o for o in self.objects if "received" not in o and "said" not in o]

    def result(self):
        return next(o for o in list(self.objects) if "received" in o)

    def end(self):
        self.process.terminate()
        self.process.wait(10)


def databases(host):
    """How many records a host's database holds; fails if it is not whole."""
    with contextlib.closing(sqlite3.connect(f"file:{host.home}/history.db?mode=ro", uri=True)) as database:
        whole = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        expect(whole == "ok", f"{host.name}: {whole}")
        return database.execute("SELECT count(*) FROM record").fetchone()[0]


def nothing(count):
    return {"sent": count, "received": 0, "lost": count, "duplicates": 0, "per_second": 0, "p50_ms": None, "p99_ms": None}


def instant(text):
    """Seconds since 1970 of an RFC 3339 time with nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0." + (fraction or "0"))


def times(pid):
    """CPU seconds of a process: user, system."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]]


def cpu(pids):
    """CPU seconds of processes, user and system."""
    return sum(sum(times(pid)) for pid in pids)


def switches(pids):
    """How often the processes' threads were put on a core."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return total


def memory(pids):
    """The most that any of the processes had resident, in MiB."""
    most = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        most = max(most, int(line.split()[1]) / 1024)
    return most


def wire():
    """Bytes and packets that the hosts put on the wire, by the counters of the bridge's ports."""
    table = subprocess.run(["ip", "netns", "exec", NAME + "-switch", "cat", "/proc/net/dev"],
                           capture_output=True, text=True, check=True).stdout
    octets = packets = 0
    for line in table.splitlines()[2:]:
        port, _, counters = line.partition(":")
        if port.strip().startswith("v"):
            octets, packets = octets + int(counters.split()[0]), packets + int(counters.split()[1])
    return octets, packets


def work(system, count, rate, silence):
    """One run: what the receivers found, CPU seconds of all processes, bytes on the wire."""
    used, (octets, _) = cpu(system.pids()), wire()
    found = system.measure(count, rate, silence)
    return found, cpu(system.pids()) - used, wire()[0] - octets


def delays(found):
    """Half of the receivers' medians are below the first; no receiver's 99th percentile is above the second."""
    known = [f for f in found if f["p50_ms"] is not None]
    if not known:
        return "–"
    text = f"{statistics.median(f['p50_ms'] for f in known):.2f} / {max(f['p99_ms'] for f in known):.1f} ms"
    return text + loss(found)


def loss(found):
    lost, sent = sum(f["lost"] for f in found), sum(f["sent"] for f in found)
    return f", {lost:.0f} of {sent:.0f} lost" if lost else ""


def assess(system, lab):
    """One column of the table."""
    say(f"{system.name}: start")
    column = {"discovery": f"{system.start() * 1000:.0f} ms"}
    try:
        time.sleep(3)  # what a start makes of traffic is not idle
        _, packets = wire()
        time.sleep(IDLE)
        column["idle packets a minute, all hosts"] = f"{(wire()[1] - packets) * 60 / IDLE:.0f}"
        for percent in LOSSES:
            lab.verb("loss", "all", percent)
            before = switches(system.pids())
            found, used, octets = work(system, PACED, RATE, SILENCE)
            say(f"{system.name}: {RATE}/s, {percent} % loss: {delays(found)}")
            column[f"{RATE} a second, {percent} % loss: p50 / p99"] = delays(found)
            if percent == 0:
                column["bytes on the wire a message at that rate"] = f"{octets / PACED:.0f}"
                got = max(sum(f["received"] for f in found), 1)
                column["CPU and thread switches a delivery at that rate"] = (
                    f"{used / got * 1e6:.0f} µs, {(switches(system.pids()) - before) / got:.1f}")
        lab.verb("loss", "all", 0)
        time.sleep(1)
        count = FLAT[system.name] // (10 if QUICK else 1)
        before = times(system.pids()[0])[0]
        found, used, octets = work(system, count, 0, SILENCE)
        user = times(system.pids()[0])[0] - before
        per_second = statistics.median(f["per_second"] for f in found)
        column["flat out, a second and receiver"] = f"{per_second:,.0f}" + loss(found)
        column["flat out, bytes on the wire a message"] = f"{octets / count:.0f}"
        got = sum(f["received"] for f in found)
        column["flat out, CPU seconds per million deliveries"] = f"{used / got * 1e6:.1f}" if got else "–"
        column["flat out, the sender's user CPU a message"] = f"{user / count * 1e6:.1f} µs"
        column["most memory of a process"] = f"{memory(system.pids()):.0f} MiB"
        say(f"{system.name}: flat out: {column['flat out, a second and receiver']}")
        if MORE:
            column |= system.more(lab)
    finally:
        system.end()
        lab.reset()
    return column


def main():
    lab = Lab()
    lab.dirty = True
    names = [word for word in sys.argv[1:] if word in FLAT] or list(FLAT)
    columns = {name: assess(Bcast(lab) if name == "bcast" else Peer(name, lab), lab) for name in names}
    print(f"{len(lab.hosts)} hosts, {SIZE}-byte posts, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n")
    print("| | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row in columns[names[0]]:
        print(f"| {row} | " + " | ".join(columns[name].get(row, "–") for name in names) + " |")


if __name__ == "__main__":
    main()
