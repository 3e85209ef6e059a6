"""The demo's stories, for real: how they end, who saw what, and what they print."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from pyflagger.cli.demo import SIGNALLED
from walkthrough.sandboxed import ROOT

pytestmark = pytest.mark.real

FLAGGER = (sys.executable, "-m", "pyflagger.cli.main", "demo")
SHARE_POINTS_MAX = 3.0
FIELDS: dict[str, tuple[set[str], ...]] = {
    "status": ({"phase", "weight", "iterations", "failed", "reason"},),
    "event": ({"type", "reason", "message"}, {"type", "reason", "message", "revision", "expected"}),
    "check": (
        {"name", "value", "unit", "min", "max", "passed", "text"},
        {"name", "hook", "passed", "text", "closed"},
    ),
    "traffic": ({"total", "failed", "canary", "share", "visitors", "weight"},),
}
"""What docs/commands.md says of each kind of record."""

SUMMARY = {"revision", "outcome", "expected", "seconds", "weights", "requests", "shares", "visitors", "missing"}


def told(scenario: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of a playing and the releases of its summary."""
    done = subprocess.run([*FLAGGER, scenario, "--json"], capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr}"
    *records, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["kind"] == "summary"
    assert {record["kind"] for record in records} == {"status", "event", "traffic", "check"}
    assert all(record["t"] >= 0 for record in records)
    for record in records:
        assert record.keys() - {"t", "kind"} in FIELDS[record["kind"]], record
    assert last.keys() == {"kind", "releases"}
    assert all(release.keys() == SUMMARY for release in last["releases"])
    assert all(release["requests"].keys() == {"total", "failed", "canary"} for release in last["releases"])
    return records, last["releases"]


def test_a_good_release_and_a_bad_one() -> None:
    """Shares are right at each weight, nobody fails during the good one, and the bad one ends at its first weights."""
    _, (good, bad) = told("nginx-canary")
    assert (good["outcome"], bad["outcome"]) == ("Succeeded", "Failed")
    assert good["weights"] == [10, 20, 30, 40, 50]
    assert good["requests"]["failed"] == 0
    assert [share["weight"] for share in good["shares"]] == good["weights"]
    for share in good["shares"]:
        assert share["requests"] >= 500
        assert abs(share["percent"] - share["weight"]) <= SHARE_POINTS_MAX
    assert max(bad["weights"]) < 50
    assert bad["requests"]["failed"] > 0


@pytest.mark.parametrize("scenario", ["traefik", "gatewayapi"])
def test_routes_of_other_kinds(scenario: str) -> None:
    """A TraefikService and an HTTPRoute: the shares are right at each weight, and nobody is left on the canary."""
    _, (good, bad) = told(scenario)
    assert (good["outcome"], bad["outcome"]) == ("Succeeded", "Failed")
    assert good["weights"] == [15, 30, 45] and good["requests"]["failed"] == 0
    assert [share["weight"] for share in good["shares"]] == good["weights"]
    for share in good["shares"]:
        assert share["requests"] >= 500
        assert abs(share["percent"] - share["weight"]) <= SHARE_POINTS_MAX
    assert good["missing"] == bad["missing"] == []


def test_who_met_the_new_version_stays_with_it() -> None:
    """Of those who keep cookies more and more are there, and none is led away; the others come by their share."""
    _, (good,) = told("session-affinity")
    assert good["outcome"] == "Succeeded" and good["requests"]["failed"] == 0
    regulars, others = good["visitors"]["regulars"], good["visitors"]["passers-by"]
    assert regulars["strayed"] == 0 and regulars["canary"] > 100
    assert regulars["canary"] / regulars["total"] > 1.3 * others["canary"] / others["total"]


def test_a_scaled_object_is_paused_and_resumed() -> None:
    """Resumed for each release, paused after it, and copied for the primary; whether it ended so is in the summary."""
    records, releases = told("keda")
    assert [release["outcome"] for release in releases] == ["Succeeded", "Failed"]
    assert [release["missing"] for release in releases] == [[], []]
    told_of = [record["message"] for record in records if "ScaledObject podinfo " in record.get("message", "")]
    paused, resumed = "ScaledObject podinfo is paused at replicas 0", "ScaledObject podinfo scales by itself"
    assert told_of == [paused, resumed, paused, resumed, paused]


def test_only_insiders_see_the_new_version() -> None:
    """A/B: who carries the cookie or the header meets the canary, nobody else ever does."""
    _, releases = told("nginx-ab")
    assert [release["outcome"] for release in releases] == ["Succeeded", "Failed"]
    for release in releases:
        assert release["visitors"]["everybody else"]["canary"] == 0
        for group in ("insiders", "testers"):
            assert release["visitors"][group]["canary"] > release["visitors"][group]["total"] / 2
    assert releases[0]["requests"]["failed"] == 0


def test_blue_green_is_never_seen_before_its_time() -> None:
    """Visitors meet the primary alone, and never an error, though the second version is a bad one."""
    _, releases = told("blue-green")
    assert [release["outcome"] for release in releases] == ["Succeeded", "Failed"]
    for release in releases:
        assert (release["requests"]["canary"], release["requests"]["failed"]) == (0, 0)


def test_gates_hold_until_they_are_opened() -> None:
    """Both gates hold the first release until somebody opens them; the second one is called back."""
    records, (approved, called_back) = told("gates")
    assert (approved["outcome"], called_back["outcome"]) == ("Succeeded", "Failed")
    phases = [record["phase"] for record in records if record["kind"] == "status"]
    assert phases.index("Waiting") < phases.index("WaitingPromotion") < phases.index("Succeeded")
    assert approved["requests"]["failed"] == called_back["requests"]["failed"] == 0


def test_a_mesh_splits_and_measures() -> None:
    """Shares follow the TrafficSplit, and slowness is what the second release is rolled back for."""
    records, (good, bad) = told("linkerd-canary")
    assert (good["outcome"], bad["outcome"]) == ("Succeeded", "Failed")
    assert good["requests"]["failed"] == 0
    for share in good["shares"]:
        assert abs(share["percent"] - share["weight"]) <= SHARE_POINTS_MAX
    failed = [record for record in records if record["kind"] == "check" and not record["passed"]]
    assert {record["name"] for record in failed} == {"request-duration"}


def test_the_list_of_scenarios() -> None:
    """`--list` names each with what it shows; an unknown one is refused with the list."""
    listed = subprocess.run([*FLAGGER, "--list"], capture_output=True, text=True, timeout=30, check=True)
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    others = ["blue-green", "gates", "gatewayapi", "keda", "linkerd-canary", "nginx-ab", "session-affinity", "traefik"]
    assert names == ["nginx-canary", *others]
    refused = subprocess.run([*FLAGGER, "nginx-canry"], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 2
    assert "nginx-canary" in refused.stderr


def test_a_demo_that_nobody_reads_any_more_ends() -> None:
    """As when it is told to, with nothing left behind."""
    with subprocess.Popen([*FLAGGER, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as demo:
        assert demo.stdout is not None and demo.stderr is not None
        assert json.loads(demo.stdout.readline())
        demo.stdout.close()
        assert demo.wait(30) == SIGNALLED + signal.SIGTERM, demo.stderr.read()
