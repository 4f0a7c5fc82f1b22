"""What the site promises, one scenario each, on four devices with real engines."""

import base64
import contextlib
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import elections
from emulated_site import PLANNER, SERVICES, CommandFailed, run, wait_until
from fixture import ask, ballast, compose, counter, loader, move_of, remove, single_copy, where


def moved_state(site):
    """What an app holds in memory and has written arrives byte for byte"""
    site.submit(site.devices[0], compose(heavy=ballast(48, 9011, load=30), light=loader(9012, 15, labels={"poise.move": "never"})), on="pi2")
    for app in ("heavy", "light"):
        where(site, app)
    before = ask(site, "heavy", 9011, "/digest"), ask(site, "heavy", 9011, "/file")
    move = move_of(site, ("heavy",))
    single_copy(site, "heavy")
    after = ask(site, "heavy", 9011, "/digest"), ask(site, "heavy", 9011, "/file")
    assert after == before, f"{before} became {after}"
    assert move["from"] == "pi2" and where(site, "heavy") != "pi2"
    nodes = {node["name"]: node for node in site.devices[0].json("planner", "nodes")}
    measured = nodes[where(site, "heavy")].get("bandwidth")
    assert measured and measured > 100_000, f"the move has shown no bandwidth: {nodes}"
    remove(site, "heavy", "light")


def crash(service):
    """A scenario: kill -9 of one service on source and target while an app moves."""
    def scenario(site):
        def kill(move):
            for name in (move["node"], move["target"]):
                site[name].kill_service(service)
        in_the_middle_of_a_move(site, f"{service}-app", 9100 + 2 * SERVICES.index(service), kill)
    scenario.__name__ = f"crash_of_{service}"
    scenario.__doc__ = f"kill -9 of {service} on both ends of a move: nothing lost, one copy at the end"
    return scenario


def count_to(site, app, port, count):
    """Gives a counter a count that only its memory knows."""
    told = ask(site, app, port)["count"]
    while told < count:
        try:
            told = ask(site, app, port, "/", "POST")["count"]
        except CommandFailed:
            # It may have moved away meanwhile, before or after it has counted.
            told = ask(site, app, port)["count"]
    return told


def moving(site, app):
    row = site.apps().get(app)
    return row if row and row.get("target") else None


def engine_crash(site):
    """The target's Docker engine crashes in the middle of a move: nothing lost, and Poise comes back with the engine"""
    in_the_middle_of_a_move(site, "stranded", 9811, lambda move: site[move["target"]].exec(
        "sh", "-c", "kill -9 $(cat /run/docker.pid)"))


def cut_in_a_move(site):
    """The target is cut off in the middle of a move: nothing lost, one copy at the end"""
    def cut(move):
        site.lab("cut", move["target"])
        rest = next(device for device in site.devices if device.name != move["target"])
        height = json.loads(rest.get("planner", "/chain/head"))["height"]
        wait_until("the other three go on committing blocks",
                   lambda: json.loads(rest.get("planner", "/chain/head"))["height"] > height + 5, 90)
        site.lab("heal")
    in_the_middle_of_a_move(site, "severed", 9821, cut)


def in_the_middle_of_a_move(site, app, port, do):
    """Does something to a move of an app, once it is under way; then the app must have kept its memory."""
    site.submit(site.devices[0], compose(**{app: counter(port, load=30)}), on="pi1")
    count_to(site, app, port, 4)
    before = ask(site, app, port)
    weights = []

    def begun():
        # On a busy machine the site may have moved it for another reason, or the move is over before it is seen. Then the app
        # is left alone for a minute.
        weights.append(f"weight{len(weights)}")
        weight = loader(9950 + len(weights), 20, labels={"poise.move": "never"})
        site.submit(site.devices[0], compose(**{weights[-1]: weight}), on=where(site, app))
        return wait_until(f"{app} begins to move", lambda: moving(site, app), 80, every=0.1)
    do(wait_until("a move is seen under way", begun, 100))
    wait_until("all devices hold the same chain", site.common_head, 120)
    single_copy(site, app, 180)
    after = ask(site, app, port)
    assert after == before, f"{before} became {after}"
    remove(site, app, *weights)


