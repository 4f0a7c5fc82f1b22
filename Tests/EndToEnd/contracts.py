"""Each service does what its openapi.yaml says: every GET without parameters is asked on a running device, and its
status, type and body are held against the contract."""

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


def request(device, service, path):
    """(status, media type, body) of a GET; of a feed what comes in a second."""
    socket = f"/proc/{device.pid('poise-' + service)}/root/run/poise/{service}.sock"
    done = device.exec("curl", "-s", "--max-time", "2", "-w", "\n%{http_code} %{content_type}", "--unix-socket", socket,
                       f"http://poise{path}", check=False)
    body, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), re.split(";", kind)[0].strip(), body


TESTS = [check(service) for service in SERVICES]
