"""`flagger rehearse`: the examples play as they expect, the same way each time, and bad files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from pyflagger.cli.rehearse import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CANARY = EXAMPLES / "nginx" / "canary.yaml"
PAGE = ROOT / "docs" / "how-to" / "rehearse.md"


def rehearse(folder: Path, capsys: pytest.CaptureFixture[str], *words: str, **script: Any) -> tuple[int, str, str]:
    """Play a script on the Canary of the example for NGINX: exit status, standard output, standard error."""
    file = folder / "script.yaml"
    file.write_text(yaml.safe_dump({"kind": "Rehearsal", "name": "played", **script}))
    status = main([str(CANARY), str(file), *words])
    told = capsys.readouterr()
    return status, told.out, told.err


RELEASE: list[dict[str, Any]] = [{"release": "podinfo:2"}]
GOOD: dict[str, Any] = {"steps": RELEASE, "series": {"request-success-rate": 99.5}}


def test_the_examples_end_as_they_expect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """And their JUnit XML has a case without a failure for each."""
    xml = tmp_path / "junit.xml"
    assert main([str(EXAMPLES / "rehearse"), "--junit", str(xml)]) == 0, capsys.readouterr().out
    cases = Xml.parse(xml).getroot().findall("./testsuite/testcase")
    assert len(cases) == len(list((EXAMPLES / "rehearse").glob("*.yaml"))) + 1  # one of them has two canaries
    assert not [case for case in cases if case.find("failure") is not None]


def test_the_script_of_the_page_is_an_example(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It plays as it expects, from the folder of the examples."""
    script = PAGE.read_text().split("```yaml\n")[1].split("```")[0].replace("../nginx", str(EXAMPLES / "nginx"))
    file = tmp_path / "bad.yaml"
    file.write_text(script)
    assert main([str(file)]) == 0, capsys.readouterr().out


