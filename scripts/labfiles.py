"""Checks of scripts/lab for files: shared directories between real hosts, and what breaks on the way.

FILES_MB (default 200) is the size of the file that is carried in the checks.
"""

import hashlib
import os
import shutil
import signal
import sys

from labhost import STATE, check, expect, wait

SIZE = int(os.environ.get("FILES_MB", "200")) << 20
TWICE = 1 << 20  # bytes that a resumed transfer may carry twice


def shelf(host, name):
    """A directory of a host's own."""
    path = os.path.join(STATE, f"{host.name}-files", name)
    os.makedirs(path, exist_ok=True)
    return path


def make(path, size):
    with open(path, "wb") as out:
        for _ in range(size >> 20):
            out.write(os.urandom(1 << 20))
        out.write(os.urandom(size & 0xFFFFF))
    return digest(path)


def digest(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def clear():
    for host in os.listdir(STATE):
        if host.endswith("-files"):
            shutil.rmtree(os.path.join(STATE, host))


def parts(directory):
    return [name for name in os.listdir(directory) if name.endswith(".part")]


def done(run):
    """The last word of a get or put with --json."""
    return [line for line in run.objects() if line.get("type") == "done"][-1]


def some(run, directory, size):
    """Waits until so many bytes of a file are here that is not whole yet."""
    def come():
        expect(run.alive(), "the file was carried too fast, or not:", run.text()[-300:])
        return any(os.path.getsize(os.path.join(directory, name)) >= size for name in parts(directory))
    wait(come, 20, f"{size} bytes in {directory}")


def carried(run):
    """The bytes that came in a run, without those that were here before."""
    last = done(run)
    return last["bytes"] - last.get("resumed", 0)


@check
def files(lab):
    """share, ls, get, put; what ends half-way goes on, whoever was killed; strangers get nothing; names lead nowhere."""
    alice, bob, carol = lab.hosts[:3]
    clear()
    docs, drop, out = shelf(alice, "docs"), shelf(alice, "drop"), shelf(bob, "out")
    whole = make(os.path.join(docs, "big"), SIZE)
    os.makedirs(os.path.join(docs, "tree", "deep"))
    for number in range(100):
        make(os.path.join(docs, "tree", "deep", f"f{number}"), number * 977)
    lab.start(alice, bob, carol)
    alice.run("bcast", "join", "crew", "--private", "--detach")
    invite = alice.run("bcast", "invite", "crew")
    bob.run("bcast", "join", "-", "--detach", data=invite.encode() + b"\n")
    wait(lambda: len(alice.api("rooms/crew/members")) == 2, 10, "the crew is complete")
    alice.run("bcast", "files", "share", docs, "--room", "crew")
    alice.run("bcast", "files", "share", drop, "--to", "h2", "--write", "--quota", "1GB")
    expect("h1:docs" in bob.run("bcast", "files", "ls"), "bob does not see docs")
    told = [strangers(carol), tree(bob, docs, out), resumed(alice, bob, docs, out, whole),
            sent(alice, bob, out, drop, whole), inbox(alice, bob, out, whole), hostile(alice, bob, docs, out), full(bob)]
    clear()
    return "; ".join(told)


def strangers(carol):
    expect("h1:" not in carol.run("bcast", "files", "ls"), "a stranger sees a share")
    answers = {carol.run("bcast", "files", "ls", f"h1:{name}", code=1) for name in ("docs", "drop", "none", "docs/big")}
    expect(len(answers) == 1, "a stranger is told more than nothing:", answers)
    return "a stranger gets one answer, whatever it asks for"


def tree(bob, docs, out):
    bob.run("bcast", "files", "get", "h1:docs/tree", "-o", out)
    for number in range(100):
        name = os.path.join("tree", "deep", f"f{number}")
        expect(digest(os.path.join(docs, name)) == digest(os.path.join(out, name)), name, "is another file")
    return "100 files of a directory"


def resumed(alice, bob, docs, out, whole):
    """A get whose process, then whose daemons on both sides are killed."""
    target = os.path.join(out, "big")
    for victim in ("client", "reader's daemon", "server's daemon"):
        if os.path.exists(target):
            os.remove(target)
        before = sum(os.path.getsize(os.path.join(out, name)) for name in parts(out))
        run = bob.spawn("bcast", "files", "get", "h1:docs/big", "-o", out, "--json", "--timeout", "60s")
        some(run, out, before + SIZE // 8)
        if victim == "client":
            run.end(signal.SIGKILL)
        else:
            host = bob if victim.startswith("reader") else alice
            host.daemon.end(signal.SIGKILL)
            host.start().ready()
            if host is bob:
                run.result(60)  # nobody answers at the socket for a moment
        expect(not os.path.exists(target) or digest(target) == whole, f"{victim} killed: the file is there and not whole")
        if victim == "server's daemon":
            code, text = run.result(120)
            expect(code == 0, "the get did not go on by itself:", text[-300:])
    os.remove(target)
    last = bob.spawn("bcast", "files", "get", "h1:docs/big", "-o", out, "--json")
    code, text = last.result(60)
    expect(code == 0 and digest(target) == whole, "the file is another one:", text[-300:])
    expect(not parts(out), "an unfinished file is left")
    os.remove(target)
    # Once more, counted: what was here, what comes, and what there is.
    run = bob.spawn("bcast", "files", "get", "h1:docs/big", "-o", out, "--json")
    some(run, out, SIZE // 4)
    run.end(signal.SIGKILL)
    here = sum(os.path.getsize(os.path.join(out, name)) for name in parts(out))
    again = bob.spawn("bcast", "files", "get", "h1:docs/big", "-o", out, "--json")
    code, text = again.result(60)
    twice = carried(again) - (SIZE - here)
    expect(code == 0 and digest(target) == whole, text[-300:])
    expect(0 <= twice < TWICE, f"{twice} bytes were fetched twice")
    return f"get of {SIZE >> 20} MiB goes on after kill -9 of client, reader and server, {twice} bytes twice"


def sent(alice, bob, out, drop, whole):
    """A put whose server is killed half-way."""
    source, target = os.path.join(out, "big"), os.path.join(drop, "big")
    run = bob.spawn("bcast", "files", "put", source, "h1:drop", "--json", "--timeout", "60s")
    some(run, drop, SIZE // 4)
    alice.daemon.end(signal.SIGKILL)
    here = sum(os.path.getsize(os.path.join(drop, name)) for name in parts(drop))
    expect(not os.path.exists(target), "a file that is not whole has its name")
    alice.start().ready()
    code, text = run.result(120)
    expect(code == 0 and digest(target) == whole and not parts(drop), "put:", text[-300:])
    expect(carried(run) <= SIZE + TWICE, f"of {SIZE} bytes {carried(run)} were put, {here} of them before the kill")
    refused = bob.run("bcast", "files", "put", source, "h1:docs", code=1)
    expect("may be read and not written" in refused, refused)
    return f"put goes on after kill -9 of the server, with {here >> 20} MiB there"


def inbox(alice, bob, out, whole):
    """Files without a share: asked for, refused, accepted once for all."""
    box = shelf(alice, "inbox")
    alice.run("bcast", "files", "inbox", "--dir", box)
    for verb, code in (("refuse", 1), ("accept", 0)):
        run = bob.spawn("bcast", "files", "put", os.path.join(out, "big"), "h1")
        wait(lambda: alice.api("inbox").get("offers"), 10, "the offer is told of")
        expect(not os.listdir(box), "something came before it was accepted")
        alice.run("bcast", "files", verb, alice.api("inbox")["offers"][0]["id"])
        got, text = run.result(60)
        expect(got == code, f"{verb}: exit {got}:", text[-300:])
    expect(os.listdir(box) == ["big"] and digest(os.path.join(box, "big")) == whole, "the inbox has", os.listdir(box))
    alice.run("bcast", "files", "inbox", "--accept", "room")
    bob.run("bcast", "files", "put", os.path.join(out, "tree"), "h1")
    expect(sorted(os.listdir(box)) == ["big", "tree"], "the inbox has", os.listdir(box))
    for number in range(100):
        name = os.path.join("tree", "deep", f"f{number}")
        expect(digest(os.path.join(out, name)) == digest(os.path.join(box, name)), name, "is another file in the inbox")
    return "the inbox asks, refuses, accepts"


def hostile(alice, bob, docs, out):
    """Links, pipes, devices and names that mislead, from a real directory."""
    odd = os.path.join(docs, "odd")
    os.makedirs(odd)
    os.symlink("/etc/passwd", os.path.join(odd, "passwd"))
    os.symlink("/", os.path.join(odd, "root"))
    os.symlink(".", os.path.join(odd, "loop"))
    os.mkfifo(os.path.join(odd, "pipe"))
    os.mknod(os.path.join(odd, "null"), 0o600 | 0o020000, os.makedev(1, 3))
    for name in (b"CON", b"nul.txt", b"a\\b", b"bell\x07", b"esc\x1b[2J", b"turn\xe2\x80\xaetxt.exe", b"\xff\xfe", b"dot.",
                 b"space "):
        with open(os.path.join(odd.encode(), name), "wb") as file:
            file.write(b"odd")
    with open(os.path.join(odd, "fine"), "wb") as file:
        file.write(b"fine")
    text = bob.run("bcast", "files", "get", "h1:docs/odd", "-o", out, code=1)
    got = os.listdir(os.path.join(out, "odd"))
    expect(got == ["fine"], "of a hostile directory came", got)
    expect("\x1b" not in text and "\x07" not in text, "a name reached the terminal as it is")
    for path in ("odd/passwd", "odd/root/etc/passwd", "odd/pipe", "odd/null", "../../etc/passwd"):
        bob.run("bcast", "files", "get", f"h1:docs/{path}", "-o", out, code=1)
    return f"of a directory of links, pipes, devices and {len(text.splitlines())} refusals one file came"


def full(bob):
    """A disk that is too small."""
    small = shelf(bob, "small")
    where = f"mount -t tmpfs -o size=20m{{}} tmpfs {small} && bcast files get h1:docs/big -o {small}; echo exit $?; ls -A {small} | wc -l"
    text = bob.run("sh", "-c", where.format(""))  # the mount is the command's own and ends with it
    expect("there is no space for big" in text and text.splitlines()[-2:] == ["exit 1", "0"], "a disk that is too small:", text)
    text = bob.run("sh", "-c", where.format(",ro"))
    expect("read-only file system" in text and text.splitlines()[-2:] == ["exit 1", "0"], "a disk that takes nothing:", text)
    # A disk that somebody else fills while the file comes.
    text = bob.run("sh", "-c", f"""
        mount -t tmpfs -o size={(SIZE >> 20) + 8}m tmpfs {small}
        bcast files get h1:docs/big -o {small} 2>&1 & get=$!
        until ls -A {small} | grep -q part; do :; done
        head -c {SIZE} /dev/zero >{small}/other 2>/dev/null
        wait $get; echo exit $?; ls {small}""", limit=60)
    expect("there is no space for big" in text and text.split()[-3:] == ["exit", "1", "other"], "a disk that fills up:", text)
    return "a full, a filling and a read-only disk are told of, and no half of a file is there"


@check
def offers(lab):
    """A file said in a room is had from its author, from who got it, and on from another when one is killed half-way."""
    alice, bob, carol, dora = lab.hosts[:4]
    clear()
    photo, big = os.path.join(shelf(alice, "out"), "photo.jpg"), os.path.join(shelf(alice, "out"), "big")
    whole, large = make(photo, 20 << 20), make(big, SIZE)
    lab.start(alice, bob, carol, dora)
    alice.run("bcast", "join", "crew", "--private", "--detach")
    invite = alice.run("bcast", "invite", "crew")
    for host in (bob, carol):
        host.run("bcast", "join", "-", "--detach", data=invite.encode() + b"\n")
    wait(lambda: len(alice.api("rooms/crew/members")) == 3, 10, "the crew is complete")
    got = {host: shelf(host, "got") for host in (bob, carol)}
    post = alice.run("bcast", "say", "crew", "from the roof", "--file", photo).strip()
    large_post = alice.run("bcast", "say", "crew", "--file", big).strip()
    wait(lambda: "photo.jpg (21 MB)" in carol.run("bcast", "history", "crew"), 10, "carol sees the offer")
    offered(bob, got, post, "photo.jpg", whole)
    offered(bob, got, large_post, "big", large)
    told = [outsider(alice, bob, dora, post), handed_on(alice, bob, carol, got, large_post, large)]
    alice.daemon.end(signal.SIGTERM)
    offered(carol, got, post, "photo.jpg", whole)
    bob.daemon.end(signal.SIGKILL)
    bob.start().ready()
    os.remove(os.path.join(got[carol], "photo.jpg"))
    wait(lambda: carol.sees([bob]), 20, "bob is back")
    offered(carol, got, post, "photo.jpg", whole)
    clear()
    return "; ".join(["20 MiB from their author, from who got them, and after a restart of that one"] + told)


def offered(host, got, post, name, whole):
    """Gets the file of a post."""
    text = host.run("bcast", "files", "get", post, "-o", got[host])
    expect(digest(os.path.join(got[host], name)) == whole and not parts(got[host]), name, "of a post:", text[-300:])


def outsider(alice, bob, dora, post):
    """Who is no member knows no post, and gets the one answer for a hash that it knows all the same."""
    known = alice.api("rooms/crew/posts?limit=2")[0]["file"]["hash"]
    dora.run("bcast", "files", "get", post, code=1)
    answers = set()
    for peer in ("h1", "h2"):
        for what in (known, known + "/blocks", "00" * 32):
            answers.add(dora.run("curl", "-s", "--unix-socket", f"{dora.home}/control.sock",
                                 f"http://bcast/v1/peers/{peer}/files/offered/{what}"))
    expect(len(answers) == 1 and '"not_found"' in answers.pop(), "a stranger is told more than nothing")
    return "a stranger that knows the hash is told nothing"


def handed_on(alice, bob, carol, got, post, large):
    """Its author is killed half-way: the rest comes from another, and nothing twice."""
    sent = bob.api("status")["files"]["sent_bytes"]
    run = carol.spawn("bcast", "files", "get", post, "-o", got[carol], "--json")
    some(run, got[carol], SIZE // 4)
    here = sum(os.path.getsize(os.path.join(got[carol], name)) for name in parts(got[carol]))
    alice.daemon.end(signal.SIGKILL)  # after it the other one may have begun at once
    expect(not os.path.exists(os.path.join(got[carol], "big")), "a file that is not whole has its name")
    code, text = run.result(60)
    expect(code == 0 and digest(os.path.join(got[carol], "big")) == large, "the get did not go on:", text[-300:])
    twice = bob.api("status")["files"]["sent_bytes"] - sent - (SIZE - here)
    expect(twice < TWICE, f"{twice} bytes were fetched twice")
    alice.start().ready()
    return f"of {SIZE >> 20} MiB the author was killed at {here >> 20}, the rest came from another, {max(0, twice)} bytes twice"


if __name__ == "__main__":
    sys.exit("run scripts/lab check files")
