"""The command line where `pyflagger_sandbox` is not installed, as in the image: all but three commands work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HIDDEN = "import sys; sys.modules['pyflagger_sandbox'] = None; from pyflagger.cli.main import main; sys.exit(main())"
"""An import of a module that `sys.modules` holds as None fails like that of one that is not there."""


def flagger(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `flagger` in a process in which the package of the sandbox cannot be imported."""
    return subprocess.run([sys.executable, "-c", HIDDEN, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--help",), "sandbox"),
        (("run", "-version"), "Flagger version"),
        (("run", "--help"), "-mesh-provider"),
        (("loadtester", "--help"), "-port"),
        (("crds",), "kind: CustomResourceDefinition"),
        (("lint", str(EXAMPLES / "nginx" / "canary.yaml")), ""),
        (("load", "--help"), "Usage: flagger load"),
        (("completion", "bash"), "_FLAGGER_COMPLETE"),
    ],
)
def test_the_product_works(words: tuple[str, ...], said: str) -> None:
    """None of these commands imports the sandbox."""
    done = flagger(*words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    "words", [("sandbox",), ("demo",), ("demo", "nginx-canary", "--json"), ("help", "sandbox"), ("rehearse", "x.yaml")]
)
def test_a_command_of_the_sandbox_says_what_to_install(words: tuple[str, ...]) -> None:
    """In one line, and fails."""
    done = flagger(*words)
    name = next(name for name in ("sandbox", "demo", "rehearse") if name in words)
    line = f"flagger {name}: the sandbox is not installed: pip install 'pyflagger[sandbox]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_the_operator_starts_without_it() -> None:
    """Importing all of the operator, its plugins and its registries loads no module of the sandbox."""
    code = "import sys, pyflagger.cli.run, pyflagger.operator.run; print([m for m in sys.modules if 'sandbox' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
