"""`flagger lint --traffic`: the figures of releases, as text."""

from __future__ import annotations

import json
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
    note, *lines = text.splitlines()
    assert "note: spec.analysis.metrics[0].interval: At weight 10 a window of metric" in note
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
        ({"stepWeight": 100, "metrics": [{**RATE, "interval": "5m"}]}, "simulated)"),
        ({"iterations": 2, "mirror": True, "metrics": [RATE]}, "mirror"),
    ],
)
def test_other_canaries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], analysis: dict[str, Any], said: str
) -> None:
    """The output names each one."""
    assert said in told(tmp_path, capsys, "--traffic 1/s", canary(analysis))


def test_only_canaries_without_errors_are_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither broken ones, nor those without analysis."""
    broken, skipped = canary({**RAMP, "stepWeigth": 1}), canary(RAMP, skipAnalysis=True)
    text = told(tmp_path, capsys, "--traffic 5/s", broken, skipped)
    assert "requests a second" not in text


@pytest.mark.parametrize(
    "words, said",
    [
        ("--base 1%", "--base has no effect without --traffic"),
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


def test_the_wanted_rates_decide_about_the_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Change nothing, change fields, or compare."""
    words = "--traffic 5/s --harm 4"
    assert (
        "advice         set threshold 6, analysis.interval 2m0s, interval 2m0s of request-success-rate: 0.4%"
        in told(tmp_path, capsys, words, canary(RAMP))
    )
    assert "change nothing" in told(tmp_path, capsys, f"{words} --false-alarms 5% --missed-faults 20%", canary(RAMP))
    assert "compare with the primary" in told(tmp_path, capsys, "--traffic 5/s --harm 1.5", canary(RAMP))


def test_figures_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the findings, which include the warnings about this traffic."""
    document = json.loads(told(tmp_path, capsys, "-o json --traffic 5/s", canary(RAMP)))
    assert [each["path"] for each in document["findings"]] == ["spec.analysis.metrics[0].interval"]
    (outlook,) = document["outlooks"]
    assert outlook["object"] == "Canary shop/web"
    assert (outlook["seconds"], outlook["checks"], outlook["requestsServed"]) == (300, 5, 450)
    assert outlook["falseAlarms"] == pytest.approx(0.031, abs=0.001)
    assert [step["weight"] for step in outlook["steps"]] == [10, 20, 30, 40, 50]


def test_figures_as_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notice at the Canary."""
    text = told(tmp_path, capsys, "-o github --traffic 5/s", canary(RAMP))
    assert "::notice file=" in text
    assert "3.1%25 of healthy releases are rolled back, 71.3%25 of bad ones promoted" in text


def test_load_tests_count_where_metrics_see_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pods and sidecars count them, an ingress does not, and an option knows better."""
    hook = {"name": "load", "url": "http://t/", "metadata": {"cmd": "hey -z 1m -q 10 -c 2 http://web-canary.shop/"}}
    analysis = {**RAMP, "webhooks": [hook]}
    assert "and 20 of load tests" in told(tmp_path, capsys, "--traffic 5/s", canary(analysis))
    assert "and 7 of load tests" in told(tmp_path, capsys, "--traffic 5/s --load 7/s", canary(analysis))
    contour = canary(analysis, provider="contour")
    assert "of load tests" not in told(tmp_path, capsys, "--traffic 5/s", contour)


def test_several_metrics_have_a_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their failures may coincide or not."""
    words = "--traffic 2/s --slow 0.5%"
    text = told(tmp_path, capsys, words, canary({**RAMP, "metrics": [RATE, DURATION]}))
    assert "by how its metrics depend on each other" in text


def test_without_traffic_lint_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No figures, and none of their warnings."""
    assert told(tmp_path, capsys, "", canary({**RAMP, "stepWeight": 30})) == ""
