"""What is published: wheel and source archive hold what they should, and a bare installation says what it lacks."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from pyflagger import __version__
from walkthrough.sandboxed import BIN, ROOT, sandbox

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([BIN / "uv", "build", "--quiet", "--out-dir", folder], cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def bare(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment in which only the wheel is installed, without extras."""
    home = tmp_path_factory.mktemp("bare")
    (wheel,) = built.glob("*.whl")
    subprocess.run([BIN / "uv", "venv", "--quiet", home], check=True, timeout=300)
    install = [BIN / "uv", "pip", "install", "--quiet", "--python", home / "bin/python", wheel]
    subprocess.run(install, check=True, timeout=300)
    return home / "bin"


def run(bare: Path, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the bare environment, with nothing else of ours on PATH."""
    environ = {"PATH": os.defpath, "HOME": str(bare.parent)}
    return subprocess.run(
        [bare / "flagger", *words], capture_output=True, text=True, timeout=60, env=environ, input=said
    )


def test_both_hold_what_they_should(built: Path) -> None:
    """Code and data of both packages in the wheel; all that a build and the tests need in the archive."""
    (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = {str(path.relative_to(ROOT / "src")) for path in files(ROOT / "src")}
    assert source <= packed
    assert {name.split("/")[0] for name in packed} == {
        "pyflagger",
        "pyflagger_sandbox",
        f"pyflagger-{__version__}.dist-info",
    }
    with tarfile.open(archive) as tar:
        shipped = {name.partition("/")[2] for name in tar.getnames()}
    kept = {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "kustomize/crds/crds.yaml"}
    examples = {str(path.relative_to(ROOT)) for path in files(ROOT / "examples")}
    assert kept | examples | {f"src/{path}" for path in source} <= shipped
    assert not [name for name in packed | shipped if "__pycache__" in name or name.startswith(".venv")]


def files(folder: Path) -> Sequence[Path]:
    """Every file that is no by-product."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_without_the_extra_there_is_one_line(bare: Path, command: str) -> None:
    """It names what to install."""
    done = run(bare, command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("pip install 'pyflagger[sandbox]'\n") and done.stderr.count("\n") == 1


def test_what_needs_no_extra_works(bare: Path) -> None:
    """The operator's version, definitions, the linter, the list of demos, the load tester's flags."""
    assert run(bare, "run", "-version").stdout.startswith("Flagger version")
    kinds = [each["spec"]["names"]["kind"] for each in yaml.safe_load_all(run(bare, "crds").stdout)]
    assert kinds == ["Canary", "MetricTemplate", "AlertProvider", "CanaryRelease", "CanaryAction"]
    assert run(bare, "lint", str(ROOT / "examples/nginx/canary.yaml")).returncode == 0
    assert "nginx-canary" in run(bare, "demo", "--list").stdout
    assert "-port" in run(bare, "loadtester", "--help").stdout


def test_the_definitions_are_what_kubectl_takes(bare: Path) -> None:
    """Applied to a cluster that lacks them, applied again, by either way, and compared: no difference."""
    made = run(bare, "crds").stdout
    plurals = ("alertproviders", "canaries", "canaryactions", "canaryreleases", "metrictemplates")
    names = [f"{plural}.flagger.app" for plural in plurals]
    with sandbox("--no-operator") as place:
        place.kubectl("delete", "crd", *names)
        assert place.kubectl("apply", "-f", "-", said=made).count("created") == 5
        assert place.kubectl("apply", "-f", "-", said=made).count("unchanged") == 5
        assert place.kubectl("apply", "--server-side", "-f", "-", said=made).count("serverside-applied") == 5
        assert place.kubectl("diff", "-f", "-", said=made) == ""
        place.kubectl("wait", "--for=condition=established", *(f"crd/{name}" for name in names), "--timeout=10s")
        assert "No resources found" in place.kubectl("get", "canaries", "-A")
