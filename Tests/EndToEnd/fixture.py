"""A running site of four emulated devices for the tests, and what every test needs of it."""

import json
import os
import sys

from emulated_site import LAB, ROOT, SERVICES, Site, TimedOut, run, wait_until

DEVICES = 4


def start(**settings):
    """Four devices that have founded their site and commit blocks, with these settings of their services."""
    archive = run(os.path.join(ROOT, "compose", "images"), timeout=900).stdout.strip().splitlines()[-1]
    site = Site(DEVICES)
    site.lab("down", timeout=120)
    site.lab("up", str(DEVICES), timeout=900)
    site.lab("load", archive, timeout=600)
    lines = "".join(f"{key}={value}\n" for key, value in settings.items())
    for device in site.devices:
        device.exec("sh", "-c", "mkdir -p /etc/poise && cat > /etc/poise/settings.env", stdin=lines)
    site.install()
    wait_until("every device has committed a block",
               lambda: all(head["height"] >= 1 for head in site.heads().values()), 120)
    return site


def stop():
    """Takes the lab down. That this went wrong is said, but is no test's failure: the next start takes it down again."""
    try:
        done = run(LAB, "down", timeout=300, check=False)
        if done.returncode != 0:
            print(f"the lab did not go down:\n{done.stdout}{done.stderr}", file=sys.stderr)
    except TimedOut as error:
        print(error, file=sys.stderr)


def tell(site):
    """What the services said lately, for whoever reads a failure."""
    for device in site.devices:
        for service in SERVICES:
            try:
                logs = device.exec("sh", "-c", f"docker logs --tail 25 poise-{service} 2>&1", check=False, timeout=30)
                print(f"--- {device.name} {service}\n{logs.stdout}{logs.stderr}", file=sys.stderr)
            except TimedOut as error:
                print(f"--- {device.name} {service}\n{error}", file=sys.stderr)


def compose(**services):
    """A Compose file of these services; JSON is YAML."""
    return json.dumps({"services": services})


def demo_app(command, port, load, **more):
    return {"image": "poise/demo:dev", "command": command, "environment": {"LOAD": str(load)},
            "ports": [f"{port}:8000"], **more}


def ballast(megabytes, port, load=0):
    """An app that holds incompressible memory and a file it has written, and tells both their digests."""
    return demo_app(["ballast", str(megabytes)], port, load)


def counter(port, load=0, **more):
    """An app whose count is in memory alone."""
    return demo_app(["counter"], port, load, **more)


def loader(port, load, **more):
    """An app that burns `load` percent of a core."""
    return demo_app(["burner"], port, load, **more)


def where(site, app):
    """The name of the device on which the app runs, as the chain says, once it says so."""
    def placed():
        row = site.apps(alive(site)).get(app)
        return row["node"] if row and row["phase"] == "running" else None
    return wait_until(f"{app} runs somewhere", placed, 90)


def alive(site):
    return next(d for d in site.devices if not getattr(d, "down", False))


def ask(site, app, port, path="/", method="GET"):
    """What the app says over HTTP, asked on the device that runs it."""
    def answer():
        device = site[where(site, app)]
        return json.loads(device.exec("curl", "-sf", "--max-time", "10", "-X", method,
                                      f"http://127.0.0.1:{port}{path}").stdout)
    # A POST is not repeated: it would count twice.
    return answer() if method == "POST" else wait_until(f"{app} answers", answer, 60)


def move_of(site, apps):
    """Waits for a finished move of one of the apps."""
    return wait_until(f"a move of {' or '.join(apps)}",
                      lambda: next((m for m in site.moves() if m["app"] in apps and m["outcome"] == "done"), None), 120)


def single_copy(site, app, seconds=60):
    """Waits until exactly one copy of the app runs, on the device that the chain names."""
    def one():
        copies = site.copies(app)
        row = site.apps(alive(site))[app]
        return len(copies) == 1 and copies[0][0] == row["node"] and row["phase"] == "running"
    wait_until(f"one running copy of {app}, where the chain says", one, seconds)


def remove(site, *apps):
    for app in apps:
        alive(site).service("planner", "remove", app)
    wait_until("removed apps run nowhere", lambda: not any(site.copies(app) for app in apps), 60)
