"""The page on security names the test that holds each defence; our manifests give a container no more than it needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
DEPLOYMENTS = sorted(ROOT.glob("kustomize/*/deployment.yaml"))


def test_every_test_that_is_named_is_there() -> None:
    """File and function."""
    found = NAMED.findall(PAGE.read_text())
    assert len(found) > 15
    missing = []
    for path, name in found:
        file = ROOT / path
        names = (
            {
                node.name
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            if file.exists()
            else set()
        )
        if not file.exists() or (name and name not in names):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_every_defence_has_a_test() -> None:
    """Each row of the table of defences ends in the name of one."""
    table = PAGE.read_text().partition("## Defences")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if not NAMED.search(row)] == []


@pytest.mark.parametrize("path", DEPLOYMENTS, ids=lambda path: path.parent.name)
def test_containers_have_no_privileges(path: Path) -> None:
    """Not root, nothing gained, a root file system that nobody writes, the runtime's seccomp profile, limits."""
    (deployment,) = yaml.safe_load_all(path.read_text())
    pod = deployment["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume]
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and not context.get("privileged")
        assert context["readOnlyRootFilesystem"] is True and context["runAsNonRoot"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_the_load_tester_has_no_account_unless_asked() -> None:
    """Its commands could read the token."""
    (tester,) = yaml.safe_load_all((ROOT / "kustomize" / "tester" / "deployment.yaml").read_text())
    assert tester["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
