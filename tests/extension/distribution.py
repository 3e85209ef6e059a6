"""A distribution as pip would have installed it: modules and their metadata in a folder on the path."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from pyflagger import plugins

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin"


def install(folder: Path, patch: pytest.MonkeyPatch, source: Path = EXAMPLE, **modules: str) -> None:
    """Install a project; `modules` are more modules by name, with their text. Plugins are looked for anew."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    for module in source.glob("*.py"):
        shutil.copy(module, folder)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["pyflagger.routers"] | {name: f"{name}:Router" for name in modules}
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[pyflagger.routers]\n{lines}\n")
    patch.syspath_prepend(str(folder))
    forget()


def forget() -> None:
    """Look for plugins anew."""
    plugins.installed.cache_clear()
    plugins.load.cache_clear()
