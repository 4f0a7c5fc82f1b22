"""What the demo's apps share: an HTTP server and a measured load, in one thread.

The load is CPU time, not a share of the clock: in every period of 100 ms the program works until its processes have
used LOAD percent of it, and makes up for up to a fifth of a second in which it got less. A busy device makes that take longer,
but doesn't change the figure, so a balancer that moves the app sees the same demand everywhere.
"""

import json
import os
import select
import signal
import socket
import sys
import time

PERIOD = 0.1
LIMIT = 0.2


def whole_number(name, default, low, high):
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not low <= int(text) <= high:
        raise SystemExit(f"{name}={text} is wrong: give a whole number from {low} to {high}")
    return int(text)


def burn():
    """About a millisecond of work."""
    total = 0
    for number in range(20000):
        total += number
    return total


class App:
    """Subclasses say what work is and what a request answers."""

    def __init__(self):
        # the first process of a container ignores signals that it doesn't handle
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.boot = os.urandom(8).hex()
        self.count = 0
        self.load = whole_number("LOAD", 0, 0, 95) / 100
        self.listener = socket.create_server(("", whole_number("PORT", 8000, 1, 65535)), backlog=64)
        self.listener.setblocking(False)
        print(f"boot {self.boot}", flush=True)

    def work(self):
        burn()

    def used(self):
        """CPU seconds used so far."""
        return time.process_time()

    def get(self, path):
        return {"count": self.count, "boot": self.boot}

    def post(self, path):
        self.count += 1
        return self.get(path)

    def run(self):
        clock, used, owed = time.monotonic(), self.used(), 0.0
        while True:
            # After a restore both clocks may be anywhere: back is as if no time had passed, and what is owed from
            # a long time is forgotten.
            now = time.monotonic()
            owed = min(owed + self.load * max(0, now - clock), self.load * LIMIT)
            clock = now
            end = now + PERIOD
            while owed > 0:
                self.work()
                self.serve(0)
                now = self.used()
                owed -= max(0, now - used)
                used = now
            rest = end - time.monotonic()
            while 0 < rest <= PERIOD:
                self.serve(rest)
                rest = end - time.monotonic()

    def serve(self, timeout):
        """Answers one request, if one comes in time."""
        if not select.select([self.listener], [], [], timeout)[0]:
            return
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        with client:
            try:
                # requests are tiny; a client that dawdles must not hold up the others
                client.settimeout(0.5)
                head = b""
                while b"\r\n\r\n" not in head and len(head) < 8192:
                    chunk = client.recv(4096)
                    if not chunk:
                        return
                    head += chunk
                method, path = head.split(b" ", 2)[:2]
                answer = {b"GET": self.get, b"POST": self.post}.get(method, self.get)(path.decode())
                status = "200 OK" if answer is not None else "404 Not Found"
                body = json.dumps(answer or {"error": "there is nothing here"}).encode() + b"\n"
                client.sendall(
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                    "Connection: close\r\n\r\n".encode() + body
                )
            except (OSError, ValueError):
                return
