"""The table of `bench/run files`: what bcast carries files with, beside curl and a plain copy over the same TLS.

The first host serves a directory twice: as a share of its bcast daemon, and with the file server of Go's library
(http.ServeContent over TLS 1.3, HTTP/1.1), which curl reads. A directory of small files is compared with `cp -r` over
TLS: one connection on which the files follow each other as a tar, written as they come, nothing checked or synced.
Both sides read from and write to memory (tmpfs), so that no disk is measured; FILES_DIR takes another directory.
What is compared is run in turn; the table has medians. Jain's index is of the clients' rates: 1 if all are the same.
"""

import os
import shutil
import statistics
import sys
import threading
import time

from labhost import Lab, expect, wait

PEER = os.environ["PEER"]
QUICK = "--quick" in sys.argv
PORT = 8443
WHERE = os.path.join(os.environ.get("FILES_DIR", "/dev/shm"), f"bcast-bench{os.getpid()}")
RUNS = 1 if QUICK else 5
BIG = (64 if QUICK else 1024) << 20
CLIENTS, EACH = 20, (8 if QUICK else 128) << 20
SMALL = 500 if QUICK else 10_000


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def make(path, size):
    """A file of random bytes."""
    with open(path, "wb") as out:
        while size > 0:
            size -= out.write(os.urandom(min(size, 1 << 20)))


def make_tree(path, count):
    """So many small files, a hundred a directory, of up to 8 KiB."""
    for number in range(count):
        at = os.path.join(path, f"d{number // 100}")
        os.makedirs(at, exist_ok=True)
        make(os.path.join(at, f"f{number}"), number * 977 % 8192)


def high(pid):
    """The most that a process had in memory, in MiB."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def forget_high(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class Memory:
    """What daemons, and the commands that ran, took at most above what they have when they do nothing."""

    def __init__(self, daemons, command):
        self.daemons = daemons
        self.idle = {name: high(pid) for name, pid in daemons.items()}
        self.commands, self.command = 0, command

    def watch(self, running):
        while running.alive():
            self.commands = max(self.commands, high(running.pid))
            time.sleep(0.01)

    def row(self, what):
        most = {name: high(pid) - self.idle[name] for name, pid in self.daemons.items()}
        if self.commands:
            most["command"] = self.commands - self.command
        for pid in self.daemons.values():
            forget_high(pid)
        self.commands = 0
        return (f"memory above idle: {what}", ", ".join(f"{name} {mib:.0f} MiB" for name, mib in most.items()), "", "")


def timed(running, memory=None, limit=600):
    start = time.monotonic()
    if memory:
        memory.watch(running)
    code, text = running.result(limit)
    expect(code == 0, running.process.args[-6:], "exit", code, text[-400:])
    return time.monotonic() - start


def emptied(name):
    at = os.path.join(WHERE, name)
    shutil.rmtree(at, ignore_errors=True)
    os.makedirs(at)
    return at


def in_turn(*ways):
    """The median seconds of each way, run in turn."""
    took = [[] for _ in ways]
    for _ in range(RUNS):
        for way, times in zip(ways, took):
            times.append(way())
    say("   ", *(f"{min(t):.2f}–{max(t):.2f} s" for t in took))
    return [statistics.median(t) for t in took]


def get(host, name, out, memory=None):
    return timed(host.spawn("bcast", "files", "get", f"h1:bench/{name}", "-o", emptied(out), "--json"), memory)


def put(host, name, memory):
    emptied("drop")
    return timed(host.spawn("bcast", "files", "put", os.path.join(WHERE, "bench", name), "h1:drop", "--json"), memory)


def curl(host, server, name, out):
    at = os.path.join(emptied(out), "x")
    url = f"https://{server.address}:{PORT}/{name}"
    return timed(host.spawn("curl", "-sS", "-k", "--tlsv1.3", "--http1.1", "-o", at, url))


def copy(host, server, name, out):
    return timed(host.spawn(PEER, "copy", server.address, name, emptied(out)))


def together(hosts, start):
    """How long each of the clients took that begin together."""
    took = [None] * CLIENTS
    begin = threading.Barrier(CLIENTS)

    def run(number):
        begin.wait()
        took[number] = start(hosts[number % len(hosts)], number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(None not in took, "a client failed")
    return took


def fairness(took):
    """Jain's index of the clients' rates, 1 if all are the same, and the slowest beside the fastest."""
    rates = [1 / seconds for seconds in took]
    index = sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
    return f"{index:.3f}; {max(took) / min(took):.2f}; all within {max(took):.1f} s"


def main():
    lab = Lab()
    server, reader = lab.hosts[:2]
    rows = []
    try:
        share = emptied("bench")
        make(os.path.join(share, "big"), BIG)
        make(os.path.join(share, "each"), EACH)
        make_tree(os.path.join(share, "small"), SMALL)
        plain = server.spawn(PEER, "serve", server.address, share)
        wait(lambda: plain.text(), 10, "the plain server")
        lab.start()
        server.run("bcast", "files", "share", share, "--public")
        server.run("bcast", "files", "share", emptied("drop"), "--public", "--write", "--name", "drop")
        time.sleep(1)
        measure(lab, server, reader, rows)
    finally:
        shutil.rmtree(WHERE, ignore_errors=True)
        lab.reset()
    print(f"{len(lab.hosts)} hosts, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, medians of {RUNS}\n")
    print("| | bcast | beside | ratio |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def measure(lab, server, reader, rows):
    idle = timed_high(reader.spawn("bcast", "status"))
    memory = Memory({"server": server.daemon.pid, "reader": reader.daemon.pid}, idle)

    def row(*cells):
        rows.append(cells)
        say("   ", *cells)

    for name, what, beside, plain in (("big", f"{BIG >> 20} MiB", "curl", curl),
                                      ("small", f"{SMALL:,} small files", "cp", copy)):
        say(what)
        ours, others, puts = in_turn(
            lambda: get(reader, name, "out", memory), lambda: plain(reader, server, name, "out"),
            lambda: put(reader, name, memory))
        for verb, took in ("get", ours), ("put", puts):
            row(f"{verb} of {what}", f"{took:.2f} s", f"{beside} gets it: {others:.2f} s", f"{took / others:.2f} times")
        row(*memory.row(what))
    say(f"{CLIENTS} at once")
    others = lab.hosts[1:]
    ours = together(others, lambda host, number: get(host, "each", f"out{number}"))
    curls = together(others, lambda host, number: curl(host, server, "each", f"out{number}"))
    what = f"{CLIENTS} on {len(others)} hosts get {EACH >> 20} MiB at once: Jain's index; slowest : fastest"
    row(what, fairness(ours), "curl: " + fairness(curls), "")
    row(*memory.row(f"{CLIENTS} at once"))


def timed_high(running):
    """The most that a process had in memory until it ended, in MiB."""
    most = 0
    while running.alive():
        most = max(most, high(running.pid))
    return most


if __name__ == "__main__":
    main()
