"""Our PromQL against the real Prometheus of this run: the recorded series fed to it, the same questions asked anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from e2e.parts import prometheus
from e2e.stage import ROOT
from e2e.test_conformance import run

MAKER, SUITE = "tests/sandbox/metrics/make_vectors.py", "tests/sandbox/metrics/test_promql_vectors.py"


def test_the_same_answers(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Every question has the same answer from both, errors included."""
    vectors = tmp_path / "vectors.json"
    environ = os.environ | {"PATH": f"{prometheus().parent}{os.pathsep}{os.environ['PATH']}"}
    made = subprocess.run([sys.executable, MAKER, vectors], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    cases, told = run(tmp_path, SUITE, {"PROMQL_VECTORS": str(vectors)})
    asked = [case for case in cases if "test_answers_like_prometheus" in case]
    equal = [case for case in asked if cases[case]]
    figure(f"PromQL: {len(asked)} queries, {len(equal)} with the answer of the real Prometheus")
    assert all(cases.values()) and len(asked) > 100, told[-20000:]
