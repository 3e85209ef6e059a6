"""Reads manifests: every object with its file and line. Called by `flagger lint`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pyflagger.objects import Obj

SUFFIXES = (".yaml", ".yml", ".json")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Found:
    """One object, its file, and its YAML node."""

    file: str
    obj: Obj
    node: yaml.Node

    @property
    def name(self) -> str:
        """`Kind namespace/name`."""
        meta = self.obj.get("metadata")
        known = meta if isinstance(meta, dict) else {}
        return f"{self.obj.get('kind')} {known.get('namespace') or 'default'}/{known.get('name', '?')}"

    def line(self, path: str) -> int:
        """The line of a path such as `spec.analysis.webhooks[0].url`, or of its nearest parent that exists."""
        node: Any = self.node
        at = int(node.start_mark.line)
        for name, index in _STEP.findall(path):
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == name), None)
                if pair is None:
                    break
                at, node = int(pair[0].start_mark.line), pair[1]
            elif isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
                node = node.value[int(index)]
                at = int(node.start_mark.line)
            else:
                break
        return at + 1


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be read, or the rest of one."""

    file: str
    text: str
    line: int = 1


def read(places: Iterable[str]) -> Iterator[Found | Unreadable]:
    """Every object in some files and directories, with lists expanded. Continues after unreadable files."""
    for place in places:
        path = Path(place)
        if place == "-" or not path.is_dir():
            yield from _read(place)
            continue
        files = sorted(found for found in path.rglob("*") if found.suffix in SUFFIXES and found.is_file())
        for file in files:
            yield from _read(str(file))
        if not files:
            yield Unreadable(place, f"no file of this directory ends in {', '.join(SUFFIXES)}")


def _read(file: str) -> Iterator[Found | Unreadable]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        yield from _objects(file, text)
    except OSError as error:
        yield Unreadable(file, error.strerror or str(error))
    except UnicodeDecodeError:
        yield Unreadable(file, "is not UTF-8 text")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        yield Unreadable(file, f"is not YAML: {error.problem or error.context} (line {line})", line)
    except (yaml.YAMLError, ValueError) as error:
        yield Unreadable(file, f"is not YAML: {error}")
    except RecursionError:
        yield Unreadable(file, "is nested too deeply")


def _objects(file: str, text: str) -> Iterator[Found]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield from _apart(file, loader.construct_document(node), node)
    finally:
        loader.dispose()


def _apart(file: str, doc: Any, node: Any) -> Iterator[Found]:
    if not isinstance(doc, dict):
        return
    items = doc.get("items")
    if not (str(doc.get("kind", "")).endswith("List") and isinstance(items, list)):
        yield Found(file, doc, node)
        return
    nodes = next(value for key, value in node.value if key.value == "items").value
    yield from (Found(file, item, of) for item, of in zip(items, nodes, strict=False) if isinstance(item, dict))