def cut_and_heal(site):
    """A device that is cut off and healed finds its way back: one chain, one copy of each app"""
    site.submit(site.devices[0], compose(lonely=counter(9201)), on="pi4")
    where(site, "lonely")
    height = site.common_head()[0]
    site.lab("cut", "pi4")
    rest = site["pi1"]
    wait_until("the other three go on committing blocks",
               lambda: json.loads(rest.get("planner", "/chain/head"))["height"] > height + 5, 90)
    wait_until("the lost device's app runs elsewhere", lambda: moved_away(site, rest), 120)
    site.lab("heal")
    wait_until("all four hold the same chain again", site.common_head, 90)
    single_copy(site, "lonely", 120)
    remove(site, "lonely")


def cut_off_policies(site):
    """A device that is cut off: its freeze app is paused and runs elsewhere, its run app doubles, and healing leaves one copy of each"""
    lost, rest = site["pi4"], site["pi1"]
    # Neither may be on its way to another device when the cut comes: a move is given its whole time.
    frozen = counter(9211, labels={"poise.isolated": "freeze", "poise.move": "never"})
    site.submit(rest, compose(careful=frozen, eager=counter(9212, labels={"poise.move": "never"})), on="pi4")
    for app in ("careful", "eager"):
        where(site, app)
    site.lab("cut", "pi4")
    # Four seconds by the rules; the others are for a busy engine, and for the commands that look.
    wait_until("the freeze app is paused", lambda: container_state(lost, "careful") == "paused", 15, every=0.2)
    assert container_state(lost, "eager") == "running", "the run app must go on"
    for app in ("careful", "eager"):
        wait_until(f"{app} runs elsewhere", lambda: moved_away(site, rest, app), 120)
    assert container_state(lost, "careful") == "paused", "it runs twice"
    assert container_state(lost, "eager") == "running", "the run app goes on until its device is back"
    health = wait_until("its planner's health names who is missing", lambda: quorum_warning(lost), 10)
    assert "pi1" in health and "resumes by itself" in health, health
    heard = {node["name"]: node["heard"] for node in lost.json("planner", "nodes")}
    assert heard["pi4"] and not heard["pi1"], heard
    site.lab("heal")
    wait_until("all four hold the same chain again", site.common_head, 90)
    for app in ("careful", "eager"):
        single_copy(site, app, 120)
        assert where(site, app) != "pi4", f"{app} was taken back by the device that was given up"
    remove(site, "careful", "eager")


def quorum_warning(device):
    check = json.loads(device.get("planner", "/health"))["checks"].get("quorum", {"status": "pass"})
    return check["output"] if check["status"] == "warn" else None


def container_state(device, app):
    return device.exec("docker", "inspect", "-f", "{{.State.Status}}", f"poise-app-{app}", check=False).stdout.strip()


def moved_away(site, device, app="lonely"):
    row = site.apps(device).get(app)
    return row and row["phase"] == "running" and row.get("node") not in (None, "pi4")


def failed_restore(site):
    """An app whose restore fails at the target resumes at the source with its memory"""
    for name in ("pi1", "pi2", "pi4"):
        # A file that the app needs is on pi3 alone: elsewhere the restore can't work.
        site[name].exec("rm", "-rf", "/srv/only-here")
    site["pi3"].exec("sh", "-c", "mkdir -p /srv/only-here && echo here > /srv/only-here/file")
    app = counter(9301, load=30, volumes=["/srv/only-here:/only-here"])
    site.submit(site.devices[0], compose(rooted=app), on="pi3")
    count_to(site, "rooted", 9301, 3)
    before = ask(site, "rooted", 9301)
    site.submit(site.devices[0], compose(ballast=loader(9302, 20, labels={"poise.move": "never"})), on="pi3")
    where(site, "ballast")
    refused = wait_until("a move of the app is refused", lambda: outcome(site, "rooted", "refused"), 120)
    assert refused["reason"], "a refusal says why"
    single_copy(site, "rooted", 90)
    assert where(site, "rooted") == "pi3"
    after = ask(site, "rooted", 9301)
    assert after == before, f"{before} became {after}"
    remove(site, "rooted", "ballast")


