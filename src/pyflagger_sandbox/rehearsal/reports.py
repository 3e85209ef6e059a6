"""The outcomes of rehearsals as text, as JSON and as JUnit XML. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from xml.etree import ElementTree as Xml

from pyflagger_sandbox.rehearsal.timeline import Entry
from pyflagger_sandbox.rehearsal.verdicts import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """One rehearsal: its name, its script's file, what was made up, and how each canary ended."""

    name: str
    file: str
    notes: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether every canary ended as its script expects."""
        return all(each.passed for each in self.outcomes)


def clock(seconds: float) -> str:
    """`m:ss` or `h:mm:ss`, with tenths where there are some."""
    tenths = round(seconds * 10)
    whole, tenth = divmod(tenths, 10)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{tenth}" if tenth else text


def text(reports: Iterable[Report]) -> Iterator[str]:
    """Lines for people."""
    for report in reports:
        yield f"Rehearsal {report.name} ({report.file})"
        yield from (f"  note: {each}" for each in report.notes)
        for each in report.outcomes:
            yield ""
            yield from _canary(each)
        yield ""


def _canary(outcome: Outcome) -> Iterator[str]:
    yield f"  {outcome.canary}"
    yield from (_line(entry) for entry in outcome.timeline)
    yield f"  {_summary(outcome)}"
    yield from (f"  note: {each}" for each in outcome.missing)
    yield from (f"  {'met:    ' if each.met else 'NOT MET:'} {_finding(each)}" for each in outcome.findings)


def _finding(finding: Finding) -> str:
    return finding.text if finding.met or not finding.found else f"{finding.text}; found: {finding.found}"


def _line(entry: Entry) -> str:
    verdict = {True: "  passed", False: "  FAILED", None: ""}[entry.passed]
    return f"  {clock(entry.at):>9}  {entry.kind:<9}  {entry.text}{verdict}"


def _summary(outcome: Outcome) -> str:
    weights = ", ".join(map(str, outcome.weights)) or "none"
    if outcome.ended:
        how = f"{outcome.phase} after {clock(outcome.duration)}"
    else:
        how = f"not ended: {outcome.phase or 'no phase'} after {clock(outcome.duration)}, the limit"
    harmed = "" if outcome.harmed is None else f"; about {outcome.harmed} requests failed by the canary"
    return f"{how}; weights {weights}; {outcome.checks} checks, {outcome.failed_checks} failed rounds{harmed}"


def as_json(reports: Sequence[Report]) -> Iterator[str]:
    """One document."""
    yield json.dumps([_document(each) for each in reports], indent=2, ensure_ascii=False)


def _document(report: Report) -> dict[str, object]:
    return {
        "name": report.name,
        "file": report.file,
        "passed": report.passed,
        "notes": list(report.notes),
        "canaries": [
            {
                "canary": each.canary,
                "passed": each.passed,
                "phase": each.phase,
                "ended": each.ended,
                "seconds": each.duration,
                "weights": list(each.weights),
                "checks": each.checks,
                "failedChecks": each.failed_checks,
                "harmed": each.harmed,
                "notes": list(each.missing),
                "expectations": [asdict(found) for found in each.findings],
                "timeline": [asdict(entry) for entry in each.timeline],
            }
            for each in report.outcomes
        ],
    }


def junit(reports: Sequence[Report]) -> str:
    """JUnit XML: a suite for each rehearsal, a case for each canary. Times are virtual seconds."""
    root = Xml.Element("testsuites", name="flagger rehearse")
    for report in reports:
        failures = sum(not each.passed for each in report.outcomes)
        counts: dict[str, str] = {"tests": str(len(report.outcomes)), "failures": str(failures), "errors": "0"}
        suite = Xml.SubElement(root, "testsuite", {"name": report.name, "file": report.file, **counts})
        for each in report.outcomes:
            case = Xml.SubElement(suite, "testcase", classname=report.name, name=each.canary, time=f"{each.duration:g}")
            if not each.passed:
                lost = [_finding(found) for found in each.findings if not found.met]
                told = ([] if each.ended else ["the release did not end within the limit"]) + lost
                failure = Xml.SubElement(case, "failure", message=f"expected: {told[0]}")
                failure.text = "\n".join(told)
            Xml.SubElement(case, "system-out").text = "\n".join(_canary(each))
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


FORMS = {"text": text, "json": as_json}
