"""A site of plain processes on this machine's loopback: each member a gossip, a consensus and a planner. This program stands
in the place of monitor, and there is no migrator."""

import base64
import hashlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from emulated_site import ROOT, wait_until
from leaderships import UnixConnection

BUILD = os.environ.get("POISE_BUILD", os.path.join(ROOT, ".build", "release"))
SERVICES = ("gossip", "consensus", "planner")
#: Seconds for whatever should be there soon.
PATIENCE = 30


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Monitor:
    """Says what a device uses, as monitor does, twice a second."""

    SCORE = {"cpu": 20_000, "ram": 300_000, "disk": 3_000, "network": 2_000}

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen()
        self.over = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.over:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.over:
                line = json.dumps(self.sample()).encode() + b"\n"
                connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                time.sleep(0.5)
        except OSError:
            pass
        finally:
            connection.close()

    def sample(self):
        services = [{"app": name, "incarnation": 0, "score": self.SCORE} for name in
                    ("consensus", "gossip", "migrator", "monitor", "planner")]
        return {"timestamp": int(time.time() * 1_000), "device": self.SCORE, "apps": [], "services": services,
                "capacity": {"cpuMillicores": 4_000, "ramBytes": 4 << 30, "diskBytesPerSecond": 40 << 20,
                             "networkBytesPerSecond": 100 << 20},
                "facts": {"architecture": "aarch64", "kernel": "6.12.47+rpt-rpi-v8", "engineVersion": "28.5.1",
                          "storageDriver": "overlay2", "checkpoints": True, "pageSize": 4_096, "labels": {}, "devices": []}}

    def close(self):
        self.over = True
        self.socket.close()


