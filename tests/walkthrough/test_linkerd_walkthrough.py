"""The Linkerd walkthrough on a sandbox with a mesh, by kubectl: a TrafficSplit splits, the mesh's series judge."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from walkthrough.sandboxed import ROOT, Sandbox, Visitor, sandbox
from walkthrough.test_nginx_walkthrough import until, weight

pytestmark = pytest.mark.real

EXAMPLE = ROOT / "examples" / "linkerd"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Sandbox]:
    """A sandbox with a mesh; the example on it, its interval shortened, is initialized. No provider is named."""
    with sandbox("--mesh-provider=linkerd", "--min-interval=1s") as found:
        found.kubectl("create", "ns", "test")
        found.kubectl("annotate", "namespace", "test", "linkerd.io/inject=enabled")
        found.kubectl("-n", "test", "apply", "-k", "kustomize/tester")
        for name in ("deployment", "ingress", "canary"):
            text = (EXAMPLE / f"{name}.yaml").read_text().replace("interval: 20s", "interval: 2s")
            found.kubectl("-n", "test", "apply", "-f", "-", said=text)
        found.kubectl("-n", "test", "rollout", "status", "deployment/flagger-loadtester", "--timeout=60s")
        initialized = "--for=jsonpath={.status.phase}=Initialized"
        found.kubectl("-n", "test", "wait", "canary/podinfo", initialized, "--timeout=90s")
        yield found


def release(cluster: Sandbox, tag: str) -> None:
    """`kubectl set image`."""
    cluster.kubectl("-n", "test", "set", "image", "deployment/podinfo", f"podinfod=stefanprodan/podinfo:{tag}")


def events(cluster: Sandbox) -> str:
    """What was said of the canary."""
    return cluster.kubectl("-n", "test", "events", "--for", "canary/podinfo")


def backends(cluster: Sandbox) -> dict[str, int]:
    """The weights of the TrafficSplit."""
    split = cluster.object("-n", "test", "trafficsplit", "podinfo")["spec"]
    assert split["service"] == "podinfo"
    return {backend["service"]: int(backend["weight"]) for backend in split["backends"]}


def test_a_release_that_changes_midway_is_promoted(cluster: Sandbox) -> None:
    """Weights 5 to 50 in the TrafficSplit, a fresh start on a change, and visitors meet both versions.

    No visitor fails while weights rise. During the promotion some may: the example's Deployment allows its only pod to
    be taken away before the next one is ready.
    """
    assert backends(cluster) == {"podinfo-canary": 0, "podinfo-primary": 100}
    release(cluster, "3.1.1")
    until(lambda: weight(cluster) >= 10, 60, "at weight 10")
    release(cluster, "3.1.2")
    until(lambda: "New revision detected! Restarting analysis for podinfo.test" in events(cluster), 10, "started over")
    visitor = Visitor(cluster.places["ingress"], "podinfo.local", pause=0.01)
    visitor.start()
    until(lambda: weight(cluster) == 50, 90, "at weight 50")
    assert not visitor.failed
    assert sum(backends(cluster).values()) == 100
    told = cluster.kubectl("-n", "test", "describe", "canary/podinfo")
    for text in ("Canary Weight:", "Failed Checks:  *0", "Phase:  *Progressing", "Last Applied Spec:"):
        assert re.search(text, told), text
    cluster.kubectl("-n", "test", "wait", "--for=condition=promoted", "canary/podinfo", "--timeout=120s")
    visitor.leave()
    assert set(visitor.versions) == {"3.1.0", "3.1.2"}
    assert [w for w in range(5, 51, 5) if f"canary weight {w}\n" not in events(cluster)] == []
    primary = cluster.object("-n", "test", "deployment", "podinfo-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":3.1.2")
    until(lambda: backends(cluster) == {"podinfo-canary": 0, "podinfo-primary": 100}, 10, "back on the primary")


@pytest.mark.parametrize(
    "tag, said", [("3.1.3-slow", r"request duration .* > 500ms"), ("3.1.3-errors", r"success rate \d+\.\d+% < 99%")]
)
def test_a_faulty_release_is_rolled_back(cluster: Sandbox, tag: str, said: str) -> None:
    """Slowness and errors are each told with the value and the limit, and the primary keeps its image.

    The errors come last: they stay in the window of the success rate for a minute.
    """
    release(cluster, tag)
    until(lambda: phase(cluster) in ("Progressing", "Failed"), 60, "begun")
    until(lambda: phase(cluster) == "Failed", 180, "rolled back")
    assert re.search(rf"Halt podinfo.test advancement .*{said}", events(cluster)), events(cluster)
    assert backends(cluster) == {"podinfo-canary": 0, "podinfo-primary": 100}
    primary = cluster.object("-n", "test", "deployment", "podinfo-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":3.1.2")


def phase(cluster: Sandbox) -> str:
    """The canary's."""
    return str(cluster.object("-n", "test", "canary", "podinfo")["status"]["phase"])