def damaged_checkpoint(site):
    """A checkpoint damaged on its way is noticed and sent again: the app arrives with its memory"""
    with damaging_wire(site["pi1"]) as wire:
        site.submit(site.devices[0], compose(parcel=counter(9701, load=30)), on="pi1")
        count_to(site, "parcel", 9701, 4)
        before = ask(site, "parcel", 9701)
        site.submit(site.devices[0], compose(weight=loader(9702, 20, labels={"poise.move": "never"})), on="pi1")
        move = move_of(site, ("parcel",))
        told = select.select([wire.stdout], [], [], 10)[0] and wire.stdout.readline()
        assert told == "damaged\n", "the wire had nothing to damage, so this shows nothing"
    single_copy(site, "parcel")
    after = ask(site, "parcel", 9701)
    assert after == before, f"{before} became {after}"
    metrics = site[move["to"]].get("migrator", "/metrics")
    assert 'poise_migrator_operations_total{operation="restore",outcome="incomplete"}' in metrics, metrics
    remove(site, "parcel", "weight")


@contextlib.contextmanager
def damaging_wire(device, port=17701, mark=0x901):
    """For as long as it lasts, the first checkpoint that the device ships is damaged."""
    network = f"--net=/proc/{device.status()['pid']}/ns/net"
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "damaging_wire.py")
    wire = subprocess.Popen(["nsenter", network, sys.executable, program, str(port), str(mark)],
                            stdout=subprocess.PIPE, text=True)
    rule = ["OUTPUT", "-t", "nat", "-p", "tcp", "-d", f"{device.site.network}.0/24", "--dport", "7701",
            "-m", "mark", "!", "--mark", str(mark), "-j", "REDIRECT", "--to-ports", str(port)]
    try:
        assert wire.stdout.readline() == "ready\n"
        device.exec("iptables", "-A", *rule)
        yield wire
    finally:
        device.exec("iptables", "-D", *rule, check=False)
        wire.kill()
        wire.wait()


def full_disk(site):
    """A device with a full disk refuses what it is sent, and says so; the app goes on where it is"""
    with small_disk(site["pi4"]):
        apps = {f"bulk{n}": loader(9800 + n, 10, labels={"poise.move": "never"}) for n in (2, 3)}
        for number, (name, app) in enumerate(apps.items(), start=2):
            site.submit(site.devices[0], compose(**{name: app}), on=f"pi{number}")
        site.submit(site.devices[0], compose(settled=counter(9801, load=30)), on="pi1")
        count_to(site, "settled", 9801, 3)
        before = ask(site, "settled", 9801)
        weight = loader(9804, 20, labels={"poise.move": "never"})
        site.submit(site.devices[0], compose(weight=weight), on="pi1")
        refused = wait_until("the move is refused", lambda: outcome(site, "settled", "refused"), 120)
        assert refused["to"] == "pi4" and "disk is full" in refused["reason"], refused
        assert 'poise_http_problems_total{problem="disk-full"}' in site["pi4"].get("migrator", "/metrics")
        single_copy(site, "settled")
        assert ask(site, "settled", 9801) == before
        remove(site, "settled", "weight", *apps)


