"""A running site of four emulated devices for the tests, and what every test needs of it."""

import json
import os
import sys

from emulated_site import LAB, ROOT, SERVICES, Site, run, wait_until

DEVICES = 4


def start():
    """Four devices that have founded their site and commit blocks."""
    archive = run(os.path.join(ROOT, "compose", "images"), timeout=900).stdout.strip().splitlines()[-1]
    site = Site(DEVICES)
    site.lab("down", timeout=120)
    site.lab("up", str(DEVICES), timeout=900)
    site.lab("load", archive, timeout=600)
    site.install()
    wait_until("every device has committed a block",
               lambda: all(head["height"] >= 1 for head in site.heads().values()), 120)
    return site


def stop():
    run(LAB, "down", timeout=120, check=False)


def tell(site):
    """What the services said lately, for whoever reads a failure."""
    for device in site.devices:
        for service in SERVICES:
            logs = device.exec("sh", "-c", f"docker logs --tail 25 poise-{service} 2>&1", check=False, timeout=30)
            print(f"--- {device.name} {service}\n{logs.stdout}", file=sys.stderr)


def compose(**services):
    """A Compose file of these services; JSON is YAML."""
    return json.dumps({"services": services})


def ballast(megabytes, port, **more):
    """An app that holds incompressible memory and a file it has written, and tells both their digests."""
    return {"image": "poise/demo:dev", "command": ["ballast", str(megabytes)], "environment": {"PORT": str(port)},
            "ports": [f"{port}:{port}"], **more}


def counter(port, load=0, **more):
    return {"image": "poise/demo:dev", "command": ["counter"], "environment": {"PORT": str(port), "LOAD": str(load)},
            "ports": [f"{port}:{port}"], **more}


def where(site, app):
    """The name of the device on which the app runs, as the chain says, once it says so."""
    def placed():
        row = site.apps(alive(site)).get(app)
        return row["node"] if row and row["phase"] == "running" else None
    return wait_until(f"{app} runs somewhere", placed, 90)


def alive(site):
    return next(d for d in site.devices if not getattr(d, "down", False))


def ask(site, app, port, method="GET"):
    """What the app says over HTTP, asked on the device that runs it."""
    device = site[where(site, app)]
    return json.loads(device.exec("curl", "-s", "--max-time", "5", "-X", method, f"http://127.0.0.1:{port}/").stdout)


def single_copy(site, app, seconds=60):
    """Waits until exactly one copy of the app runs, on the device that the chain names."""
    def one():
        copies = site.copies(app)
        row = site.apps(alive(site))[app]
        return len(copies) == 1 and copies[0][0] == row["node"] and row["phase"] == "running"
    wait_until(f"one running copy of {app}, where the chain says", one, seconds)


def remove(site, *apps):
    for app in apps:
        alive(site).service("planner", "remove", app, check=False)
    wait_until("removed apps run nowhere", lambda: not any(site.copies(app) for app in apps), 60)
