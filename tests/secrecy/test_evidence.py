"""The judge of a run on the real control plane: it finds a secret wherever it is, and a refusal of anybody of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.evidence import Evidence
from e2e.planted import TOKEN

OURS = "system:serviceaccount:test:flagger"
LACKING = "system:serviceaccount:lacking:flagger"

STARTING = (1_700_000_000.0, 1_700_000_003.0)
"""When an API server had started and was not ready."""


def entry(user: str, decision: str = "forbid", code: int = 403, at: float = 1_700_000_060.0) -> dict[str, Any]:
    """A line of an audit log."""
    return {
        "requestReceivedTimestamp": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "user": {"username": user},
        "verb": "list",
        "requestURI": "/api/v1/secrets",
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": decision},
    }


@pytest.mark.parametrize("name", ["operator.log", "loadtester.log", "deep/api.log", ""])
def test_a_secret_fails_the_run(tmp_path: Path, name: str) -> None:
    """In a log of any part, in any folder, or in what was kept of a place that is gone."""
    evidence = Evidence(tmp_path)
    evidence.keep("events of test", "all is well")
    assert evidence.judged([], [])[0] == []
    if name:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"said {TOKEN}\n")
    else:
        evidence.keep("events of test", f"said {TOKEN}")
    (wrong,), told = evidence.judged([], [])
    assert TOKEN in wrong and told[0].startswith("secrets: 1 in ")


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        (entry(OURS), 1),
        (entry("system:serviceaccount:test:flagger-loadtester"), 1),
        (entry("system:serviceaccount:flagger-system:flagger"), 1),
        (entry(LACKING), 0),
        (entry("system:serviceaccount:test:default"), 0),
        (entry("ctl"), 0),
        (entry(OURS, "allow"), 0),
        (entry(OURS, "allow", 200), 0),
        (entry(OURS, at=STARTING[0] + 1), 0),
        (entry(OURS, at=STARTING[0] - 1), 1),
        (entry(OURS, at=STARTING[1] + 1), 1),
    ],
)
def test_a_refusal_fails_the_run(tmp_path: Path, asked: dict[str, Any], wrong: int) -> None:
    """Of our accounts, unless a test took the right away; not of others, nor for want of a namespace or of rules."""
    evidence = Evidence(tmp_path)
    evidence.lacking.add(LACKING)
    found, told = evidence.judged([asked, entry(LACKING), entry(OURS, "allow", 200)], [STARTING])
    assert len(found) == wrong and told[1].startswith(f"requests refused by our rules: {wrong} of ")


def test_a_run_that_sees_no_refusal_where_there_was_one_is_blind(tmp_path: Path) -> None:
    """A right that was taken away is one that somebody was refused."""
    evidence = Evidence(tmp_path)
    evidence.lacking.add(LACKING)
    refused = entry(LACKING)
    assert evidence.judged([refused], [])[0] == []
    (blind,), _ = evidence.judged([refused], [(0.0, 2e9)])
    assert blind == "no refusal was seen where a test took a right away"
