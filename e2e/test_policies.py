"""A release whose metrics have policies: a real Prometheus has no data at first, and a dry run is bad all along."""

from __future__ import annotations

import json
import time

from e2e.apps import whole
from e2e.environment import Environment, until
from pyflagger.objects import Obj

SILENT_SECONDS = 20
"""How long the metric has no data. It begins before the release, whose first round comes seconds later."""


def metrics(speaks_at: int) -> list[Obj]:
    """One without data until a time (seconds since the epoch), and one that is always bad."""
    late = f"vector(1) and on() (vector(time()) > {speaks_at})"
    common = {"interval": "1m", "thresholdRange": {"max": 5}}
    return [
        {"name": "late", "query": late, "noData": "wait", "noDataAfter": "2m", **common},
        {"name": "bad", "query": "vector(9)", "dryRun": True, **common},
    ]


def results(env: Environment) -> str:
    """The results of the last round."""
    conditions = env.status("patient").get("conditions") or ()
    judged = next((each["message"] for each in conditions if each["type"] == "Judged"), "")
    return str(judged.partition("Results: ")[2])


def test_a_release_waits_for_data_and_ignores_a_dry_run(env: Environment) -> None:
    """It stays at its first weight without a failed check until there is data, and is promoted after that."""
    env.operator("-min-interval", "1s")
    env.apply(*whole("patient"))
    env.wait("patient", "Initialized")
    speaks_at = int(time.time()) + SILENT_SECONDS
    change = {"spec": {"analysis": {"threshold": 1, "metrics": metrics(speaks_at)}}}
    env.kubectl("patch", "canary", "patient", "--type=merge", "-p", json.dumps(change))
    env.kubectl("set", "image", "deployment/patient", "web=ghcr.io/stefanprodan/podinfo:6.0.1")

    held = "late no values: waiting; bad 9.00: failed (dry run)"
    until(lambda: results(env) == held, lambda: f"{env.status('patient')}\n{env.said('patient')}", 30)
    assert time.time() < speaks_at
    status = env.status("patient")
    assert (status["canaryWeight"], status["failedChecks"]) == (20, 0)
    (halted,) = (each["message"] for each in status["conditions"] if each["type"] == "Halted")
    assert halted.startswith("Waiting for data until ")

    until(lambda: env.status("patient")["canaryWeight"] != 20, lambda: str(env.status("patient")), 40)
    assert time.time() >= speaks_at
    env.wait("patient", "Succeeded")
    said = env.said("patient")
    assert "Dry run of metric bad, which does not decide: " in said
    assert "Rolling back" not in said and "Halt patient" not in said
