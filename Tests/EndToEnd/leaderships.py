"""Who leads, as each of several consensus services tells it: `GET /leadership` on their Unix sockets, followed all at once."""

import http.client
import json
import os
import socket
import threading
import time

from emulated_site import TimedOut

#: Seconds after which a socket that isn't there, or an election that isn't ready, is tried again.
RETRY = 0.02
#: While nothing changes a line comes every 5 s: who says nothing for longer has lost its power.
SILENCE = 12
#: Where the services meet, on a device of the lab.
SOCKETS = "var/lib/docker/volumes/poise_sockets/_data"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("poise", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def socket_on(device, service="consensus"):
    """Where this machine finds a service's socket of a device that is up."""
    return f"/proc/{device.status()['pid']}/root/{SOCKETS}/{service}.sock"


class Leaderships:
    """Follows several consensus services, each in a thread of its own, for as long as it lasts.

    `sockets` gives for each name what returns the present path of its socket.
    """

    def __init__(self, sockets):
        self.sockets = sockets
        self.changed = threading.Condition()
        #: {name: [(when, leadership)]}: None from when it couldn't be followed any more.
        self.told = {name: [] for name in sockets}
        self.over = False
        self.connections = {}
        self.threads = [threading.Thread(target=self.follow, args=(name,), daemon=True) for name in sockets]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for connection in list(self.connections.values()):
            if connection.sock:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join(SILENCE)

    def follow(self, name):
        while not self.over:
            try:
                connection = self.connections[name] = UnixConnection(self.sockets[name](), SILENCE)
                connection.request("GET", "/leadership")
                response = connection.getresponse()
                while response.status == 200 and not self.over:
                    line = response.readline()
                    if not line:
                        break
                    if line.strip():
                        self.note(name, json.loads(line))
                connection.close()
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                pass
            if self.told[name] and self.told[name][-1][1] is not None:
                self.note(name, None)
            time.sleep(RETRY)

    def note(self, name, leadership):
        with self.changed:
            self.told[name].append((time.monotonic(), leadership))
            self.changed.notify_all()

    def latest(self):
        """{name: the newest leadership, or None}."""
        return {name: told[-1][1] if told else None for name, told in self.told.items()}

    def wait(self, what, condition, seconds):
        """Asks `condition` again after each change until it is true, and returns its value; raises TimedOut."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimedOut(f"after {seconds} s still not true: {what}\nlast seen: {self.latest()}")
                # What it waits for may also come true by time alone.
                self.changed.wait(min(left, 0.5))

    def at(self, name, moment):
        """What it said at that moment."""
        rows = [leadership for when, leadership in self.told[name] if when <= moment and leadership]
        return rows[-1] if rows else {"term": 0}

    def agreed(self, names, since, not_before=0, but=()):
        """When all of these had acknowledged one node other than `but` in one term of `not_before` or later, after
        the moment `since`: (when, term, leader) of the first such; None if there is none."""
        found = None
        seen = [{} for _ in names]
        for told, name in zip(seen, names):
            current = None
            for when, leadership in self.told[name]:
                if when >= since:
                    break
                current = leadership
            rows = [(since, current)] if current else []
            rows += [(when, leadership) for when, leadership in self.told[name] if when >= since and leadership]
            for when, leadership in rows:
                leader = leadership.get("leader")
                if leader and leader not in but and leadership["term"] >= not_before:
                    told.setdefault((leadership["term"], leader), when)
        for key in set.intersection(*(set(told) for told in seen)):
            when = max(told[key] for told in seen)
            if found is None or when < found[0]:
                found = (when, *key)
        return found
