"""docs/contributing/provider.md: the blocks of the page make a package that conforms and releases."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from extension.distribution import forget, install
from pyflagger.objects import Obj
from stage.trouble import Pair

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contributing" / "provider.md"
BLOCKS = dict(re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL))
SPEC = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SCHEMA = {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}}
BEAMS: Obj = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "beams.lantern.example"},
    "spec": {
        "group": "lantern.example",
        "names": {"kind": "Beam", "plural": "beams"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
    },
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page, installed."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    site.mkdir()
    for name, text in BLOCKS.items():
        (source / name).write_text(text)
    install(site, monkeypatch, source=source)
    yield source
    forget()


def test_its_test_passes(package: Path) -> None:
    """The block of the kit, by pytest, as a reader would run it; and types hold."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lantern.py"]
    done = subprocess.run(words, cwd=package, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_broken_router_fails_its_test(package: Path) -> None:
    """The page tells the reader to break it once."""
    module = package / "lantern_router.py"
    both = "shared_out(canary, rule.route)]"
    module.write_text(module.read_text().replace(both, f"{both}[:1]"))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lantern.py"]
    done = subprocess.run(words, cwd=package, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "NotConforming" in done.stdout


@pytest.mark.looptime
@pytest.mark.usefixtures("package")
async def test_it_releases() -> None:
    """The Canary of the page is promoted, its weights read from the Beam on the way."""
    pair = Pair()
    await pair.begin(spoilt=yaml.safe_load(BLOCKS["canary.yaml"]), definitions=[BEAMS])
    await pair.phase("sick", "Initialized")
    await pair.release("sick")
    await pair.weight(25)
    assert await weights(pair) == {"sick-primary": 75, "sick-canary": 25}
    await pair.phase("sick", "Succeeded")
    assert await weights(pair) == {"sick-primary": 100, "sick-canary": 0}


async def weights(pair: Pair) -> dict[str, int]:
    """What Lantern would read."""
    beam = await pair.stage.client.call("GET", "/apis/lantern.example/v1/namespaces/sick/beams/sick")
    return {backend["service"]: backend["weight"] for backend in beam["spec"]["backends"]}
