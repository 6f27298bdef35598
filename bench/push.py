"""The table of bench/run push: one file to all other hosts of a lab, by bcast, udpcast and uftp, one after the other.

Files lie in memory (/dev/shm), so that it is the way that is measured and not a disk. Time is from the command at the
sender until the last receiver has the whole file, which is compared; each is run three times. uftp is given its rate:
the fastest of some that it gets through with.
"""

import os
import shutil
import statistics
import sys
import time

import labpush
import table
from labfiles import make
from labhost import Lab, expect

QUICK = "--quick" in sys.argv
SIZE = (20 if QUICK else 200) * 1_000_000
RUNS = 1 if QUICK else 3
RATES = ("400000",) if QUICK else ("200000", "400000", "800000")  # of uftp, in kilobits a second
QUEUE = "8388608"  # uftp's, in bytes: its own is 256 KiB


def out(host, name):
    return os.path.join(labpush.shelf(host), name)


def same(hosts, name, hash_):
    return all(labpush.whole(host, name, hash_) for host in hosts)


def by_bcast(hosts, file, hash_):
    name = os.path.basename(file)
    began = time.monotonic()
    run = labpush.send(hosts[0], file)
    code = run.result(120)[0]
    took = time.monotonic() - began
    expect(code == 0 and same(hosts[1:], name, hash_), "bcast:", run.text()[-400:])
    return took


def by_udpcast(hosts, file, hash_):
    receivers = [host.spawn("udp-receiver", "--interface", "e0", "--file", out(host, "udpcast"), "--nokbd", "--nosync")
                 for host in hosts[1:]]
    time.sleep(0.5)
    began = time.monotonic()
    run = hosts[0].spawn("udp-sender", "--interface", "e0", "--file", file, "--nokbd", "--full-duplex",
                         "--min-receivers", str(len(receivers)), "--min-wait", "0")
    for receiver in receivers:
        receiver.result(180)
    took = time.monotonic() - began
    run.result(20)
    expect(same(hosts[1:], "udpcast", hash_), "udpcast: another file")
    return took


def by_uftp(hosts, file, hash_):
    name = os.path.basename(file)
    daemons = [host.spawn("uftpd", "-d", "-I", "e0", "-D", labpush.shelf(host), "-B", QUEUE) for host in hosts[1:]]
    time.sleep(1)
    best = None
    for rate in RATES:
        labpush.clear(hosts[1:], name)
        began = time.monotonic()
        run = hosts[0].spawn("uftp", "-I", "e0", "-R", rate, "-B", QUEUE, file)
        code = run.result(180)[0]
        took = time.monotonic() - began
        if code == 0 and same(hosts[1:], name, hash_):
            best = min(took, best or took)
    for daemon in daemons:
        daemon.end()
    labpush.clear(hosts[1:], name)
    expect(best is not None, "uftp brought it at no rate")
    return best


def fresh(hosts):
    """A file that nobody has."""
    file = out(hosts[0], f"file{time.monotonic_ns()}")
    return file, make(file, SIZE)


def row(way, times):
    median = statistics.median(times)
    print(f"| {way} | {median:.2f} s | {SIZE / 1e6 / median:.0f} | {', '.join(f'{t:.2f}' for t in times)} |", flush=True)


def resident(hosts):
    """What each daemon has in memory at the most until now, in MiB."""
    return [table.memory([host.daemon.pid]) for host in hosts]


def main():
    lab = Lab()
    lab.dirty = True
    hosts = lab.hosts
    shutil.rmtree(labpush.SHELVES, ignore_errors=True)
    try:
        labpush.crew(lab, hosts)
        idle = resident(hosts)
        print(f"| {SIZE // 1_000_000} MB to {len(hosts) - 1} | median of {RUNS} | MB/s | all |\n|---|---|---|---|")
        for way, bring in {"bcast": by_bcast, "udpcast": by_udpcast, "uftp": by_uftp}.items():
            times = []
            for _ in range(RUNS):
                file, hash_ = fresh(hosts)
                times.append(bring(hosts, file, hash_))
                labpush.clear(hosts, os.path.basename(file))
            row(way, times)
            if way == "bcast":
                sender, *receivers = [now - before for now, before in zip(resident(hosts), idle)]
                memory = f"memory above idle: the sender {sender:.0f} MiB, a receiver {max(receivers):.0f} at most"
        ends = []
        for _ in range(RUNS):
            file, hash_ = fresh(hosts)
            ends.append(labpush.trouble(hosts, file, hash_))
            labpush.clear(hosts, os.path.basename(file))
        row(f"bcast with three in trouble: the other {len(hosts) - 4}", [others for others, _ in ends])
        row("… and all", [everybody for _, everybody in ends])
        print("\n" + memory)
    finally:
        shutil.rmtree(labpush.SHELVES, ignore_errors=True)


main()
