"""Metric providers by type: known, plugged in, broken, unknown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from pyflagger import plugins as plugged
from pyflagger.api.facts import Fault, Problem
from pyflagger.metrics import registry
from pyflagger.metrics.plugged import PluggedFactory
from pyflagger.metrics.prometheus import Prometheus


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two plugins are installed, one of them broken."""
    points = [
        EntryPoint("mine", "pyflagger.metrics.prometheus:Prometheus", registry.GROUP),
        EntryPoint("broken", "nowhere_at_all:Thing", registry.GROUP),
        EntryPoint("prometheus", "nowhere_at_all:Thing", registry.GROUP),
    ]
    monkeypatch.setattr(plugged, "entry_points", lambda group: points if group == registry.GROUP else [])
    plugged.installed.cache_clear()
    yield
    plugged.installed.cache_clear()


def test_ours() -> None:
    """Prometheus is there."""
    assert registry.provider_for("prometheus") is Prometheus


def test_unknown_types_are_refused() -> None:
    """Nothing is put in instead; the known ones are listed."""
    found = registry.provider_for("promotheus")
    assert isinstance(found, Problem)
    assert (found.fault, found.path) == (Fault.MANIFEST, "spec.provider.type")
    assert "promotheus" in found.text
    assert "prometheus" in found.todo


@pytest.mark.usefixtures("plugins")
def test_plugins() -> None:
    """A plugin is found by its name, cannot replace ours, and a broken one is a problem that names it."""
    mine = registry.provider_for("mine")
    assert isinstance(mine, PluggedFactory) and mine.factory is Prometheus
    assert registry.provider_for("prometheus") is Prometheus
    broken = registry.provider_for("broken")
    assert isinstance(broken, Problem)
    assert "nowhere_at_all:Thing" in broken.text
    assert registry.known_types() == (
        *("broken", "cloudwatch", "datadog", "dynatrace", "externalmetrics", "graphite", "influxdb", "keptn", "mine"),
        *("newrelic", "prometheus", "splunk", "stackdriver", "web"),
    )


def test_libraries_of_clouds_are_loaded_only_when_used() -> None:
    """An operator without such templates is no heavier: none is imported."""
    heavy = ("botocore", "google.auth", "requests", "cryptography")
    code = f"import sys, pyflagger.operator.run; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
