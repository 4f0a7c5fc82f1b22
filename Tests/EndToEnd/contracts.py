"""Each service does what its openapi.yaml says: every GET without parameters is asked on a running device, and its
status, type and body are held against the contract. So are gossip's draws, which change nothing when they are asked for."""

import base64
import json
import re

import jsonschema
import yaml

from emulated_site import SERVICES


def check(service):
    def test(site):
        device = site.devices[0]
        contract = yaml.safe_load(device.get(service, "/openapi.yaml"))
        asked = 0
        for path, item in contract["paths"].items():
            if "get" not in item or "{" in path:
                continue
            servers = json.dumps(item.get("servers", item["get"].get("servers", [])))
            if "77" in servers:  # of the network's port, not of the socket
                continue
            asked += 1
            responses = item["get"]["responses"]
            status, kind, body = request(device, service, path)
            assert str(status) in responses, f"GET {path} answered {status}; the contract knows {sorted(responses)}"
            content = responses[str(status)].get("content", {})
            if "$ref" in responses[str(status)]:
                content = resolve(contract, responses[str(status)]["$ref"]).get("content", {})
            assert kind in content, f"GET {path} answered {kind}; the contract knows {sorted(content)}"
            schema = content[kind].get("schema")
            if schema and kind.endswith("json") and kind != "application/x-ndjson":
                whole = {**schema, "components": contract.get("components", {})}
                jsonschema.validate(json.loads(body), whole)
        assert asked >= 4, f"only {asked} paths were asked"
        if service == "gossip":
            check_draws(device, contract)
        status, kind, body = request(device, service, "/no-such-thing")
        assert (status, kind) == (404, "application/problem+json"), (status, kind, body)
        assert json.loads(body)["status"] == 404
    test.__name__ = f"contract_of_{service}"
    test.__doc__ = f"{service} answers as its openapi.yaml says"
    return test


def resolve(contract, reference):
    node = contract
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def check_draws(device, contract):
    """The same input gets the same proof by the node's own key, and what is no draw is refused."""
    tag = b"poise/draw/1"
    alpha = len(tag).to_bytes(4, "big") + tag + bytes(32) + (7).to_bytes(8, "big") + bytes(32)
    draws = []
    for bytes_ in (alpha, alpha, alpha[:-1]):
        body = json.dumps({"alpha": base64.b64encode(bytes_).decode()})
        status, kind, answer = request(device, "gossip", "/vrf", body)
        content = contract["paths"]["/vrf"]["post"]["responses"][str(status)]["content"]
        jsonschema.validate(json.loads(answer), {**content[kind]["schema"], "components": contract["components"]})
        draws.append((status, json.loads(answer)))
    assert draws[0][0] == 200 and draws[0] == draws[1], draws
    key = json.loads(request(device, "gossip", "/node")[2])["vrf"]
    assert draws[0][1]["key"] == key, f"drawn by {draws[0][1]['key']}, not by {key}"
    assert draws[2][0] == 400 and draws[2][1]["type"].endswith("not-drawable"), draws[2]


def request(device, service, path, body=None):
    """(status, media type, body) of a GET, or of a POST if there is a body; of a feed what comes in some seconds."""
    posted = [] if body is None else ["-H", "Content-Type: application/json", "--data", body]
    socket = f"/proc/{device.pid('poise-' + service)}/root/run/poise/{service}.sock"
    done = device.exec("curl", "-s", "--max-time", "5", "-w", "\n%{http_code} %{content_type}", *posted,
                       "--unix-socket", socket, f"http://poise{path}", check=False)
    body, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), re.split(";", kind)[0].strip(), body


TESTS = [check(service) for service in SERVICES]