@contextlib.contextmanager
def small_disk(device, size_mib=1_000, left_mib=100):
    """For as long as it lasts, the device's engine has its data on a disk that is nearly full."""
    data = os.path.join(os.environ.get("LAB_DIR", "/var/lib/poise-lab"), device.name, "docker")
    aside = f"{data}.aside"
    device.restart(lambda: (os.rename(data, aside), os.mkdir(data),
                            run("mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "small-disk", data),
                            run("cp", "-a", f"{aside}/.", data)))
    free = shutil.disk_usage(data).free >> 20
    run("fallocate", "-l", f"{free - left_mib}m", os.path.join(data, "filler"))
    try:
        yield
    finally:
        os.remove(os.path.join(data, "filler"))
        # What it has signed meanwhile must come back with it.
        device.restart(lambda: (shutil.rmtree(aside), os.mkdir(aside), run("cp", "-a", f"{data}/.", aside),
                                run("umount", data), os.rmdir(data), os.rename(aside, data)))


def outcome(site, app, wanted):
    return next((m for m in site.moves() if m["app"] == app and m["outcome"] == wanted), None)


def replaced_service(site):
    """Replacing one service's image leaves the other four and the apps alone"""
    site.submit(site.devices[0], compose(witness=counter(9401)), on="pi2")
    where(site, "witness")
    boot = ask(site, "witness", 9401)["boot"]
    device = site["pi2"]
    pids = {service: device.pid(f"poise-{service}") for service in SERVICES}
    device.exec("docker", "tag", "poise/planner:dev", "poise/planner:next")
    device.install(site.count, tags={"planner": "next"})
    wait_until("the new planner commits blocks with the others", site.common_head, 60)
    now = {service: device.pid(f"poise-{service}") for service in SERVICES}
    assert now["planner"] != pids["planner"], "planner was not replaced"
    same = [service for service in SERVICES if service != "planner"]
    assert {s: now[s] for s in same} == {s: pids[s] for s in same}, f"others were restarted: {pids} became {now}"
    single_copy(site, "witness")
    assert ask(site, "witness", 9401)["boot"] == boot
    remove(site, "witness")


def completed_app(site):
    """An app that exits 0 is completed"""
    site.submit(site.devices[0], compose(brief={"image": "poise/demo:dev", "command": ["true"]}))
    wait_until("the app is completed", lambda: site.apps()["brief"]["phase"] == "completed", 60)
    remove(site, "brief")


def bad_submissions(site):
    """A bad Compose file, a duplicate name and an unknown image get clear errors and disturb nothing"""
    device = site.devices[0]
    height = site.common_head()[0]
    cases = {
        "unsupported key": ({"services": {"web": {"image": "x", "build": "."}}}, "build"),
        "label out of range": ({"services": {"web": {"image": "x", "labels": {"poise.move": "sometimes"}}}}, "poise.move"),
        "no services": ({"services": {}}, "services"),
    }
    for what, (document, named) in cases.items():
        try:
            site.submit(device, json.dumps(document))
        except CommandFailed as error:
            assert named in error.output, f"{what}: the error doesn't name {named}: {error.output}"
        else:
            raise AssertionError(f"{what} was accepted")
    site.submit(device, compose(twin=counter(9501)))
    where(site, "twin")
    try:
        site.submit(device, compose(twin=counter(9502)))
    except CommandFailed as error:
        assert "twin" in error.output
    else:
        raise AssertionError("a duplicate name was accepted")
    site.submit(device, compose(ghost={"image": "nowhere/ghost:1"}))
    row = wait_until("the app without an image fails", lambda: failed(site, "ghost"), 120)
    assert "ghost" in row["reason"] or "image" in row["reason"], row
    single_copy(site, "twin")
    assert site.common_head()[0] > height
    remove(site, "twin", "ghost")


def failed(site, app):
    row = site.apps()[app]
    return row if row["phase"] == "failed" else None


def constrained(site):
    """Apps run only where their constraints, pins and devices allow it, and wait with a reason where nobody may run them"""
    first, upstairs = site.devices[0], site["pi3"]
    upstairs.install(site.count, POISE_LABELS="floor=2,camera=", POISE_DEVICES="/dev/fuse")
    where_to = {"placement": {"constraints": ["node.labels.floor == 2"]}}
    bound = {
        "labelled": counter(9901, load=25, deploy=where_to),
        "pinned": counter(9902, load=25, labels={"poise.pin": "pi3"}),
        # No container has this one unless it is given it.
        "fitted": counter(9903, load=25, devices=["/dev/fuse:/dev/fuse-here:r"]),
    }
    roof = {"placement": {"constraints": ["node.labels.roof==yes"]}}
    site.submit(first, compose(**bound, lost=counter(9904, deploy=roof)))
    for app in bound:
        assert where(site, app) == "pi3", f"{app} runs on {where(site, app)}"
    ask(site, "fitted", 9903)
    upstairs.exec("docker", "exec", "poise-app-fitted", "test", "-c", "/dev/fuse-here")
    # What may move does: pi3 is busy, and the site is not content with that.
    site.submit(first, compose(free=counter(9905, load=25)), on="pi3")
    before = {app: ask(site, app, port) for app, port in zip(bound, range(9901, 9904))}
    assert move_of(site, ("free",))["from"] == "pi3"
    height = site.common_head()[0]
    wait_until("the site has had the time to move more", lambda: site.common_head()[0] > height + 6, 120)
    assert not [move for move in site.moves() if move["app"] in bound], site.moves()
    for (app, known), port in zip(before.items(), range(9901, 9904)):
        single_copy(site, app)
        assert where(site, app) == "pi3" and ask(site, app, port) == known
    row = site.apps()["lost"]
    assert row["phase"] == "pending" and "no present device may run it: pi" in row["reason"], row
    assert "it has no label roof" in row["reason"], row
    try:
        site.submit(first, compose(wish=counter(9906, labels={"poise.pin": "pi3"})), on="pi1")
    except CommandFailed as error:
        assert "its name is pi1, not pi3" in error.output, error.output
    else:
        raise AssertionError("a wish that its own pin forbids was accepted")
    remove(site, *bound, "lost", "free")
    upstairs.install(site.count)


def left_and_invited(site):
    """A device leaves once its app has moved away live, and comes back as a new node by the operator's invitation"""
    first, last = site["pi1"], site["pi4"]
    site.submit(first, compose(lodger=counter(9911)), on="pi4")
    assert where(site, "lodger") == "pi4"
    count_to(site, "lodger", 9911, 7)
    before = ask(site, "lodger", 9911)
    last.service("planner", "leave", timeout=300)
    # It left by a block that others may have a moment later.
    wait_until("the others are without it",
               lambda: {node["name"] for node in first.json("planner", "nodes")} == {"pi1", "pi2", "pi3"}, 20)
    single_copy(site, "lodger")
    assert where(site, "lodger") != "pi4" and ask(site, "lodger", 9911) == before
    health = last.service("planner", "health", check=False).stdout
    assert "so it only watches" in health, health
    # A member that is none can't order, and a key that is not the operator's can't either.
    for command in (("planner", "remove", "lodger"), ("planner", "leave")):
        refused = last.service(*command, check=False)
        assert refused.returncode != 0 and "no member of the site" in refused.stdout + refused.stderr, refused
    first.exec("docker", "exec", "poise-planner", "planner", "operator", "create", "--operator-key", "/tmp/other")
    refused = first.service("planner", "dismiss", "pi3", "--operator-key", "/tmp/other", check=False)
    assert refused.returncode != 0 and "not signed with the operator's key" in refused.stdout + refused.stderr, refused
    bring_back(site, last, first)
    wait_until("all four hold the same chain again", site.common_head, 120)
    site.submit(first, compose(guest=counter(9912)), on="pi4")
    assert where(site, "guest") == "pi4"
    told = first.service("planner", "explain", "guest").stdout
    assert "guest is running on pi4" in told and "pi2" in told, told
    height = json.loads(first.get("planner", "/chain/head"))["height"]
    remove(site, "lodger", "guest")
    told = first.service("planner", "explain", "guest", "--height", str(height)).stdout
    assert "guest is running on pi4" in told, told
    gone = first.service("planner", "explain", "guest", check=False)
    assert gone.returncode != 0 and "no app is named" in gone.stdout + gone.stderr, gone


def bring_back(site, device, member):
    """Empties the state of a device's services, its key included, and has a member's site take it in."""
    device.exec("sh", "-c", "docker ps -aq --filter label=com.docker.compose.project=poise | xargs docker rm -f && "
                "docker volume ls -q --filter label=com.docker.compose.project=poise | xargs docker volume rm")
    token = member.service("planner", "invite", device.name, "--hours", "1").stdout.strip()
    device.install(site.count, POISE_INVITATION=token)
    wait_until(f"{device.name} is a member again",
               lambda: device.name in {node["name"] for node in member.json("planner", "nodes")}, 240)


def chain_verifies(site):
    """Every device's chain verifies from its genesis, an exported one elsewhere, and parameters change on all devices at once"""
    for device in site.devices:
        device.service("planner", "chain", "verify")
    first = site.devices[0]
    first.service("planner", "chain", "export", "/tmp/chain")
    exported = first.exec("docker", "exec", "poise-planner", "base64", "/tmp/chain").stdout
    first.exec("docker", "exec", "poise-planner", "rm", "/tmp/chain")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "chain")
        with open(path, "wb") as file:
            file.write(base64.b64decode(exported))
        result = json.loads(run(PLANNER, "chain", "verify", "--json", "--from", path).stdout)
        assert result["height"] >= 1 and result["from"] == 1, result
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        damaged = run(PLANNER, "chain", "verify", "--from", path, check=False)
        assert damaged.returncode != 0 and "is damaged in record" in damaged.stderr, damaged
    height = json.loads(first.get("planner", "/chain/head"))["height"] + 15
    first.service("planner", "configure", "--margin-ppm", "70000", "--from", str(height))
    told = first.service("planner", "configure", "--cool-down-ms", "61000").stderr
    first_height, height = height, int(re.search(r"they hold from block (\d+) on", told)[1])
    assert height >= first_height, (first_height, told)
    seen = []
    # A head tells what the next block is planned by.
    wait_until("the parameters hold on all devices", lambda: (seen.extend(site.heads().values()), all(
        head["height"] >= height for head in seen[-len(site.devices):]))[1], 120)
    for head in seen:
        parameters = head["parameters"]
        changed = [parameters["margin"] == 70_000, parameters["coolDown"] == 61_000]
        assert changed == [head["height"] + 1 >= height] * 2, head


