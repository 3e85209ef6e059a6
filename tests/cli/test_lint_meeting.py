"""`flagger lint` finds canaries that meet, in one file or in several."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyflagger.cli import lint

CASES = Path(__file__).resolve().parents[1] / "cases"
CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: NAME, namespace: SPACE}
spec:
  provider: kubernetes
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}
  service: {port: 80, name: shop}
  analysis: {interval: 10s, threshold: 1, iterations: 1}
"""


def written(folder: Path, name: str, space: str) -> str:
    """A file with one Canary."""
    file = folder / f"{name}.yaml"
    file.write_text(CANARY.replace("NAME", name).replace("SPACE", space))
    return str(file)


def test_one_service_name_in_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that would have to wait is named, with the field to change; in another namespace it is fine."""
    first, second = written(tmp_path, "front", "mall"), written(tmp_path, "orders", "mall")
    assert lint.main([second, first]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "note:" not in line]
    assert line.startswith(second) and "Canary mall/orders" in line and "spec.service.name" in line
    assert "service shop, service shop-primary, service shop-canary already belong to canary front" in line
    assert lint.main([first, written(tmp_path, "orders", "other")]) == 0
    (tmp_path / "broken.yaml").write_text(CANARY.replace("port: 80", "port: x"))
    assert lint.main([first, str(tmp_path / "broken.yaml")]) == 1
    assert "already" not in capsys.readouterr().out


def test_one_ingress_may_be_shared() -> None:
    """By two canaries with a path each."""
    assert lint.main([str(CASES / "one-ingress-two-canaries.yaml")]) == 0


def test_one_host_in_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two namespaces at one gateway: one of them would take the other's visitors."""
    service = "{port: 80, hosts: [shop.example], gateways: [infra/public]}"
    files = [written(tmp_path, "front", "mall"), written(tmp_path, "orders", "town")]
    for file in map(Path, files):
        text = file.read_text().replace("provider: kubernetes", "provider: istio")
        file.write_text(text.replace("{port: 80, name: shop}", service).replace("iterations", "stepWeight"))
    assert lint.main(files) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "note:" not in line]
    assert line.startswith(files[1]) and "spec.service.hosts: host shop.example at gateway infra/public" in line
    assert "already belongs to canary front.mall" in line
