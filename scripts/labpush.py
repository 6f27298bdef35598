"""Checks of scripts/lab for pushes: one file, once, to a whole room of real hosts.

PUSH_MB (default 50) is the size of the file. All hosts' inboxes lie in memory, where there is enough of it: what is
checked is the way, not a disk.
"""

import os
import shutil
import signal
import time

from labfiles import digest, make
from labhost import STATE, check, expect, milliseconds, verb, wait

SIZE = int(os.environ.get("PUSH_MB", "50")) << 20
MEMORY = "/dev/shm"
SHELVES = os.path.join(MEMORY if shutil.disk_usage(MEMORY).free > 4 << 30 else "/var/tmp", "bcast-" + os.path.basename(STATE))
ROOM = "crew"


def shelf(host):
    """Where a host's files go."""
    path = os.path.join(SHELVES, host.name)
    os.makedirs(path, exist_ok=True)
    return path


def crew(lab, hosts):
    """A private room of the hosts, whose members take what is pushed there."""
    lab.start(*hosts)
    first = hosts[0]
    first.run("bcast", "join", ROOM, "--private", "--detach")
    invite = first.run("bcast", "invite", ROOM).encode() + b"\n"
    for host in hosts[1:]:
        host.run("bcast", "join", "-", "--detach", data=invite)
    for host in hosts:
        host.run("bcast", "files", "inbox", "--accept", "room", "--dir", shelf(host))
    wait(lambda: all(len(host.api(f"rooms/{ROOM}/members")) == len(hosts) for host in hosts), 20, "the crew is complete")


def whole(host, name, hash_):
    path = os.path.join(shelf(host), name)
    return os.path.exists(path) and digest(path) == hash_


def clear(hosts, name):
    for host in hosts:
        path = os.path.join(shelf(host), name)
        if os.path.exists(path):
            os.remove(path)


def pushed(run):
    """The last word of a push with --json."""
    return [line for line in run.objects() if "takers" in line][-1]


def send(author, path, *flags):
    return author.spawn("bcast", "files", "push", ROOM, path, "--rate", "max", "--json", *flags)


@check
def push(lab):
    """Nine receivers have a file that was broadcast once; at 5 % loss; with one killed, one late, one at 40 % loss."""
    hosts, lab.dirty = lab.hosts[:10], True
    shutil.rmtree(SHELVES, ignore_errors=True)
    try:
        crew(lab, hosts)
        parts = os.environ.get("PUSH", "quiet lossy troubled").split()
        return "; ".join(part(lab) for part in (quiet, lossy, troubled) if part.__name__ in parts)
    finally:
        shutil.rmtree(SHELVES, ignore_errors=True)


def quiet(lab):
    author, others = lab[1], lab.hosts[1:10]
    path = os.path.join(shelf(author), "quiet")
    hash_ = make(path, SIZE)
    run = send(author, path)
    expect(run.result(60)[0] == 0, "push:", run.text()[-800:])
    told = pushed(run)
    expect(told["have"] == 9 and all(t["state"] == "whole" for t in told["takers"]), "push:", told)
    expect(all(whole(host, "quiet", hash_) for host in others), "not all nine have the same")
    times = told["wire"] / told["size"]
    expect(times < 1.1, f"{times:.2f} times the file on the wire")
    return f"{SIZE >> 20} MiB to nine in {told['seconds']:.1f} s, {times:.2f} times on the wire"


def lossy(lab):
    author, others = lab[1], lab.hosts[1:10]
    path = os.path.join(shelf(author), "lossy")
    hash_ = make(path, SIZE // 4)
    verb("loss", "all", 5)
    run = send(author, path)
    expect(run.result(60)[0] == 0, "push at 5 %:", run.text()[-800:])
    verb("loss", "all", 0)
    told = pushed(run)
    expect(all(whole(host, "lossy", hash_) for host in others), "not all nine have the same")
    times = told["wire"] / told["size"]
    expect(times <= 1.3, f"{times:.2f} times the file on the wire at 5 % loss")
    return f"at 5 % loss {times:.2f} times"


def troubled(lab):
    """One at 40 % loss, one killed and started again, one that joins half-way: all end complete."""
    path = os.path.join(shelf(lab[1]), "troubled")
    hash_ = make(path, SIZE)
    _, everybody = trouble(lab.hosts[:10], path, hash_)
    return f"lossy, killed and late complete after {milliseconds(everybody)}"


def trouble(hosts, path, hash_):
    """Pushes a file while three are in trouble. Returns after how many seconds the others, and all, have it."""
    name, size = os.path.basename(path), os.path.getsize(path)
    (author, lost, killed, late), others = hosts[:4], hosts[4:]
    late.daemon.end()
    verb("loss", lost.name, 40)
    began = time.monotonic()
    run = send(author, path)
    wait(lambda: any(line.get("sent", 0) > size // 3 for line in run.objects()), 60, "a third is broadcast")
    killed.daemon.end(signal.SIGKILL)
    killed.start()
    late.start()
    took = {}
    while len(took) < len(hosts) - 1:
        for host in hosts[1:]:
            if host not in took and os.path.exists(os.path.join(shelf(host), name)):
                took[host] = time.monotonic() - began
        expect(time.monotonic() - began < 180, "not all have it, but", [host.name for host in took])
        time.sleep(0.005)
    code = run.result(120)[0]
    expect(code == 0, "push ended with", code, run.text()[-800:])
    verb("loss", lost.name, 0)
    expect(all(whole(host, name, hash_) for host in hosts[1:]), "not all have the same")
    return max(took[host] for host in others), max(took.values())