def power_cut(site):
    """A device that loses power: its apps run elsewhere, and it comes back without a second copy"""
    site.submit(site.devices[0], compose(orphan=counter(9601)), on="pi4")
    where(site, "orphan")
    site.lab("kill", "pi4")
    site["pi4"].down = True
    rest = site["pi1"]
    wait_until("the app runs elsewhere",
               lambda: (lambda row: row["phase"] == "running" and row["node"] != "pi4")(site.apps(rest)["orphan"]), 120)
    site.lab("boot", "pi4")
    site["pi4"].down = False
    wait_until("all four hold the same chain again", site.common_head, 120)
    single_copy(site, "orphan", 120)
    remove(site, "orphan")


def lost_quorum(site):
    """Two of four devices are lost for good: the operator goes on with the others, and who turns up again stops what it ran"""
    first, last = site["pi1"], site["pi4"]
    still = {"poise.move": "never"}
    site.submit(first, compose(kept=counter(9921, labels=still)), on="pi1")
    site.submit(first, compose(lost=counter(9922, labels=still)), on="pi4")
    for app in ("kept", "lost"):
        where(site, app)
    count_to(site, "kept", 9921, 5)
    before = ask(site, "kept", 9921)
    recover = ("planner", "recover", "--without", "pi3,pi4", "--yes")
    refused = first.service(*recover, check=False)
    assert refused.returncode != 0 and "so it is not lost" in refused.stdout + refused.stderr, refused
    for name in ("pi3", "pi4"):
        site.lab("kill", name)
        site[name].down = True

    def named():
        health = quorum_warning(first) or ""
        return "pi3" in health and "planner recover" in health
    wait_until("health says who is missing and what to do", named, 30)
    height = json.loads(first.get("planner", "/chain/head"))["height"]
    # Without the operator's key nobody can.
    refused = first.service(*recover, "--operator-key", "/tmp/nobody", check=False)
    assert refused.returncode != 0, refused
    # Killed in the middle of it, planner has followed the operator's word or not heard it: then it is given again.
    asked = threading.Thread(target=first.service, args=recover, kwargs={"check": False, "timeout": 150})
    asked.start()
    time.sleep(random.uniform(0.2, 0.8))
    first.kill_service("planner")
    asked.join()

    def recovered():
        if {node["name"] for node in first.json("planner", "nodes")} == {"pi1", "pi2"}:
            return True
        first.service(*recover, check=False, timeout=150)
        return False
    wait_until("those left go on", recovered, 120)
    wait_until("what was lost runs again",
               lambda: (lambda row: row["phase"] == "running" and row["node"] != "pi4")(site.apps(first)["lost"]), 90)
    assert where(site, "kept") == "pi1" and ask(site, "kept", 9921) == before
    for name in ("pi1", "pi2"):
        told = site[name].service("planner", "chain", "verify").stdout
        assert f"go on after block {height} with pi1, pi2" in told, told
    for device in (site["pi3"], last):
        site.lab("boot", device.name)
        device.down = False
    # Whoever lost its power with the next block on its disk has stopped for good.
    words = ("so it only watches", "has had the chain go on")
    for device in (site["pi3"], last):
        wait_until(f"{device.name} knows that it is no member", lambda: any(
            word in device.service("planner", "health", check=False).stdout for word in words), 120)
    single_copy(site, "lost", 120)
    last.service("planner", "chain", "verify")
    remove(site, "kept", "lost")