def test_an_expectation_that_is_not_met_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what was found; the XML says it, too."""
    xml = tmp_path / "junit.xml"
    expect = {"phase": "Failed", "weights": [5, 50], "checks": 3, "events": ["no such text"], "noEvents": ["Advance"]}
    status, said, _ = rehearse(tmp_path, capsys, "--junit", str(xml), **GOOD, expect=expect)
    assert status == 1
    assert "NOT MET: phase Failed; found: Succeeded" in said
    assert "NOT MET: weights 5, 50; found: 5, 10, 15, 20, 25, 30, 35, 40, 45, 50" in said
    assert "NOT MET: 3 checks; found: 10" in said
    assert "NOT MET: an event with 'no such text'" in said
    assert "NOT MET: no event with 'Advance'" in said
    (failure,) = Xml.parse(xml).getroot().iter("failure")
    assert failure.get("message") == "expected: phase Failed; found: Succeeded"


def test_the_same_files_give_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Noise and all; another seed is another run."""
    noisy = {"steps": RELEASE, "series": {"request-success-rate": {"constant": 99.5, "noise": 0.4}}}
    first, again, other = (rehearse(tmp_path, capsys, "-o", "json", **noisy, seed=seed)[1] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_what_the_script_leaves_open_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Objects that were made, webhooks that always answer 200, and a metric without a series."""
    status, said, _ = rehearse(tmp_path, capsys, "-o", "json", steps=RELEASE)
    (report,) = json.loads(said)
    (canary,) = report["canaries"]
    assert (status, canary["phase"]) == (0, "Failed")
    assert report["notes"] == [
        "made Deployment test/podinfo with the image registry.example/podinfo:1.0.0",
        "made Ingress test/podinfo",
        "hooks of test/podinfo that always answer 200: acceptance-test, load-test",
    ]
    assert canary["notes"] == ["metric request-success-rate has no answers: the script has no series for it"]


def test_a_release_that_never_ends_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the limit, with the phase that it has."""
    status, said, _ = rehearse(
        tmp_path, capsys, **GOOD, limit="10m", hooks={"acceptance-test": "closed"}, pods={"broken": ["*:2"]}
    )
    assert status == 0, said
    status, said, _ = rehearse(tmp_path, capsys, **GOOD, limit="1m")
    assert status == 1
    assert "not ended: Progressing after" in said


@pytest.mark.parametrize(
    "script, said",
    [
        ({"steps": []}, "script.yaml:3: Rehearsal played: steps tuple should have at least 1 item"),
        ({"steps": [{"at": "1m"}]}, "steps[0] does nothing; give it release"),
        ({"steps": [{"at": 5, "release": "a"}]}, "steps[0].at must be a duration such as 30s or 5m (given: 5)"),
        ({"steps": [{"at": "1m", "when": {"weight": 5}, "release": "a"}]}, "steps[0] has both at and when"),
        ({**GOOD, "seires": {}}, "seires is not a field of this kind"),
        ({**GOOD, "series": {"request-success-rate": {"noise": 1}}}, "must have exactly one of constant, errors"),
        ({**GOOD, "series": {"request-success-rate": {"constant": 1, "errors": "5%"}}}, "it has constant, errors"),
        ({**GOOD, "series": {"request-success-rate": {"errors": 5}}}, "must be a share such as 5%"),
        ({**GOOD, "series": {"success": 99}}, "series.success: the Canary has no metric of this name; it has request-"),
        ({**GOOD, "hooks": {"gate": "open"}}, "hooks.gate: the Canary has no webhook of this name; it has acceptance-"),
        ({**GOOD, "hooks": {"load-test": "ajar"}}, "hooks.load-test must be open, closed, a status"),
        ({**GOOD, "traffic": "50"}, "traffic must be a rate such as 50/s, 300/m or 20/h"),
        ({**GOOD, "expect": {"harmed": 3}}, "expects harmed visitors without traffic"),
        ({**GOOD, "canary": "shop"}, "canary: no Canary is named shop; the files have test/podinfo"),
        ({**GOOD, "operator": ["-mesh-povider=nginx"]}, "operator: "),
        ({"canaries": [{**GOOD}, {**GOOD}]}, "canaries[1].canary: Canary test/podinfo has a part already"),
        ({**GOOD, "files": ["nowhere.yaml"]}, "nowhere.yaml: No such file or directory"),
    ],
)
def test_a_bad_script_is_refused(
    script: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its file, its path and what is wrong; exit status 2."""
    status, out, err = rehearse(tmp_path, capsys, **script)
    assert (status, out) == (2, "")
    assert said in err


def test_a_release_that_waits_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Canary that the operator rejects never begins; the output has the operator's reason."""
    canary = yaml.safe_load(CANARY.read_text())
    canary["spec"]["analysis"]["webhooks"][0]["url"] = "${SLACK_WEBHOOK}"
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(canary))
    file = tmp_path / "script.yaml"
    file.write_text(yaml.safe_dump({"kind": "Rehearsal", "name": "x", **GOOD, "limit": "5m", "files": ["canary.yaml"]}))
    assert main([str(file)]) == 1
    said = capsys.readouterr().out
    assert "not ended: no phase after 5:00, the limit" in said
    assert "note: it waits: spec.analysis.webhooks[0].url is not a URL" in said


def test_an_object_that_the_api_server_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with the object."""
    canary = yaml.safe_load(CANARY.read_text())
    canary["spec"]["analysis"] |= {"iterations": 5, "stepWeight": 0, "maxWeight": 0}
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(canary))
    file = tmp_path / "script.yaml"
    file.write_text(yaml.safe_dump({"kind": "Rehearsal", "name": "x", **GOOD, "files": ["canary.yaml"]}))
    assert main([str(file)]) == 2
    assert "Rehearsal x: Canary test/podinfo: the API server refuses it: " in capsys.readouterr().err


def test_a_webhook_of_type_rollback_answers_403(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 200 would roll the release back; the output notes it."""
    canary = yaml.safe_load(CANARY.read_text())
    canary["spec"]["analysis"]["webhooks"].append({"name": "panic", "type": "rollback", "url": "http://tester/panic"})
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(canary))
    file = tmp_path / "script.yaml"
    for hooks, phase in (({}, "Succeeded"), ({"panic": "open"}, "Failed")):
        script = {"kind": "Rehearsal", "name": "x", **GOOD, "files": ["canary.yaml"], "hooks": hooks}
        file.write_text(yaml.safe_dump({**script, "expect": {"phase": phase}}))
        assert main([str(file)]) == 0
        said = capsys.readouterr().out
        assert ("that always answer 403 (a 200 of theirs rolls the release back): panic" in said) is not bool(hooks)


@pytest.mark.parametrize("errors, phase", [("0.5%", "Succeeded"), ("20%", "Failed")])
def test_a_comparison_counts_both_sides(
    errors: str, phase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the versions that they run: a base of 0.5 % on both sides is no evidence, and 20 % is."""
    canary = yaml.safe_load(CANARY.read_text())
    canary["spec"]["analysis"]["metrics"][0] |= {"compare": {}, "thresholdRange": {"min": 50}}
    canary["spec"]["analysis"]["interval"] = "1m"
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(canary))
    series = {"request-success-rate": {"versions": {"2": {"errors": errors}, "*": {"errors": "0.5%"}}}}
    script = {"kind": "Rehearsal", "name": "x", "steps": RELEASE, "files": ["canary.yaml"], "series": series}
    file = tmp_path / "script.yaml"
    file.write_text(yaml.safe_dump({**script, "traffic": "100/s", "expect": {"phase": phase}}))
    assert main([str(file)]) == 0, capsys.readouterr().out
    assert "compare" in capsys.readouterr().out
    file.write_text(yaml.safe_dump(script))
    assert main([str(file)]) == 0
    assert "note: metric request-success-rate has compare, which needs traffic" in capsys.readouterr().out


def test_files_without_a_script_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The text says what is missing."""
    assert main([str(CANARY)]) == 2
    assert "no document of kind Rehearsal is in" in capsys.readouterr().err