class PlainSite:
    """`settings` are added to each member's environment; `disk` is a directory whose disk the states lie on."""

    def __init__(self, disk, members=4, settings=None):
        self.settings = {key: str(value) for key, value in (settings or {}).items()}
        self.count = members
        # A socket's path must be short.
        self.directory = tempfile.mkdtemp(prefix="poise-bench.", dir="/tmp")
        self.disk = tempfile.mkdtemp(prefix="poise-bench.", dir=disk)
        self.ports = free_ports(members)
        self.processes = {}
        self.monitors = []

    def start(self):
        for member in range(self.count):
            os.makedirs(self.run(member))
            self.monitors.append(Monitor(os.path.join(self.run(member), "monitor.sock")))
        for member in range(self.count):
            self.launch(member)
        self.ids = [self.ask(member, "gossip", "/node")["id"] for member in range(self.count)]
        wait_until("the site is founded and has its first blocks",
                   lambda: all(self.height(member) >= 2 for member in range(self.count)), 2 * PATIENCE, every=0.2)

    def run(self, member):
        return os.path.join(self.directory, f"run{member}")

    def state(self, member, service):
        return os.path.join(self.disk, f"{service}{member}")

    def launch(self, member):
        # Nobody gives orders: any key will do.
        owner = hashlib.blake2b(b"nobody's", digest_size=32).hexdigest()
        environment = {
            "PATH": os.environ["PATH"], "POISE_RUN": self.run(member), "POISE_NAME": f"m{member}",
            "POISE_LOG_LEVEL": "warning", "POISE_OPERATOR": owner, "POISE_EXPECT": str(self.count),
            "POISE_GOSSIP_PORT": str(self.ports[member]), "POISE_ADVERTISE": f"127.0.0.1:{self.ports[member]}",
            "POISE_PEERS": ",".join(f"127.0.0.1:{port}" for port in self.ports if port != self.ports[member]),
            **self.settings}
        self.processes[member] = {}
        for service in SERVICES:
            os.makedirs(self.state(member, service), exist_ok=True)
            with open(os.path.join(self.directory, f"{service}{member}.log"), "a") as log:
                self.processes[member][service] = subprocess.Popen(
                    [os.path.join(BUILD, service), "run"],
                    env={**environment, "POISE_STATE": self.state(member, service)},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def socket(self, member, service):
        return os.path.join(self.run(member), f"{service}.sock")

    def text(self, member, service, path):
        connection = UnixConnection(self.socket(member, service), 5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            told = response.read().decode()
            assert response.status == 200, told
            return told
        except OSError as error:
            raise AssertionError(f"{service} of member {member}: {error}") from error
        finally:
            connection.close()

    def ask(self, member, service, path):
        return json.loads(wait_until(f"{service} of member {member} answers",
                                     lambda: [self.text(member, service, path)], PATIENCE, every=0.05)[0])

    def height(self, member):
        try:
            return json.loads(self.text(member, "planner", "/chain/head"))["height"]
        except AssertionError:
            return 0

    def leader(self):
        """The number of the member that leads."""
        return wait_until("somebody leads", lambda: [self.ids.index(self.ask(0, "consensus", "/leadership/latest")["leader"])],
                          PATIENCE)[0]

    def kill(self, member):
        for process in self.processes[member].values():
            process.send_signal(signal.SIGKILL)
        for process in self.processes[member].values():
            process.wait()

    def remove(self):
        for member in self.processes.values():
            for process in member.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for monitor in self.monitors:
            monitor.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.disk, ignore_errors=True)


class Feed:
    """One feed of a service, line by line, of whatever has come."""

    def __init__(self, path, request):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.sendall(f"GET {request} HTTP/1.1\r\nHost: poise\r\n\r\n".encode())
        self.bytes = b""
        self.line = b""
        self.begun = False

    def fileno(self):
        return self.socket.fileno()

    def read(self):
        """The lines that are whole now."""
        more = self.socket.recv(1 << 20)
        if not more:
            raise EOFError("a feed has ended")
        self.bytes += more
        if not self.begun:
            head, found, rest = self.bytes.partition(b"\r\n\r\n")
            if not found:
                return []
            assert b" 200 " in head.split(b"\r\n", 1)[0], head
            self.begun, self.bytes = True, rest
        while True:
            size, found, rest = self.bytes.partition(b"\r\n")
            if not found or len(rest) < int(size, 16) + 2:
                break
            self.line += rest[:int(size, 16)]
            self.bytes = rest[int(size, 16) + 2:]
        *lines, self.line = self.line.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def close(self):
        self.socket.close()


class Blocks:
    """Sees when each block was proposed and when each member had committed it, by this program's one clock."""

    #: Behind the length of `poise/proposal/1` and that itself, and the genesis.
    HEIGHT = 4 + 16 + 32

    def __init__(self, site, members=None, proposals=True):
        self.selector = selectors.DefaultSelector()
        self.proposed = {}
        self.committed = {}
        self.rounds = {}
        for member in range(site.count) if members is None else members:
            self.follow(member, Feed(site.socket(member, "planner"), "/commits"))
            if proposals:
                self.follow(None, Feed(site.socket(member, "gossip"), "/messages?kinds=proposal"))
        # What came before.
        self.watch(1)
        self.first = max(self.committed, default=0) + 1

    def follow(self, member, feed):
        self.selector.register(feed, selectors.EVENT_READ, member)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def watch(self, seconds, until=lambda: False):
        """Takes in what comes, for so long or until that is true; whether it is."""
        end = time.monotonic() + seconds
        while not until():
            ready = self.selector.select(max(0, end - time.monotonic()))
            now = time.monotonic()
            if not ready and now >= end:
                return until()
            for key, _ in ready:
                for line in key.fileobj.read():
                    self.note(key.data, line, now)
        return True

    def note(self, member, line, now):
        if member is not None:
            self.committed.setdefault(line["height"], {}).setdefault(member, now)
            return
        payload = base64.b64decode(line["message"]["payload"])
        height = int.from_bytes(payload[self.HEIGHT:self.HEIGHT + 8], "big")
        self.proposed.setdefault(height, now)
        self.rounds[height] = int.from_bytes(payload[self.HEIGHT + 8:self.HEIGHT + 12], "big")

    def taken(self, height, members):
        """Milliseconds from the proposal until so many had committed; nil if that wasn't seen, or took another round."""
        times = sorted(self.committed.get(height, {}).values())
        if height not in self.proposed or len(times) < members or self.rounds[height] > 0:
            return None
        return 1_000 * (times[members - 1] - self.proposed[height])
