"""An etcd of Debian's, started, killed and brought back by whoever needs one."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

ETCD = "/usr/bin/etcd"


class Etcd:
    """One member. `members` are those of its cluster, {name: the URL for the others}; `network` is a process in whose
    network it is to run."""

    def __init__(self, name, client, members, network=None, settings=()):
        self.name = name
        self.client = client
        self.members = members
        self.network = network
        self.settings = list(settings)
        self.directory = tempfile.mkdtemp(prefix="poise-etcd.")
        self.process = None

    def start(self):
        """Starts it, with what it knew before."""
        inside = ["nsenter", f"--net=/proc/{self.network}/ns/net"] if self.network else []
        peer = self.members[self.name]
        cluster = ",".join(f"{name}={url}" for name, url in self.members.items())
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [*inside, ETCD, "--name", self.name, "--data-dir", os.path.join(self.directory, "data"),
                 "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                 "--logger", "zap", "--log-level", "warn", *self.settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self):
        return os.path.join(self.directory, "log")

    def kill(self):
        """Ends it as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def remove(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def status(connection):
    """What a member says of its cluster: (its own ID, the leader's or None, term), over a connection that is kept."""
    connection.request("POST", "/v3/maintenance/status", body="{}")
    response = connection.getresponse()
    told = json.loads(response.read())
    leader = told.get("leader", "0")
    return told["header"]["member_id"], None if leader == "0" else leader, int(told.get("raftTerm", 0))
