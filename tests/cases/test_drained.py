"""Rollouts that leave the primary without a pod, on a real Traefik: nobody fails."""

from __future__ import annotations

import json

import pytest

from cases.visited import Cluster, cluster

pytestmark = pytest.mark.real

NAMESPACES = ("recreate", "all-away", "ab", "blue-green", "skipped", "nodes", "single")
KINDS = {"nodes": "daemonset"}
NEW = "stefanprodan/podinfo:1.1.0"
EXAMPLE = "examples/nginx"
FASTER = {"spec": {"analysis": {"interval": "1s", "stepWeight": 25, "webhooks": None}}}
"""The example's steps, in a hurry and without the load tester."""


def begin(place: Cluster) -> None:
    """Everything, to Initialized and served."""
    place.kubectl("create", "ns", "test")
    place.kubectl("-n", "test", "apply", "-f", EXAMPLE)
    place.kubectl("-n", "test", "patch", "canary", "podinfo", "--type=merge", "-p", json.dumps(FASTER))
    place.apply("drained.yaml")
    for namespace in NAMESPACES:
        place.phase(namespace, "app", "Initialized")
        place.serves(f"{namespace}.local")
    place.phase("test", "podinfo", "Initialized")
    place.serves("podinfo.local")


def test_nobody_fails_while_the_primary_has_no_pods() -> None:
    """Each way to lose all pods, each way to lead visitors, and the example that everybody begins with."""
    hosts = {f"{namespace}.local": namespace for namespace in NAMESPACES} | {"podinfo.local": "test"}
    with cluster() as place:
        begin(place)
        with place.visited(*hosts, pause=0.05) as crowd:
            for namespace in NAMESPACES:
                kind = KINDS.get(namespace, "deployment")
                place.kubectl("-n", namespace, "set", "image", f"{kind}/app", f"app={NEW}")
            place.release("test", "podinfo", "stefanprodan/podinfo:3.1.3", "podinfod")
            for namespace in NAMESPACES:
                assert place.phase(namespace, "app", "Succeeded", "Failed") == "Succeeded"
            assert place.phase("test", "podinfo", "Succeeded", "Failed") == "Succeeded"
            for host in hosts:
                place.until(lambda host=host: len(crowd[host].versions) > 1, lambda: crowd)
        assert {host: visitor.failed for host, visitor in crowd.items()} == {host: [] for host in hosts}
