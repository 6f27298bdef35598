"""The hosts of scripts/lab as objects: start and end the real binary in a namespace, read its lines and its API.

Everything started here runs inside a lab namespace, so `scripts/lab down` ends what an interrupted check left behind.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

NAME = os.environ.get("LAB", "lab")
STATE = os.environ.get("LAB_STATE", "/run/bcast-lab/" + NAME)
VERBS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lab")
ROOM = "lobby"
LOSS = 30  # percent at every host
RESIDENT = 45  # MiB that an idle daemon may take
# A shell's beginning: a system bus and avahi, under a host name of their own.
BUS = r"""
hostname "$1"; shift
mkdir -p /run/dbus /run/avahi-daemon "$BCAST_HOME"
mount -t tmpfs none /run/dbus && mount -t tmpfs none /run/avahi-daemon
dbus-daemon --system --fork --nopidfile
avahi-daemon --no-drop-root --no-chroot --no-rlimits >/dev/null 2>&1 &
"""
CHECKS = {}  # name to function, in the order in which they run


def check(function):
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


def milliseconds(seconds):
    return f"{seconds * 1000:.0f} ms"


class Failed(Exception):
    """A check's verdict: what was expected and what was seen instead."""


def expect(true, *what):
    if not true:
        raise Failed(" ".join(map(str, what)))


def wait(condition, limit, what):
    """Polls condition every 5 ms; returns the seconds it took, fails after limit seconds."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > limit:
            raise Failed(f"{what}: not within {limit} s")
        time.sleep(0.005)
    return time.monotonic() - start


def verb(*words):
    done = subprocess.run([VERBS, *map(str, words)], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, "lab", *words, "failed:", done.stderr.strip())


class Unix(http.client.HTTPConnection):
    """HTTP over a daemon's control socket."""

    def __init__(self, path, timeout):
        super().__init__("bcast", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Running:
    """A process in a host. Its lines are read as they come, each with the moment it came."""

    def __init__(self, argv, data=None):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        self.lines = []  # (monotonic seconds, text)
        threading.Thread(target=self._feed, args=(data,), daemon=True).start()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _feed(self, data):
        try:
            self.process.stdin.write(data or b"")
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def _read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.decode(errors="replace").rstrip("\n")))

    def objects(self):
        """The lines so far that are JSON objects."""
        return [json.loads(text) for _, text in list(self.lines) if text.startswith("{")]

    def text(self):
        return "\n".join(text for _, text in list(self.lines))

    def alive(self):
        return self.process.poll() is None

    def listens(self, port):
        """Whether a UDP socket in this process's namespace is bound to port."""
        with open(f"/proc/{self.pid}/net/udp", encoding="ascii") as table:
            return f":{port:04X} " in table.read()

    def result(self, limit):
        """Waits for the end; returns the exit code and what was printed."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise Failed(f"{self.process.args[-3:]} has not ended after {limit} s: {self.text()[-400:]}") from None
        self.reader.join(2)
        return code, self.text()

    def end(self, sig=signal.SIGTERM, limit=5):
        """Ends the process; returns the seconds it took."""
        start = time.monotonic()
        if self.alive():
            self.process.send_signal(sig)
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"pid {self.pid} has not ended {limit} s after signal {sig}") from None
        self.reader.join(2)
        return time.monotonic() - start


class Typed(Running):
    """A process in a host whose input stays open."""

    def __init__(self, host, *words):
        super().__init__(host.argv(*words))
        host.started.append(self)

    def _feed(self, data):
        pass

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


class Events:
    """The event stream of a daemon, read from the moment of creation until the daemon ends."""

    def __init__(self, host):
        self.seen = []
        connection = Unix(host.home + "/control.sock", timeout=None)
        connection.request("GET", "/v1/events")
        self.response = connection.getresponse()
        expect(self.response.status == 200, "GET /v1/events answers", self.response.status)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.response:
            if line.startswith(b"data:"):
                self.seen.append(json.loads(line[5:]))

    def of(self, kind):
        return [event for event in list(self.seen) if event["type"] == kind]


class Host:
    """One namespace. The daemon, if any, uses the host's own home directory."""

    def __init__(self, number):
        self.number = number
        self.name = f"h{number}"
        self.address = f"10.77.0.{number}"
        self.home = f"{STATE}/{self.name}"
        self.daemon = None
        self.started = []

    def argv(self, *words):
        env = [f"PATH={STATE}/bin:{os.environ['PATH']}", f"BCAST_HOME={self.home}", f"USER={self.name}"]
        return ["ip", "netns", "exec", f"{NAME}-{self.name}", "env", *env, *map(str, words)]

    def spawn(self, *words, data=None):
        running = Running(self.argv(*words), data)
        self.started.append(running)
        return running

    def run(self, *words, data=None, limit=15, code=0):
        """Runs a command to its end and returns what it printed; fails on any other exit code."""
        got, text = self.spawn(*words, data=data).result(limit)
        expect(got == code, f"{self.name}: {words[:3]}: exit {got}, expected {code}: {text[-400:]}")
        return text

    def say(self, text, room=ROOM):
        self.run("bcast", "say", room, "-", data=text.encode())

    def tail(self, room=ROOM):
        """Follows a room from its first post on, so that nothing depends on when the tail itself was up."""
        return self.spawn("bcast", "tail", room, "--json", "--limit", 1000)

    def start(self, *flags):
        """Starts the daemon without waiting; ready() waits."""
        self.daemon = self.spawn("bcast", "daemon", "--nick", self.name, "--room", ROOM, *flags)
        return self

    def ready_at(self):
        """When the daemon said that it is ready (monotonic seconds), or None."""
        expect(self.daemon.alive(), f"{self.name}: the daemon ended: {self.daemon.text()[-400:]}")
        return next((at for at, text in list(self.daemon.lines) if "ready" in text), None)

    def ready(self):
        wait(self.ready_at, 10, f"{self.name}: ready line of the daemon")
        return self

    def api(self, path, body=None, method=None, timeout=30):
        """One call of the daemon's API: GET, or POST with a body."""
        connection = Unix(self.home + "/control.sock", timeout)
        try:
            method = method or ("POST" if body is not None else "GET")
            connection.request(method, "/v1/" + path, body and json.dumps(body))
            response = connection.getresponse()
            body = response.read()
        except OSError as failure:
            raise Failed(f"{self.name}: GET /v1/{path}: {failure}") from failure
        finally:
            connection.close()
        expect(response.status == 200, f"{self.name}: GET /v1/{path}: {response.status} {body[:200]}")
        return json.loads(body)

    def peers(self):
        """Nick to status of every peer this daemon knows."""
        return {peer["nick"]: peer["status"] for peer in self.api("peers") or []}

    def sees(self, others):
        peers = self.peers()
        return all(peers.get(other.name) == "here" for other in others if other is not self)

    def texts(self, room=ROOM):
        return [post["text"] for post in self.api(f"rooms/{room}/posts") or [] if post["kind"] == "text"]

    def proc(self, name):
        with open(f"/proc/{self.daemon.pid}/{name}", encoding="ascii") as file:
            return file.read()

    def rss_mib(self, what="VmRSS"):
        """What is in memory: all of it, or with RssAnon without the pages of the binary, which all daemons share."""
        line = next(line for line in self.proc("status").splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self):
        fields = self.proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def datagrams_sent(self):
        """By IPv4 and IPv6."""
        head, values = (line.split() for line in self.proc("net/snmp").splitlines() if line.startswith("Udp:"))
        six = next(line for line in self.proc("net/snmp6").splitlines() if line.startswith("Udp6OutDatagrams"))
        return int(values[head.index("OutDatagrams")]) + int(six.split()[1])

    def reset(self):
        """Ends everything started here and forgets the home: the next check meets a new host."""
        for running in self.started:
            if running.alive():
                running.end(signal.SIGKILL)
        self.started, self.daemon = [], None
        shutil.rmtree(self.home, ignore_errors=True)


