"""Every way to elect, on four devices with real engines: it is chosen, loses its leader, and finds another."""

import concurrent.futures
import contextlib
import json
import os
import time

from emulated_site import ETCD, SERVICES, run, wait_until
from etcd_server import Etcd
from fixture import alive
from leaderships import Leaderships, socket_on

#: Seconds in which each engine states that a dead leader is replaced, with the default timeout of one. Where turns go by blocks
#: it is the next block: 3 s until it is due on an idle site, 4 s for the round that the dead one lets fail as its leader, and 5.5 s
#: if the turn in the round after that is the dead one's as well.
NEXT_BLOCK = 13
RECOVERY = {"raft": 8, "paxos": 10, "poet": NEXT_BLOCK, "rotation": NEXT_BLOCK, "etcd": 10}
#: What a machine that is busy with four engines, and one that dies, may take besides.
GRACE = 5
#: Whose leaders show a certificate.
SHOWN = ("raft", "paxos", "poet")
#: Whose leaders change with every block.
PER_BLOCK = ("poet", "rotation")


def election(engine):
    """A scenario: the site elects by the engine, and its leader loses its power."""
    def scenario(site):
        with (etcd(site) if engine == "etcd" else contextlib.nullcontext()) as server:
            choose(site, engine, server)
            with following(site.devices) as leaderships:
                leads(site, leaderships, engine)
                if server:
                    outage(site, leaderships, server)
                survives(site, leaderships, engine)
            if server:
                # The devices shall not miss it when it is gone.
                choose(site, "raft")
    scenario.__name__ = f"election_by_{engine}"
    scenario.__doc__ = f"The site elects by {engine}: all agree, and the leader's power cut makes another leader"
    return scenario


def choose(site, engine, server=None):
    """Says on all devices how to elect: only consensus is replaced."""
    if not getattr(site, "elects_as_installed", False):
        # Whatever an earlier scenario replaced on a device comes back first.
        together(site.devices, lambda device: device.install(device.site.count))
        site.elects_as_installed = True
    before = pids(site)
    together(site.devices, lambda device: install(device, engine, server))
    after = pids(site)
    kept = [service for service in SERVICES if service != "consensus"]
    for name in before:
        assert all(after[name][s] == before[name][s] for s in kept), \
            f"on {name} more than consensus was replaced: {before[name]} became {after[name]}"


def install(device, engine, server=None):
    settings = {"POISE_ELECTION": engine}
    if engine == "etcd":
        settings["POISE_ETCD_ENDPOINTS"] = server.client
    device.install(device.site.count, beside=[ETCD] if engine == "etcd" else [], **settings)


def pids(site):
    return {device.name: {service: device.pid(f"poise-{service}") for service in SERVICES} for device in site.devices}


def together(devices, do):
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        return list(pool.map(do, devices))


def following(devices):
    return Leaderships({device.name: lambda device=device: socket_on(device) for device in devices})


def height(site):
    return json.loads(alive(site).get("planner", "/chain/head"))["height"]


def blocks_go_on(site, count=4, seconds=60):
    began = height(site)
    wait_until(f"{count} more blocks", lambda: height(site) >= began + count, seconds)


def leads(site, leaderships, engine):
    """All name the engine and agree on who leads while blocks go on; whoever leads shows why, if the engine has that."""
    everybody = list(leaderships.told)

    def all_by_engine():
        return all(row and row["engine"] == engine and row.get("leader") for row in leaderships.latest().values())
    leaderships.wait(f"all elect by {engine} and have a leader", all_by_engine, 30)
    began = time.monotonic()
    leaderships.wait("all name one leader", lambda: leaderships.agreed(everybody, began), 20)
    if engine in PER_BLOCK:
        leaders, terms = watched(site, leaderships, engine, 8)
        assert len(leaders) >= 2, f"of {terms} terms all were led by {leaders}"
        return

    def quiet():
        leaders, _ = watched(site, leaderships, engine, 4)
        assert len(leaders) == 1, f"nothing happened, and yet several led: {leaders}"
        return True
    # A machine that is busy for a second may cost a leader its term, but not one after the other.
    wait_until("one leads while nothing happens", quiet, 90)


def watched(site, leaderships, engine, blocks):
    """(leaders, number of terms) while so many blocks are made, by what all devices say."""
    began = time.monotonic()
    blocks_go_on(site, blocks)
    seen = [[row for when, row in told if when >= began and row] or [told[-1][1]] for told in leaderships.told.values()]
    rows = [row for told in seen for row in told]
    for row in rows:
        assert row["engine"] == engine, row
        if row.get("leader"):
            assert (row.get("certificate") is not None) == (engine in SHOWN), row
    last = [{row["term"]: row.get("leader") for row in told} for told in seen]
    common = sorted(set.intersection(*(set(terms) for terms in last)))
    # The newest may be on its way.
    same = [term for term in common if len({terms[term] for terms in last}) == 1]
    assert len(same) >= 1 and len(same) >= len(common) - 1, f"the devices disagree on who leads: {last}"
    return {row["leader"] for row in rows if row.get("leader")}, len(common)


