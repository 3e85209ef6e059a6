"""The conformance suite, unchanged, on a real API server and on the embedded one: the same answers."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from e2e.stage import ROOT, Stage

SUITE = "tests/conformance"


def run(folder: Path, suite: str, environ: Mapping[str, str]) -> tuple[dict[str, bool], str]:
    """Play a suite: its cases, whether each passed, and what was printed."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", f"--junitxml={report}", suite]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}": len(case) == 0 for case in cases}, done.stdout


def allowed() -> set[str]:
    """Cases that may fail on the real server, each with its reason in the file."""
    return {entry["case"] for entry in yaml.safe_load((ROOT / SUITE / "differences.yaml").read_text())}


def test_the_same_answers(stage: Stage, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Every case holds on both servers, but for those that the list names."""
    real, told = run(tmp_path, SUITE, {"CONFORMANCE_KUBECONFIG": str(stage.kubeconfig)})
    embedded, _ = run(tmp_path, SUITE, {})
    equal = {case for case, passed in real.items() if passed and embedded.get(case)}
    different = {case.partition("::")[2] for case in real if case not in equal}
    figure(f"conformance: {len(real)} cases, {len(equal)} equal on both servers; different: {sorted(different)}")
    assert real.keys() == embedded.keys() and len(real) > 100
    assert different <= allowed(), told[-20000:]
