"""`flagger lint --traffic`: the figures of releases, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.cli import lint
from pyflagger.cli.amounts import count, percent

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
RAMP = {"stepWeight": 10, "maxWeight": 50, "metrics": [RATE]}


def canary(analysis: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A manifest with this analysis."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"targetRef": target, "service": {"port": 80}, "analysis": {"interval": "1m", "threshold": 5, **analysis}}
    meta = {"name": "web", "namespace": "shop"}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": {**body, **spec}}


def told(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, *objects: dict[str, Any]) -> str:
    """What lint prints about these objects."""
    file = tmp_path / "some.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    lint.main([*words.split(), str(file)])
    out, err = capsys.readouterr()
    return out + err


def test_the_figures_of_a_canary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan, requests, both probabilities, and the steps."""
    text = told(tmp_path, capsys, "--traffic 5/s", canary({**RAMP, "metrics": [RATE, DURATION]}))
    lines = text.splitlines()
    assert lines[0] == "Canary shop/web at 5 requests a second: 0.5% of them fail, and 1% in a bad release"
    assert "promoted after 5 checks and 5m0s" in lines[1]
    assert "450 requests of visitors" in lines[2]
    assert lines[3] == "  false alarm    3.1% of healthy releases are rolled back"
    assert lines[4] == "  missed fault   71.3% of bad releases are promoted"
    assert [line.split()[0] for line in lines if "█" in line] == ["10%", "20%", "30%", "40%", "50%"]
    assert "not included   metric request-duration: give the share of requests over its limit with --slow" in lines[-1]


def test_a_long_plan_shows_some_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first and the last among them."""
    text = told(tmp_path, capsys, "--traffic 600/m", canary({"stepWeight": 1, "maxWeight": 50, "metrics": [RATE]}))
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.split()[0].endswith("%")]
    assert (len(shown), shown[0], shown[-1]) == (12, "1%", "50%")


@pytest.mark.parametrize(
    "analysis, said",
    [
        ({"stepWeight": 50, "metrics": []}, "no metric of this Canary can be foreseen"),
        ({"stepWeight": 50, "metrics": [{**RATE, "interval": "5m"}]}, "simulated)"),
        ({"iterations": 2, "mirror": True, "metrics": [RATE]}, "mirror"),
    ],
)
def test_other_canaries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], analysis: dict[str, Any], said: str
) -> None:
    """Each is told as it is."""
    assert said in told(tmp_path, capsys, "--traffic 1/s", canary(analysis))


def test_only_canaries_without_errors_are_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither broken ones, nor those without analysis."""
    broken, skipped = canary({**RAMP, "stepWeigth": 1}), canary(RAMP, skipAnalysis=True)
    text = told(tmp_path, capsys, "--traffic 5/s", broken, skipped)
    assert "requests a second" not in text


@pytest.mark.parametrize(
    "words, said",
    [
        ("--base 1%", "--base needs --traffic"),
        ("--traffic fast", "'fast' is not a rate such as 50/s"),
        ("--traffic 5/s --base 1", "'1' is not a percentage such as 0.5%"),
        ("--traffic 5/s --base 101%", "'101%' is not a percentage"),
    ],
)
def test_wrong_amounts(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    """One line says what the option takes."""
    assert said in told(tmp_path, capsys, words, canary(RAMP))


def test_figures_never_round_to_certainty() -> None:
    """A small probability is not none."""
    shown = {0: "0%", 0.0001: "<0.1%", 0.005: "0.5%", 0.76: "76%", 0.9999: ">99.9%", 1: "100%"}
    assert [percent(each) for each in shown] == [*shown.values()]
    assert [count(each) for each in (0, 0.012, 3.14, 9.97, 12345.6)] == ["0", "0.012", "3.1", "10", "12,346"]
