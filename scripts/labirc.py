"""A check of scripts/lab: irssi, weechat and ii in front of three daemons, and a gateway that is spoken to badly."""

import glob
import json
import os
import re
import sys
import time

from labhost import RESIDENT, ROOM, Typed, check, expect, milliseconds, wait
from labpeer import Stranger

PORT = 6667
GATE = f"127.0.0.1:{PORT}"
CHANNEL = "#" + ROOM


class Client:
    """An IRC client on a host, and what it wrote down: lines of a room or a query."""

    def __init__(self, host):
        self.host, self.dir = host, f"{host.home}-{type(self).__name__.lower()}"
        os.makedirs(self.dir, exist_ok=True)

    def text(self, where=CHANNEL):
        try:
            with open(self.log(where), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def said(self, nick, text, where=CHANNEL):
        """The moments at which the client says that nick said text."""
        return [found.group(1) for found in re.finditer(self.line(nick, re.escape(text)), self.text(where), re.MULTILINE)]

    def shows(self, nick, text, where=CHANNEL, limit=5):
        what = f"{type(self).__name__} of {self.host.name} shows {text[:40]!r} of {nick}"
        try:
            return wait(lambda: self.said(nick, text, where), limit, what)
        except Exception as failure:
            raise type(failure)(f"{failure}: {self.text(where)[-600:]}") from None


class Ii(Client):
    """A directory for each room, with a pipe in and a file out. It knows no capability of IRC."""

    def __init__(self, host):
        super().__init__(host)
        self.running = host.spawn("ii", "-s", "127.0.0.1", "-p", PORT, "-n", host.name, "-i", self.dir)

    def log(self, where):
        return f"{self.dir}/127.0.0.1/{where.lower()}/out" if where else f"{self.dir}/127.0.0.1/out"

    def line(self, nick, text):
        return rf"^\d+ <{re.escape(nick)}> (?:\[([-\d]+ [:\d]+)\] )?{text}$"

    def type(self, line, where=""):
        with open(os.path.join(self.dir, "127.0.0.1", where, "in"), "w", encoding="utf-8") as pipe:
            pipe.write(line + "\n")

    def say(self, text):
        self.type(text, CHANNEL)

    def command(self, line):
        self.type("/" + line)


class Weechat(Client):
    """Asks for every capability; takes commands from a pipe."""

    def __init__(self, host, address="127.0.0.1", port=PORT, flags=""):
        super().__init__(host)
        self.running = host.spawn(
            "weechat-headless", "-d", self.dir, "-r",
            "/set logger.file.flush_delay 0;/set irc.server_default.capabilities *;"
            "/set irc.server_default.anti_flood_prio_high 0;/set irc.server_default.anti_flood_prio_low 0;"
            f"/server add lab {address}/{port} -nicks={host.name} {flags};/connect lab",
        )

    def log(self, where):
        return f"{self.dir}/logs/irc.{'lab.' + where.lower() if where else 'server.lab'}.weechatlog"

    def line(self, nick, text):
        return rf"^([-\d]+ [:\d]+)\t\+?{re.escape(nick)}\t{text}$"

    def type(self, line):
        wait(lambda: glob.glob(self.dir + "/weechat_fifo_*"), 10, "weechat's pipe")
        with open(glob.glob(self.dir + "/weechat_fifo_*")[0], "w", encoding="utf-8") as pipe:
            pipe.write(line + "\n")

    def say(self, text):
        self.type(f"irc.lab.{CHANNEL} *{text}")

    def command(self, line):
        self.type(f"irc.server.lab */{line}")


class Irssi(Client):
    """On a terminal of its own."""

    def __init__(self, host):
        super().__init__(host)
        with open(self.dir + "/config", "w", encoding="utf-8") as file:
            file.write(
                'servers = ({ address = "127.0.0.1"; chatnet = "lab"; port = "%d"; autoconnect = "yes"; });\n'
                'chatnets = { lab = { type = "IRC"; }; };\n'
                'settings = { core = { nick = "%s"; user_name = "u"; real_name = "r"; '
                'log_timestamp = "%%Y-%%m-%%d %%H:%%M:%%S "; };\n'
                '"irc/core" = { cmd_queue_speed = "1msec"; cmds_max_at_once = "100"; };\n'
                '"fe-common/core" = { autolog = "yes"; autolog_path = "%s/$0.log"; }; };\n' % (PORT, host.name, self.dir)
            )
        self.running = Typed(host, "env", "TERM=xterm", "LINES=24", "COLUMNS=120",
                             "script", "-qfec", f"irssi --home={self.dir}", "/dev/null")

    def log(self, where):
        return f"{self.dir}/{where.lower() or 'lab'}.log"

    def line(self, nick, text):
        return rf"^([-\d]+ [:\d]+) <.?{re.escape(nick)}> {text}$"

    def say(self, text):
        self.command(f"msg {CHANNEL} {text}")

    def command(self, line):
        self.running.type("/" + line)


MARK = "INJECTED"


def hostile():
    """A hundred texts that are more than text for who takes them as they are."""
    ends = ["\r\n", "\n", "\r", "\0", "\r\n:irc.bcast ", "\u2028", "\u0085", "\x01", "\x1b]0;", "\u202e"]
    fronts = ["", "a", "a b :", "@label=x;y=\\r\\n ", "\x01ACTION ", "x" * 600, "日" * 300, ":h1!x@y ", "\x01DCC SEND ", "\t"]
    return [f"{front}{end}{MARK} {CHANNEL} :x" for front in fronts for end in ends]


def badly_spoken_to(lab):
    """A client sends hostile lines to a gateway: what is said comes to one line each, and the gateway goes on."""
    code, text = lab[4].spawn(sys.executable, "-c", RUDE, PORT, data=json.dumps(hostile()).encode()).result(30)
    expect(code == 0, f"the rude client: exit {code}: {text[-400:]}")
    return json.loads(text)


# Sends each text as a post, a topic, a nick, a name and a tag; counts the lines that come back. It connects anew before a
# gateway takes it for a flood.
RUDE = r"""
import json, socket, sys
texts = json.load(sys.stdin)
count, bad = 0, []
for first in range(0, len(texts), 12):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.settimeout(5)
    s.sendall(b"CAP REQ :echo-message message-tags labeled-response batch\r\nCAP END\r\nNICK h4\r\nUSER u 0 * :u\r\n")
    for text in texts[first:first + 12]:
        one = text.split("\n")[0]
        for line in ("PRIVMSG #lobby :" + one, "TOPIC #lobby :" + one, "NICK :" + one,
                     "@label=" + one.replace(" ", "") + " PING x", "PRIVMSG " + one + " :x"):
            s.sendall(line.encode()[:400].decode(errors="ignore").encode() + b"\r\n")
    s.sendall(b"PING done\r\n")
    got = b""
    while b":done\r\n" not in got:
        more = s.recv(65536)
        if not more:
            sys.exit("the connection ended: " + repr(got[-200:]))
        got += more
    s.close()
    for line in got.split(b"\r\n"):
        count += 1
        if b"\r" in line or b"\n" in line or b"\0" in line or len(line.split(b" ", 1)[-1]) > 510:
            bad.append(repr(line))
print(json.dumps({"lines": count, "bad": bad[:3]}))
"""


@check
def irc(lab):
    """Three clients in a room: history with right times and nicks, talk all ways, hostile lines."""
    hosts = lab.hosts[:4]
    for host in hosts:
        host.start("--irc", GATE)
    for host in hosts:
        host.ready()
        expect("irc=" + GATE in host.daemon.text(), f"{host.name} does not say where IRC is: {host.daemon.text()}")
    for host in hosts:
        wait(lambda host=host: host.sees(hosts), 30, f"{host.name} sees all")
    resident = max(host.rss_mib() for host in hosts)
    expect(resident <= RESIDENT, f"{resident:.1f} MiB resident, limit {RESIDENT}")
    for host in hosts:
        host.say(f"said before by {host.name}")
    for host in hosts:
        wait(lambda host=host: len(host.texts()) == 4, 5, "the history")
    time.sleep(2)  # so that a client which shows the present shows another second
    clients = [Irssi(lab[1]), Weechat(lab[2]), Ii(lab[3])]
    right = history(hosts, clients)
    took = talk(hosts, clients)
    names(clients)
    alone(clients)
    private(hosts, clients)
    beyond(lab, clients)
    lines = injection(lab, clients)
    return (
        f"irssi, weechat and ii: {right} posts of before with right nicks and times, all ways within {milliseconds(took)}, "
        f"queries, nicks, names, an invite, TLS; {lines}; {resident:.1f} MiB before clients came"
    )


def history(hosts, clients):
    """Each client shows what was said before it came, at the time when it was said."""
    times = {}
    for post in hosts[0].api(f"rooms/{ROOM}/posts"):
        seconds = time.mktime(time.strptime(post["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        times[post["nick"]] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    for client in clients:
        for nick, moment in times.items():
            client.shows(nick, f"said before by {nick}", limit=10)
            shown = client.said(nick, f"said before by {nick}")
            expect(shown == [moment], f"{type(client).__name__} shows {shown} for {moment} of {nick}")
    return len(times)


def talk(hosts, clients):
    """Who says something is read by all, at once, in any script; an action is one."""
    slowest = 0
    for number, client in enumerate(clients):
        text = f"{client.host.name} says {number} ✓ 日本語"
        client.say(text)
        for other in clients:
            if other is not client:
                took = other.shows(client.host.name, text)
                slowest = max(slowest, took)
    for client in clients:
        for number, author in enumerate(clients):
            text = f"{author.host.name} says {number} ✓ 日本語"
            shown = client.said(author.host.name, text)
            expect(len(shown) == 1, f"{type(client).__name__} shows {text!r} {len(shown)} times")
    hosts[3].say("and from the command line")
    for client in clients:
        slowest = max(slowest, client.shows("h4", "and from the command line"))
    expect(slowest < 1, f"a post took {milliseconds(slowest)}")
    clients[0].command(f"action {CHANNEL} waves")
    wait(lambda: re.search(r"\* ?\t?h1 waves|\x01ACTION waves", clients[1].text()), 5, "the action in weechat")
    return slowest


def names(clients):
    """All see who is there, who comes, goes and has another nick."""
    irssi, weechat, ii = clients
    wait(lambda: "h1 h2 h3 h4" in ii.text(""), 5, "the names in ii")
    wait(lambda: "Channel #lobby: 4 nicks" in weechat.text(), 5, "the names in weechat")
    irssi.command("nick captain")
    wait(lambda: "h1 is now known as captain" in weechat.text(), 5, "the new nick in weechat")
    ii.say("aye")
    weechat.shows("h3", "aye")
    irssi.say("captain speaking")
    ii.shows("captain", "captain speaking")
    irssi.command("nick h1")
    wait(lambda: "captain is now known as h1" in weechat.text(), 5, "the old nick in weechat")
    irssi.say("h1 speaking")
    ii.shows("h1", "h1 speaking")
    weechat.command(f"topic {CHANNEL} all things")
    wait(lambda: "all things" in ii.text(), 5, "the topic in ii")


def alone(clients):
    """A query is the room of two."""
    irssi, weechat, ii = clients
    ii.type("/j h1 psst")
    irssi.shows("h3", "psst", "h3")
    irssi.command("msg h3 what?")
    ii.shows("h1", "what?", "h1")
    weechat.command("msg h1 me too")
    irssi.shows("h2", "me too", "h2")
    expect("psst" not in weechat.text(), "weechat shows what was not for it")


def private(hosts, clients):
    """A room that another face made is there; an invite is the key of one."""
    hosts[1].run("bcast", "join", "crew", "--private", "--detach")
    invite = hosts[1].run("bcast", "invite", "crew").strip()
    irssi, weechat, _ = clients
    irssi.command(f"join #crew {invite}")
    wait(lambda: "h1" in weechat.text("#crew"), 10, "h1 in the private room")
    irssi.command("msg #crew between us")
    weechat.shows("h1", "between us", "#crew")


def beyond(lab, clients):
    """A client on another host, over TLS, with the certificate pinned and a password."""
    secret = lab[6].home + "-password"
    with open(secret, "w", encoding="ascii") as file:
        file.write("correct-horse\n")
    code, text = lab[6].spawn("bcast", "daemon", "--irc", "0.0.0.0:6697").result(5)
    expect(code == 2 and "it takes a password" in text, f"without a password: exit {code}: {text}")
    lab[6].start("--irc", "0.0.0.0:6697", "--irc-password-file", secret).ready()
    pin = re.search(r"irc speaks TLS.* sha256=(\w+)", lab[6].daemon.text())
    expect(pin, f"no fingerprint: {lab[6].daemon.text()}")
    flags = f"-ssl -ssl_fingerprint={pin.group(1)} -password=correct-horse"
    far = Weechat(lab[7], lab[6].address, 6697, flags)
    wait(lambda: "has joined" in far.text(), 10, f"the client on another host: {far.text('')[-300:]}")
    far.say("from another host")
    clients[2].shows("h6", "from another host")


def injection(lab, clients):
    """A member of another hand says what no daemon would; a client sends its own gateway the same."""
    stranger = Stranger(lab[5], "--nick", "evil,nick!x")
    wait(lambda: "evil" in clients[1].text(), 10, "the stranger in weechat")
    for text in hostile():
        stranger.type(json.dumps(text))
    stranger.type("the end")
    for client in clients:
        client.shows("evil^2Cnick^21x", "the end", limit=15)
        told = re.findall(rf".*{MARK}.*", client.text())
        expect(len(told) > 50, f"{type(client).__name__} shows {len(told)} of a hundred hostile posts")
        outside = [line for line in told if "evil^2Cnick" not in line and "\t" + MARK not in line]
        expect(not outside, f"{type(client).__name__}: {outside[:3]}")
        expect(MARK not in client.text(""), f"{type(client).__name__} got a command: {client.text('')[-300:]}")
        expect(client.running.alive(), f"{type(client).__name__} ended")
    rude = badly_spoken_to(lab)
    expect(not rude["bad"], f"lines of a gateway: {rude['bad']}")
    for number, client in enumerate(clients):
        client.say(f"still here {number}")
        for other in clients:
            if other is not client:
                other.shows(client.host.name, f"still here {number}")
    return f"a hundred hostile posts and {5 * len(hostile())} hostile lines of a client, {rude['lines']} lines came back"
