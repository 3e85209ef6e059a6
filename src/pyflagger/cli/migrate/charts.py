"""Which version of Flagger's charts GitOps controllers ask for. Our charts have the version of pyflagger instead.

Reads HelmReleases and OCIRepositories of Flux, and Applications of Argo CD, in clusters that serve these kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pyflagger import __version__
from pyflagger.cli.migrate.findings import Fate, Finding
from pyflagger.kube.client import Client
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.objects import Obj

CHARTS = frozenset({"flagger", "loadtester"})
NEWEST = frozenset({"", "*"})
"""Versions that any chart has."""

TOLD = (
    "asks for version {version} of the chart {chart}, by Flagger's numbers. The chart of pyflagger has version {ours}. "
    "Change the version together with the repository, or no chart is found"
)


class Asked(NamedTuple):
    """A chart and the version, or range of versions, that an object asks for."""

    chart: str
    version: str


def _helm_release(spec: Mapping[str, Any]) -> Iterator[Asked]:
    held = (spec.get("chart") or {}).get("spec") or {}
    yield Asked(str(held.get("chart", "")), str(held.get("version") or ""))


def _oci_repository(spec: Mapping[str, Any]) -> Iterator[Asked]:
    ref = spec.get("ref") or {}
    yield Asked(str(spec.get("url", "")).rpartition("/")[2], str(ref.get("semver") or ref.get("tag") or ""))


def _application(spec: Mapping[str, Any]) -> Iterator[Asked]:
    for source in (spec.get("source") or {}, *(spec.get("sources") or ())):
        yield Asked(str(source.get("chart") or ""), str(source.get("targetRevision") or ""))


class Kind(NamedTuple):
    """A kind whose objects ask for charts."""

    group: str
    plural: str
    name: str
    asked: Callable[[Mapping[str, Any]], Iterator[Asked]]


KINDS = (
    Kind("helm.toolkit.fluxcd.io", "helmreleases", "HelmRelease", _helm_release),
    Kind("source.toolkit.fluxcd.io", "ocirepositories", "OCIRepository", _oci_repository),
    Kind("argoproj.io", "applications", "Application", _application),
)


async def versions(client: Client) -> list[Finding]:
    """A finding for each object that asks for a version of Flagger's charts. Raises ApiError."""
    served = {group["name"]: group for group in (await client.call("GET", "/apis")).get("groups", ())}
    told: list[Finding] = []
    for kind in KINDS:
        try:
            objects = await _listed(client, kind, served.get(kind.group) or {})
        except Forbidden as error:
            told.append(Finding(Fate.UNKNOWN, "rights", str(error)))
        else:
            told += [finding for obj in objects for finding in _judged(kind, obj)]
    return told


async def _listed(client: Client, kind: Kind, group: Mapping[str, Any]) -> list[Obj]:
    """All objects of a kind, in the first version that serves it. Without the kind, none. Raises ApiError."""
    for version in group.get("versions", ()):
        try:
            return list((await client.call("GET", f"/apis/{version['groupVersion']}/{kind.plural}"))["items"])
        except NotFound:
            continue
    return []


def _judged(kind: Kind, obj: Obj) -> Iterator[Finding]:
    meta = obj["metadata"]
    for chart, version in kind.asked(obj.get("spec") or {}):
        if chart in CHARTS and version not in NEWEST:
            text = TOLD.format(version=version, chart=chart, ours=__version__)
            yield Finding(Fate.CHANGED, f"{kind.name} {meta['namespace']}/{meta['name']}", text)