def two_ways(site):
    """Two halves of a site go on by recoveries of the operator: when they meet, one stops and keeps what it ran"""
    members = sorted(node["name"] for node in site["pi1"].json("planner", "nodes"))
    half = len(members) // 2
    halves = members[:half], members[half:]
    heads = [site[names[0]] for names in halves]
    still = {"poise.move": "never"}
    apps = {"upper": (heads[0], 9931), "lower": (heads[1], 9932)}
    for app, (device, port) in apps.items():
        site.submit(heads[0], compose(**{app: counter(port, labels=still)}), on=device.name)
        where(site, app)
        count_to(site, app, port, 5)
    # Who is no member passes messages on as well.
    for a in halves[0]:
        for device in site.devices:
            if device.name not in halves[0]:
                site.lab("cut", a, device.name)
    for device, lost in zip(heads, reversed(halves)):
        wait_until(f"{device.name} has no quorum", lambda: quorum_warning(device), 60)
        # Refused for as long as one of those may be there.
        wait_until(f"{device.name} recovers", lambda: device.service(
            "planner", "recover", "--without", ",".join(lost), "--yes", timeout=150), 60)
    before = [json.loads(device.get("planner", "/chain/head"))["height"] for device in heads]
    for device, height in zip(heads, before):
        wait_until(f"{device.name} goes on",
                   lambda: json.loads(device.get("planner", "/chain/head"))["height"] > height + 2, 60)
    site.lab("heal")

    def stopped():
        told = [["others go on by" in site[name].service("planner", "health", check=False).stdout for name in names]
                for names in halves]
        return [all(side) for side in told] if all(told[0]) != all(told[1]) else None
    loser = wait_until("one half stops", stopped, 60).index(True)

    def warned():
        health = json.loads(heads[1 - loser].get("planner", "/health"))["checks"].get("recovery", {})
        return health.get("status") == "warn" and "another recovery of the operator" in health["output"]
    wait_until("the other half names it", warned, 30)
    app, (device, _) = list(apps.items())[loser]

    def kept():
        rows = device.exec("docker", "ps", "-a", "--filter", f"label=poise.app={app}", "--format", "{{.Names}} {{.State}}")
        return [row for row in rows.stdout.splitlines() if "superseded" in row and "running" not in row] \
            and app not in device.running_apps()
    wait_until(f"{app} is set aside on {device.name}", kept, 60)
    # It stays so when planner starts anew.
    device.kill_service("planner")
    time.sleep(8)
    wait_until(f"{app} is still set aside", kept, 30)
    rest = heads[1 - loser]
    height = json.loads(rest.get("planner", "/chain/head"))["height"]
    wait_until("the other half goes on", lambda: json.loads(rest.get("planner", "/chain/head"))["height"] > height + 2, 60)
    rest.service("planner", "chain", "verify")
    # As health says. It votes with its new key: with it and one of the others, nothing is decided without either.
    bring_back(site, device, rest)
    others = [site[name] for name in halves[1 - loser][1:]]
    for other in others:
        site.lab("kill", other.name)
        other.down = True
    height = json.loads(rest.get("planner", "/chain/head"))["height"]
    wait_until("the chain goes on with its vote", lambda: all(
        json.loads(one.get("planner", "/chain/head"))["height"] > height + 3 for one in (device, rest)), 60)
    for other in others:
        site.lab("boot", other.name)
        other.down = False
    device.service("planner", "chain", "verify")


TESTS = [
    moved_state, *(crash(service) for service in SERVICES), failed_restore, damaged_checkpoint, completed_app,
    bad_submissions, full_disk, engine_crash, cut_in_a_move, replaced_service, constrained, cut_and_heal, cut_off_policies, power_cut,
    left_and_invited,
    *elections.TESTS, chain_verifies, lost_quorum, two_ways,
]
