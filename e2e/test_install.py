"""What users install by, before the real API server: every overlay and chart, plain and with everything on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e.parts import prometheus
from e2e.stage import ROOT, Stage
from e2e.test_conformance import run

SUITE = "tests/shipping"
CHOSEN = "test_an_api_server_takes_it"


def test_the_server_takes_it(stage: Stage, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Strictly, as on the embedded one: no field is unknown or of the wrong type."""
    environ = {"SHIPPING_KUBECONFIG": str(stage.kubeconfig), "PYTEST_ADDOPTS": f"-k {CHOSEN}"}
    cases, told = run(tmp_path, SUITE, environ)
    assert len(cases) >= 25 and all(cases.values()), told[-5000:]
    figure(f"installing: {len(cases)} overlays and charts, taken by the real API server")


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """The bundled one; not every build of promtool knows clusters, so targets and files are named in their place."""
    promtool = prometheus().with_name("promtool")
    if not promtool.exists():
        pytest.skip("promtool is not beside Prometheus")
    (there := tmp_path / "file").write_text("")
    found = yaml.safe_load((ROOT / "charts" / "flagger" / "files" / "prometheus.yml").read_text())
    for job in found["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs")
        job["static_configs"] = [{"targets": ["10.244.0.2"]}]
        for holder, key in (("tls_config", "ca_file"), ("authorization", "credentials_file")):
            if holder in job:
                job[holder][key] = str(there)
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump(found))
    done = subprocess.run([promtool, "check", "config", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