class Lab:
    """All hosts, numbered from 1: lab[1] is h1."""

    def __init__(self):
        count = sum(name.endswith(".port") for name in os.listdir(STATE))
        self.hosts = [Host(number) for number in range(1, count + 1)]
        self.dirty = False

    def __getitem__(self, number):
        return self.hosts[number - 1]

    def verb(self, *words):
        self.dirty = True
        verb(*words)

    def start(self, *hosts):
        """Starts the daemons of hosts (default: all) together and waits until each sees all others."""
        hosts = hosts or self.hosts
        for host in hosts:
            host.start()
        for host in hosts:
            host.ready()
        for host in hosts:
            wait(lambda host=host: host.sees(hosts), 60, f"{host.name} sees all others")

    def in_one_order(self):
        """Fails unless all hosts have the same posts in the same order."""
        orders = {tuple(post["id"] for post in host.api(f"rooms/{ROOM}/posts?limit=1000")) for host in self.hosts}
        expect(len(orders) == 1, f"{len(orders)} different orders on {len(self.hosts)} hosts")

    def reset(self):
        for host in self.hosts:
            host.reset()
        if self.dirty:
            verb("loss", "all", 0)
            verb("heal")
            for host in self.hosts:
                verb("isolate", host.name, "off")
                verb("move", host.name, "a")
        self.dirty = False
