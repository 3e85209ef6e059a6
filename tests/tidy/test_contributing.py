"""What contributors are promised: one set of commands everywhere, commit subjects, contracts, one version."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import subjects
import yaml

from pyflagger import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


# Commit subjects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        "Keep a shared ConfigMap's copy while another canary uses it",
        "Pass the proxy to hey on the command line",
        "Embed the API server",
        "Process the deletion of a Canary",
        "Let run.py wire alone and decide be called in one place",
        "Re-read credentials",
    ],
)
def test_a_good_subject(subject: str) -> None:
    """An order of at most 72 characters."""
    assert list(subjects.problems(f"{subject}\n\nWhy: it was slow.\n")) == []


@pytest.mark.parametrize(
    "message, said",
    [
        ("Keep " + "x" * 68, "73 characters, at most 72"),
        ("Keep the copy.", "ends with a period"),
        ("keep the copy", "no capital letter"),
        ("make test within its five minutes", "no capital letter"),
        ("Keeps the copy", "'Keeps' is no imperative"),
        ("Added a copy", "'Added' is no imperative"),
        ("Fixing the copy", "'Fixing' is no imperative"),
        ("The benches of the program as it is now", "'The' is no imperative"),
        ("What is denied is said once in its tests", "'What' is no imperative"),
        ("Keep the copy; drop the other", "two topics"),
        ("Keep the copy, and mend the route", "two topics"),
        ("Keep the copy\nbecause it is used", "no empty line"),
        ("", "no capital letter"),
    ],
)
def test_a_bad_subject_is_told(message: str, said: str) -> None:
    """With what to do about it."""
    assert said in "\n".join(subjects.problems(message))


def test_new_commits_have_good_subjects() -> None:
    """Those since the check; none where the history does not go back to it."""
    wrong = [(sha, list(subjects.problems(message))) for sha, message in subjects.history() or ()]
    assert [each for each in wrong if each[1]] == []


def test_without_the_history_there_is_nothing_to_check(tmp_path: Path) -> None:
    """In an export, in a shallow clone, and where git is another program's repository."""
    assert subjects.history(tmp_path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert subjects.history(tmp_path) is None


def test_a_message_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As git's hook gives it, with git's own comments."""
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text("Keep the copy\n# Please enter the commit message\n")
    assert subjects.main(["--file", str(file)]) == 0
    file.write_text("Keeping the copy\n")
    assert subjects.main(["--file", str(file)]) == 1
    assert "'Keeping' is no imperative" in capsys.readouterr().out


# One set of commands ------------------------------------------------------------------------------------------------


def test_workflows_call_the_targets_of_ci() -> None:
    """What must pass before a change lands is a step of a workflow, and no workflow has commands of its own."""
    made = set(re.findall(r"^ *make ([\w-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    called: set[str] = set()
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            matrix = job.get("strategy", {}).get("matrix", {}).get("target", [])
            for step in job["steps"]:
                if "run" in step:
                    found = re.fullmatch(r"(?:sudo env \S+ )?make (.+)", step["run"])
                    assert found, step["run"]
                    called |= {*matrix} if found[1] == "${{ matrix.target }}" else {found[1]}
    assert made <= called <= TARGETS


def test_hooks_call_what_lint_calls() -> None:
    """Tools of the environment and scripts that are there."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    for hook in hooks:
        words = hook["entry"].split()
        assert words[0].startswith(".venv/bin/")
        tool = words[1] if words[0].endswith("python") else words[0].removeprefix(".venv/bin/")
        assert tool in recipe, hook["entry"]


# Contracts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room, base", [(room, {"base"}) for room in ("routing", "metrics", "workloads", "alerts")])
def test_every_sibling_is_under_contract(room: str, base: set[str]) -> None:
    """What a registry knows must not import its siblings."""
    tree = ast.parse((ROOT / "src" / "pyflagger" / room / "registry.py").read_text())
    prefix = f"pyflagger.{room}."
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    known = {module for module in modules if module.startswith(prefix)} - {prefix + name for name in base}
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    held = [set(each["modules"]) for each in contracts if each["type"] == "independence"]
    assert known in held


# One version --------------------------------------------------------------------------------------------------------


def test_one_version_everywhere() -> None:
    """Of the package, the charts, the manifests, the lock and the newest section of the changelog."""
    assert PROJECT["project"]["version"] == __version__
    for chart in (ROOT / "charts").glob("*/Chart.yaml"):
        assert yaml.safe_load(chart.read_text())["appVersion"] == __version__
    for manifest in (ROOT / "kustomize").rglob("*.yaml"):
        assert set(re.findall(r"image: pyflagger(?:-loadtester)?:(\S+)", manifest.read_text())) <= {__version__}
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("charts/*/README.md")]:
        assert set(re.findall(r"registry\.example/pyflagger:(\d[\d.]*)", page.read_text())) <= {__version__}, page
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    assert [each["version"] for each in lock["package"] if each["name"] == "pyflagger"] == [__version__]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == __version__  # type: ignore[index]


def test_the_changelog_has_three_kinds_of_entries() -> None:
    """Added, Changed and Fixed, each once in a version and in this order."""
    text = (ROOT / "CHANGELOG.md").read_text()
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)", version, re.MULTILINE)
        assert kinds == [kind for kind in ("Added", "Changed", "Fixed") if kind in kinds] and kinds
