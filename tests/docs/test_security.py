"""The page on security names the test that holds each defence; our manifests give a container no more than it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.named import absent
from pyflagger.objects import Obj
from shipping.rendering import kustomized, one, templated
from shipping.test_charts import ALL as CHARTS
from shipping.test_charts import EVERYTHING
from shipping.test_kustomize import ALL

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`((?:tests|e2e)/[\w/]+\.py(?:::\w+)?)`")
OVERLAYS = (*ALL,)


def test_every_test_that_is_named_is_there() -> None:
    """File and function."""
    found = NAMED.findall(PAGE.read_text())
    assert len(found) > 15
    assert absent(found) == []


def test_every_defence_has_a_test() -> None:
    """Each row of the table of defences ends in the name of one."""
    table = PAGE.read_text().partition("## Defences")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if not NAMED.search(row)] == []


def everything() -> list[tuple[str, list[Obj]]]:
    """All that users install, by where it comes from."""
    charts = [(chart, templated(chart, given)) for chart in CHARTS for given in ({}, EVERYTHING[chart])]
    return [*((overlay, kustomized(overlay)) for overlay in OVERLAYS), *charts]


@pytest.mark.real
def test_containers_have_no_privileges() -> None:
    """Not root, nothing gained, a root file system that nobody writes, the runtime's seccomp profile, limits."""
    pods = [
        (place, obj["spec"]["template"]["spec"])
        for place, objects in everything()
        for obj in objects
        if obj["kind"] == "Deployment"
    ]
    assert len(pods) >= len(OVERLAYS) + 4
    for place, pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume]
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and not context.get("privileged"), place
            assert context["readOnlyRootFilesystem"] is True and context["runAsNonRoot"] is True, place
            assert context["capabilities"] == {"drop": ["ALL"]}, place
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, place
            if container["name"] != "prometheus":
                assert {"cpu", "memory"} <= container["resources"]["limits"].keys(), place


def test_the_load_tester_has_no_account_unless_asked() -> None:
    """Its commands could read the token."""
    for objects in (kustomized("tester"), templated("loadtester")):
        assert one(objects, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
