"""The image: linted, built of files that are there, run as nobody; and the wheel that it is built from is whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from shipping.rendering import ROOT, container, kustomized, tool

TEXT = (ROOT / "Dockerfile").read_text()
SAID = re.findall(r"^([A-Z]+) (.*?)(?<!\\)$", TEXT, re.MULTILINE | re.DOTALL)
"""Instructions with what they say, continued lines with them."""


def said(instruction: str) -> list[str]:
    """What the instructions of a kind say, in order."""
    return [text for name, text in SAID if name == instruction]


def test_the_linter_finds_nothing() -> None:
    """Hadolint, with the shell's linter inside."""
    done = tool("hadolint", "--failure-threshold", "style", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_base_is_pinned() -> None:
    """To a version of Python and of the distribution; both stages begin there: links lead to it."""
    base, *_ = said("ARG")
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+", base)
    assert [text.split()[0] for text in said("FROM")] == ["${BASE}", "${BASE}"]


def test_it_runs_as_the_user_of_the_manifests() -> None:
    """Nobody of consequence, by number, so that `runAsNonRoot` can be checked."""
    context = container(kustomized("cluster"))["securityContext"]
    assert said("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    order = [name for name, _ in SAID]
    assert order.index("USER") > max(at for at, name in enumerate(order) if name in ("RUN", "COPY"))
    assert said("ENTRYPOINT") == ['["flagger"]']
    assert "flagger" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_what_is_sent_to_the_builder() -> None:
    """All that the Dockerfile copies, all that the wheel is built of, and nothing else."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert lines[1] == "*"
    assert sorted(copied()) == sorted(kept)
    assert [name for name in kept if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is published."""
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


def built(source: Path, folder: Path) -> Path:
    """The wheel of the files in `source`."""
    command = [Path(sys.executable).parent / "uv", "build", "--wheel", "--offline", "--no-build-isolation"]
    command += ["--python", sys.executable]
    done = subprocess.run([*command, "--out-dir", folder], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def copied() -> list[str]:
    """What the Dockerfile copies from the sources."""
    return [word for text in said("COPY") if "--from" not in text for word in text.split()[:-1]]


def test_the_wheel_is_whole(wheel: Path) -> None:
    """Every module and every scenario of the demo is in it, and nothing that is no part of the product."""
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not fnmatch(path.name, "*.pyc")
    }
    assert wanted - names == set()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"pyflagger", "pyflagger_sandbox"}


def test_the_wheel_of_the_image_has_no_sandbox(tmp_path: Path) -> None:
    """Built from what the Dockerfile copies: all of the product, so production ships no fake API server."""
    for name in copied():
        place = tmp_path / "source" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
    names = set(zipfile.ZipFile(built(tmp_path / "source", tmp_path)).namelist())
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"pyflagger"}
    assert {"pyflagger/cli/lint.py", "pyflagger/admission/types.json"} <= names
