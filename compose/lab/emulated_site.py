"""A Poise site on emulated devices, driven from outside: what the demo and the end-to-end tests share.

Everything goes through `lab exec`, as a person would do it: nothing here reaches into a service.
"""

import json
import os
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(ROOT, "compose", "lab", "lab")
DEVICE = os.path.join(ROOT, "compose", "device.yaml")
#: For a site that elects through etcd, beside DEVICE.
ETCD = os.path.join(ROOT, "compose", "etcd.yaml")
PLANNER = os.path.join(ROOT, ".build", "release", "planner")
SERVICES = ["monitor", "gossip", "consensus", "planner", "migrator"]


class CommandFailed(Exception):
    def __init__(self, command, status, output):
        super().__init__(f"{' '.join(command)} ended with status {status}:\n{output.strip()[-4000:]}")
        self.status = status
        self.output = output


class TimedOut(Exception):
    pass


def run(*command, check=True, timeout=120, stdin=None):
    """Runs a command; its output as text. Raises CommandFailed with what it printed."""
    feed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **feed)
    except subprocess.TimeoutExpired as expired:
        raise TimedOut(f"{' '.join(command)} took longer than {timeout} s") from expired
    if check and done.returncode != 0:
        raise CommandFailed(list(command), done.returncode, done.stdout + done.stderr)
    return done


def wait_until(what, condition, seconds, every=0.5):
    """Polls until condition() is true and returns its value; raises TimedOut with what was last seen."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            last = condition()
            if last:
                return last
        except (CommandFailed, TimedOut, AssertionError, KeyError, json.JSONDecodeError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimedOut(f"after {seconds} s still not true: {what}\nlast seen: {last}")
        time.sleep(every)


class Device:
    """One emulated device."""

    def __init__(self, site, number):
        self.site = site
        self.name = f"pi{number}"
        self.address = f"{site.network}.{number}"

    def exec(self, *command, **options):
        return run(LAB, "exec", self.name, *command, **options)

    def service(self, name, *arguments, **options):
        """Runs a service's own command line in its container."""
        return self.exec("docker", "exec", "-i", f"poise-{name}", name, *arguments, **options)

    def json(self, service, *arguments, **options):
        return json.loads(self.service(service, *arguments, "--json", **options).stdout)

    def pid(self, container):
        """The process of a running container as the device sees it; 0 if it doesn't run."""
        done = self.exec("docker", "inspect", "-f", "{{.State.Pid}}", container, check=False)
        return int(done.stdout.strip() or 0) if done.returncode == 0 else 0

    def get(self, service, path):
        """The body of a GET on a service's socket, which is reached through the mount that its process has."""
        socket = f"/proc/{self.pid('poise-' + service)}/root/run/poise/{service}.sock"
        return self.exec("curl", "-sf", "--max-time", "10", "--unix-socket", socket, f"http://poise{path}").stdout

    def kill_service(self, name):
        """kill -9 of a service's process, as a crash: Docker's own kill would count as a stop by hand."""
        pid = self.pid(f"poise-{name}")
        if pid:
            self.exec("kill", "-9", str(pid))
        return pid

    def install(self, expect, tags=None, beside=(), **settings):
        """Installs Poise as the README says: one `docker compose up -d` with a name and peers.

        `beside` are Compose files that change what the device's own says.
        """
        peers = ",".join(d.address for d in self.site.devices if d is not self)
        operator, secret = self.site.operator()
        environment = {"POISE_NAME": self.name, "POISE_PEERS": peers, "POISE_EXPECT": str(expect),
                       "POISE_OPERATOR": operator, **settings}
        self.exec("sh", "-c", "mkdir -p /etc/poise/operator && cat > /etc/poise/operator/key && "
                  "chmod 600 /etc/poise/operator/key && chown -R 7700:7700 /etc/poise/operator", stdin=secret)
        for service, tag in (tags or {}).items():
            environment[f"POISE_{service.upper()}_TAG"] = tag
        files = []
        for path in (DEVICE, *beside):
            there = f"/opt/poise/{os.path.basename(path)}"
            with open(path) as file:
                self.exec("sh", "-c", f"mkdir -p /opt/poise && cat > {there}", stdin=file.read())
            files += ["-f", there]
        assignments = [f"{key}={value}" for key, value in environment.items()]
        self.exec("env", *assignments, "docker", "compose", *files, "up", "-d", timeout=180)

    def status(self):
        """What the lab knows of it: `state`, `address`, `pid` of its first process, …"""
        return next(d for d in json.loads(self.site.lab("status", "--json").stdout)["devices"] if d["name"] == self.name)

    def restart(self, meanwhile):
        """Shuts it down, does something, and starts it."""
        self.site.lab("halt", self.name)
        self.down = True
        meanwhile()
        self.site.lab("boot", self.name)
        self.down = False
        wait_until(f"{self.name} holds the site's chain", self.site.common_head, 120)

    def running_apps(self):
        """The app containers that run here (paused ones do not): {app: [container]}."""
        done = self.exec("docker", "ps", "--filter", "label=poise.app", "--filter", "status=running", "--format",
                         '{{.Label "poise.app"}} {{.Names}}')
        apps = {}
        for line in filter(None, done.stdout.splitlines()):
            app, name = line.split()
            apps.setdefault(app, []).append(name)
        return apps


class Site:
    """Several emulated devices."""

    def __init__(self, count):
        self.count = count
        self.network = os.environ.get("LAB_NET", "10.77.0")
        self.devices = [Device(self, n) for n in range(1, count + 1)]
        self.keys = None

    def operator(self):
        """The site's operator: the public half of the key, and the content of its file."""
        if not self.keys:
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "key")
                public = run(PLANNER, "operator", "create", "--operator-key", path).stdout.strip()
                with open(path) as file:
                    self.keys = public, file.read()
        return self.keys

    def __getitem__(self, name):
        return next(d for d in self.devices if d.name == name)

    def lab(self, *arguments, **options):
        return run(LAB, *arguments, **options)

    def install(self, **settings):
        for device in self.devices:
            device.install(self.count, **settings)

    def heads(self):
        """{device: head} as every planner tells it."""
        return {d.name: json.loads(d.get("planner", "/chain/head")) for d in self.devices}

    def common_head(self):
        """The highest height that every device holds, as (height, block ID); raises if the blocks there differ."""
        lowest = min(head["height"] for head in self.heads().values())
        ids = {}
        for device in self.devices:
            blocks = json.loads(device.get("planner", f"/chain/blocks?from={lowest}&limit=1"))
            ids[device.name] = blocks[0]["id"]
        if len(set(ids.values())) != 1:
            raise AssertionError(f"the chains differ at height {lowest}: {ids}")
        return lowest, next(iter(ids.values()))

    def submit(self, device, compose, on=None):
        arguments = ["submit", "-", "--no-wait"] + (["--on", on] if on else [])
        return device.service("planner", *arguments, stdin=compose, timeout=60)

    def apps(self, device=None):
        """{name: row} as planner tells it."""
        rows = (device or self.devices[0]).json("planner", "apps")
        return {row["name"]: {"node": None, "target": None, **row} for row in rows}

    def moves(self):
        """Every device's outgoing moves, as their sources tell them."""
        return [row for d in self.devices for row in d.json("migrator", "moves") if row["direction"] == "outgoing"]

    def copies(self, app):
        """[(device, container)] of every running copy of an app."""
        return [(d.name, c) for d in self.devices for c in d.running_apps().get(app, [])]
