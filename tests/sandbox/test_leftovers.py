"""What a killed sandbox left behind is removed, and nothing else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pyflagger_sandbox import leftovers

LATER = 4_000_000_000.0


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of temporary files of our own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_is_nobody_s_goes(temporary: Path) -> None:
    """Folders with what is in them, and files."""
    (temporary / "flagger-traefik-abc").mkdir()
    (temporary / "flagger-traefik-abc" / "traefik.log").write_text("x")
    (temporary / "flagger-sandbox-abc.kubeconfig").write_text("x")
    assert len(leftovers.sweep(lambda: LATER)) == 2
    assert not list(temporary.iterdir())


def test_what_is_somebody_s_stays(temporary: Path) -> None:
    """Of a living sandbox, of another program, a link to elsewhere, and what was made just now."""
    folder, file = leftovers.folder("sandbox"), leftovers.file("sandbox", ".kubeconfig")
    (temporary / "flagger-other-abc").mkdir()
    (temporary / "elsewhere").mkdir()
    (temporary / "flagger-sandbox-link").symlink_to(temporary / "elsewhere")
    assert leftovers.sweep(lambda: LATER) == []
    os.close(folder.lock)
    young = folder.path.stat().st_mtime + 1
    assert leftovers.sweep(lambda: young) == []
    assert leftovers.sweep(lambda: LATER) == [folder.path]
    assert file.path.exists() and (temporary / "elsewhere").exists()
    file.remove()
    assert not file.path.exists()