def survives(site, leaderships, engine):
    """The device that leads loses its power: the others have another leader in time, and it follows when it is back."""
    names = {node_of(device): device for device in site.devices}
    one = leaderships.wait("somebody leads", lambda: next(
        (row for row in leaderships.latest().values() if row and row.get("leader")), None), 20)
    lost = names[one["leader"]]
    rest = [device.name for device in site.devices if device is not lost]
    lost.down = True
    site.lab("kill", lost.name)
    leaderships.wait("its consensus is silent", lambda: leaderships.told[lost.name][-1][1] is None, 5)
    died = leaderships.told[lost.name][-1][0]
    # Turns are known in advance: a turn that was over in any case shows nothing.
    first = one["term"] + 1 if engine in PER_BLOCK else 0
    in_time = RECOVERY[engine] + GRACE
    found = leaderships.wait(
        f"the others have a leader within {in_time} s",
        lambda: leaderships.agreed(rest, died, not_before=first, but=[one["leader"]]), in_time)
    assert found[0] - died <= in_time, f"it took {found[0] - died:.1f} s"
    print(f"  by {engine}: another leader after {found[0] - died:.2f} s", flush=True)
    blocks_go_on(site)
    site.lab("boot", lost.name)
    lost.down = False
    back = time.monotonic()
    leaderships.wait(f"{lost.name} is back and follows", lambda: leaderships.agreed(
        [*rest, lost.name], back, not_before=found[1]), 60)
    wait_until("all devices hold the same chain", site.common_head, 60)


def node_of(device):
    return json.loads(device.get("gossip", "/node"))["id"]


def outage(site, leaderships, server):
    """etcd crashes: nobody leads, blocks go on, and once it is back somebody leads again."""
    server.kill()
    leaderships.wait("nobody leads without etcd",
                     lambda: all(row and not row.get("leader") for row in leaderships.latest().values()), 15)
    blocks_go_on(site)
    rows = leaderships.latest()
    assert not any(row.get("leader") for row in rows.values()), f"etcd is gone, and yet there is a leader: {rows}"
    check = checks(site.devices[0])["etcd"]
    assert check["status"] == "warn" and server.client.removeprefix("http://") in check["output"], check
    server.start()
    back = time.monotonic()
    leaderships.wait("etcd is back and somebody leads", lambda: leaderships.agreed(list(leaderships.told), back), 30)


def checks(device):
    return device.json("consensus", "health")["checks"]


@contextlib.contextmanager
def etcd(site):
    """An etcd that the devices reach, at an address of the lab's own switch."""
    with open(os.path.join(os.environ.get("LAB_DIR", "/var/lib/poise-lab"), "switch")) as file:
        switch = file.read().split()[0]
    address = f"{site.network}.251"
    inside = ["nsenter", f"--net=/proc/{switch}/ns/net"]
    # A bridge has the lowest hardware address of its ports, unless it is given one: it would change with each device
    # that dies, and the others would go on sending to the old one.
    run(*inside, "ip", "link", "set", "br0", "address", "02:00:00:00:02:51")
    run(*inside, "ip", "address", "replace", f"{address}/24", "dev", "br0")
    server = Etcd("site", f"http://{address}:2379", {"site": f"http://{address}:2380"}, network=switch)
    try:
        server.start()
        wait_until("etcd answers", lambda: site.devices[0].exec(
            "curl", "-sf", "--max-time", "2", f"{server.client}/health"), 30)
        yield server
    finally:
        server.remove()
        run(*inside, "ip", "address", "delete", f"{address}/24", "dev", "br0", check=False)


def mixed_engines(site):
    """A device that elects in another way than the rest is named by both sides, until it is set right"""
    odd, rest = site["pi4"], [device for device in site.devices if device.name != "pi4"]
    choose(site, "raft")
    install(odd, "paxos")

    ids = {device.name: node_of(device) for device in site.devices}

    def warned(device):
        check = checks(device)["engine"]
        return check if check["status"] == "warn" else None
    for device in site.devices:
        check = wait_until(f"{device.name} notices", lambda: warned(device), 30)
        mine, theirs = ("paxos", "raft") if device is odd else ("raft", "paxos")
        assert f"elects by {mine}" in check["output"] and f"by {theirs}" in check["output"], check
        assert "set POISE_ELECTION alike on all devices" in check["output"], check
        named = [name for name, id in ids.items() if id[:8] in check["output"]]
        assert named and odd.name not in named if device is odd else named == [odd.name], f"it names {named}: {check}"
    with following(rest) as leaderships:
        began = time.monotonic()
        leaderships.wait("the other three have a leader",
                         lambda: leaderships.agreed(list(leaderships.told), began), 30)
    blocks_go_on(site)
    install(odd, "raft")
    for device in site.devices:
        wait_until(f"{device.name} warns no more", lambda: checks(device)["engine"]["status"] == "pass", 30)
    with following(site.devices) as leaderships:
        began = time.monotonic()
        leaderships.wait("all four have a leader", lambda: leaderships.agreed(list(leaderships.told), began), 30)


#: The last leaves the site as it was.
TESTS = [*(election(engine) for engine in ("paxos", "poet", "rotation", "etcd", "raft")), mixed_engines]
