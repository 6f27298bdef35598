"""A check of scripts/lab: a guest on another host, with nothing but curl and the pin of a certificate."""

import json
import os

from labhost import ROOM, check, expect, milliseconds, wait

PORT = 8080
PINNED = 90  # curl's exit code when the key is not the pinned one
REFUSED = 7  # nobody listens

# Connections that begin a handshake and go on as slowly as can be.
LORIS = """
import socket, sys, time
held = [socket.create_connection(("%s", %d)) for _ in range(200)]
for conn in held:
    try:
        conn.send(b"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03")  # a ClientHello of 508 bytes
    except OSError:
        pass  # it is one too many, and closed already
    conn.setblocking(False)
print("holding", flush=True)
for _ in range(100):
    for conn in held:
        try:
            conn.send(b"\\x00")
        except OSError:
            pass
    time.sleep(0.2)
"""


class Curl:
    """What curl is answered on a host, by the daemon of another one."""

    def __init__(self, host, base, pin):
        self.host, self.base, self.secret = host, base, ""
        self.flags = ["curl", "-sk", "--max-time", 10, "--pinnedpubkey", pin]

    def words(self, path, *more):
        return [*self.flags, "-H", f"Authorization: Bearer {self.secret}", *more, self.base + path]

    def ask(self, path, *more, code=200):
        text = self.host.run(*self.words(path, "-w", "\n%{http_code}", *more))
        body, _, got = text.rpartition("\n")
        expect(int(got) == code, f"{path}: {got}, expected {code}: {body[:200]}")
        return json.loads(body) if body.startswith(("{", "[")) else body

    def enter(self, link, nick):
        self.secret = link
        self.secret = self.ask("/guest/enter", "-d", json.dumps({"nick": nick}))["session"]

    def say(self, text):
        return self.ask(f"/v1/rooms/{ROOM}/posts", "-d", json.dumps({"text": text}))

    def texts(self):
        return [post["text"] for post in self.ask(f"/v1/rooms/{ROOM}/posts") if post["kind"] == "text"]


def invite(host):
    """A guest link as the command prints it: where to, and its secret."""
    line = next(line for line in host.run("bcast", "invite", ROOM, "--guest").splitlines() if "#guest=" in line)
    base, _, secret = line.partition("/#guest=")
    return base, secret


def keeps_no(host, secret):
    """That a secret is in no file of a home and in no line of the daemon."""
    for at, _, names in os.walk(host.home):
        for path in (os.path.join(at, name) for name in names):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    expect(secret.encode() not in file.read(), f"{path} holds the secret")
    expect(secret not in host.daemon.text(), "the log holds the secret")


def refusals(lab, curl, link):
    """What others on the link try."""
    wrong = Curl(lab[3], curl.base, "sha256//" + "A" * 43 + "=")
    lab[3].run(*wrong.words("/guest/link"), code=PINNED)
    told = lab[3].run("curl", "-s", "--max-time", 5, curl.base.replace("https", "http") + "/")
    expect("HTTP request to an HTTPS server" in told, f"without TLS: {told}")
    curl.ask("/v1/status", "-H", "Host: rebinding.example:8080", code=403)
    curl.ask("/v1/status", "-H", "Origin: https://other.example", code=403)
    for path in ("/v1/peers", "/v1/config", "/metrics", f"/v1/rooms/{ROOM}/invite", f"/v1/rooms/{ROOM}/records", "/v1/guests"):
        curl.ask(path, code=403)
    owner = Curl(lab[3], curl.base, curl.flags[-1])
    with open(lab[1].home + "/http.token", encoding="ascii") as file:
        owner.secret = file.read().strip()
    owner.ask("/v1/status", code=401)
    owner.secret = link
    owner.ask("/v1/status", code=401)
    lab[3].run("curl", "-s", "--max-time", 5, f"http://{lab[1].address}:{PORT + 1}/", code=REFUSED)
    page = json.loads(lab[1].run("bcast", "page", "--json"))
    expect(page["addr"] == f"127.0.0.1:{PORT + 1}", f"the page itself is at {page['addr']}")
    expect("bcast" in lab[1].run("curl", "-s", "--max-time", 5, f"http://{page['addr']}/"), "the page itself does not answer")


@check
def guests(lab):
    """A link of one host, a guest on another that has no bcast: they talk, others get nothing, and it ends."""
    code, text = lab[1].spawn("bcast", "daemon", "--http", f"0.0.0.0:{PORT}").result(5)
    expect(code == 2 and "--guests for people with a link" in text, f"without --guests: exit {code}: {text}")
    lab[1].start("--http", f"0.0.0.0:{PORT}", "--guests").ready()
    lab[2].start().ready()
    wait(lambda: lab[1].sees([lab[2]]) and lab[2].sees([lab[1]]), 20, "h1 and h2 meet")
    lab[2].say("said before")
    wait(lambda: "said before" in lab[1].texts(), 5, "h1 has it")
    base, link = invite(lab[1])
    expect(base == f"https://{lab[1].address}:{PORT}", f"the link leads to {base}")
    curl = Curl(lab[3], base, lab[1].api("status")["guests"]["pin"])
    curl.enter(link, "anna")
    keeps_no(lab[1], link)
    keeps_no(lab[1], curl.secret)
    events = lab[3].spawn(*curl.words("/v1/events", "-N", "--max-time", 120))
    wait(lambda: ": bcast" in events.text(), 5, "the guest's stream")
    curl.say("hello from curl")
    wait(lambda: "hello from curl" in lab[2].texts(), 5, "h2 has what the guest said")
    lab[2].say("and back")
    wait(lambda: '"and back"' in events.text(), 5, "the guest has what h2 said")
    expect(curl.texts() == ["hello from curl", "and back"], f"the guest reads {curl.texts()}")
    said = next(post for post in lab[2].api(f"rooms/{ROOM}/posts") if post["text"] == "hello from curl")
    expect(said["nick"] == "anna_guest" and said["from"] != lab[1].api("status")["id"], f"it is said by {said}")
    refusals(lab, curl, link)

    loris = lab[4].spawn("python3", "-c", LORIS % (lab[1].address, PORT))
    wait(lambda: "holding" in loris.text(), 10, "the slow one connects")
    curl.say("in spite of it")
    wait(lambda: "in spite of it" in lab[2].texts(), 5, "h2 has what the guest said meanwhile")
    loris.end()

    expect(events.alive(), "the guest's stream ended before its link did:", events.text()[-300:])
    lab[1].run("bcast", "guests", "--revoke", json.loads(lab[1].run("bcast", "guests", "--json"))["id"])
    wait(lambda: not events.alive(), 5, "the guest's stream ends")
    curl.ask("/v1/status", code=401)
    curl.secret = link
    curl.ask("/guest/link", code=401)
    wait(lambda: "anna_guest" not in [m["nick"] for m in lab[2].api(f"rooms/{ROOM}/members")], 5, "h2 sees the guest leave")

    _, link = invite(lab[1])
    curl.enter(link, "ben")
    rss = lab[1].rss_mib()
    took = lab[1].daemon.end(limit=5)
    expect(took < 2.5, f"with a guest the daemon took {took:.1f} s to stop")
    return (f"they talk both ways; others are refused; beside 200 slow connections; a revoked link ends the stream; "
            f"{rss:.0f} MiB with a guest; stopped in {milliseconds(took)}")
