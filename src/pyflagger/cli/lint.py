"""`flagger lint FILE…`: manifests checked before they reach a cluster.

Every problem of our three kinds with its path, and what two objects in the same files say against each other. Needs no
cluster; objects of other kinds are only looked at where a Canary names them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from pyflagger.api import defaults, names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import Invalid, parse_alert_provider, parse_canary, parse_metric_template
from pyflagger.api.selectors import Selector
from pyflagger.api.validate import validate
from pyflagger.cli.people import Words, call
from pyflagger.core.lint import lint
from pyflagger.objects import Obj, ref_of
from pyflagger.operator.desk import Key
from pyflagger.operator.neighbours import mixed, sharing
from pyflagger.operator.options import Options
from pyflagger.operator.plan import settings_of
from pyflagger.operator.rivals import Rivals
from pyflagger.routing.ingresses import port_mismatch
from pyflagger.routing.registry import known_providers, router_for
from pyflagger.workloads.base import Workload
from pyflagger.workloads.listening import takeover
from pyflagger.workloads.options import Options as WorkloadOptions
from pyflagger.workloads.registry import workload_for

PARSERS: Mapping[str, Callable[[Obj], Any]] = {
    "Canary": parse_canary,
    "MetricTemplate": parse_metric_template,
    "AlertProvider": parse_alert_provider,
}
DEFAULT_PROVIDER = "nginx"
"""Taken for a Canary that names none: the operator's own default is not known here."""

INTERVAL_FLOOR_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """One object and the file that it is in."""

    file: str
    obj: Obj

    @property
    def label(self) -> str:
        """`file: Kind namespace/name`."""
        meta = self.obj.get("metadata") or {}
        return f"{self.file}: {self.obj.get('kind')} {meta.get('namespace') or 'default'}/{meta.get('name', '?')}"


def read(files: Iterable[str]) -> Iterator[Found]:
    """Every object in the files, lists taken apart. Raises OSError, yaml.YAMLError."""
    for file in files:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        for doc in yaml.safe_load_all(text):
            if isinstance(doc, dict):
                items = doc.get("items") if str(doc.get("kind", "")).endswith("List") else [doc]
                yield from (Found(file, item) for item in items or () if isinstance(item, dict))


def problems(found: Sequence[Found]) -> Iterator[str]:
    """A line for each thing that will not work."""
    yield from (f"{one.label}: {_told(problem)}" for one, problem in _met(found))
    for one in found:
        parser = PARSERS.get(str(one.obj.get("kind")))
        if parser is None or not str(one.obj.get("apiVersion", "")).startswith(f"{names.GROUP}/"):
            continue
        try:
            parsed = parser(one.obj)
        except Invalid as invalid:
            wrong: Iterable[Problem] = invalid.problems
        else:
            wrong = _semantic(parsed, found) if isinstance(parsed, Canary) else ()
        yield from (f"{one.label}: {_told(problem)}" for problem in wrong)


def _met(found: Sequence[Found]) -> Iterator[tuple[Found, Problem]]:
    """Canaries that claim what another one in the files has, as the operator would block them."""
    rivals, known = Rivals(settings_of(Options(mesh_provider=DEFAULT_PROVIDER))), {}
    for one in found:
        if one.obj.get("kind") != "Canary":
            continue
        try:
            meta = parse_canary(one.obj).metadata
        except Invalid:
            continue
        key = Key(meta.namespace or "default", meta.name)
        known[key] = one
        rivals.put(key, {**one.obj, "metadata": {**one.obj["metadata"], "namespace": key.namespace}})
    yield from ((one, problem) for key, one in known.items() if (problem := rivals.problem(key)) is not None)


def notes(found: Sequence[Found]) -> Iterator[str]:
    """A line for each thing that works, but hardly as meant."""
    for one in found:
        if one.obj.get("kind") != "Canary":
            continue
        try:
            canary = parse_canary(one.obj)
        except Invalid:
            continue
        router = router_for(_provider(canary))
        if not isinstance(router, Problem):
            interval = defaults.interval(canary, floor=INTERVAL_FLOOR_SECONDS)
            told = lint(canary, provider=_provider(canary), capabilities=router.capabilities, interval=interval)
            yield from (f"{one.label}: note: {_told(problem)}" for problem in told)
        yield from (f"{one.label}: note: {text}" for text in _load_misses_the_ingress(canary))


def _provider(canary: Canary) -> str:
    return names.resolve_provider(canary.spec.provider or DEFAULT_PROVIDER)


def _told(problem: Problem) -> str:
    path = f"{problem.path}: " if problem.path and problem.path not in problem.text else ""
    return f"{path}{problem.text} {problem.todo}".rstrip()


def _semantic(canary: Canary, found: Sequence[Found]) -> Iterator[Problem]:
    """What the operator would refuse, and what the Canary's Ingress, if it is in the files, says against it."""
    provider = _provider(canary)
    router = router_for(provider)
    if isinstance(router, Problem):
        yield router
        return
    yield from validate(canary, provider=provider, capabilities=router.capabilities, known_providers=known_providers())
    workload = workload_for(canary.spec.target_ref)
    if isinstance(workload, Problem):
        yield workload
    else:
        yield from _led_astray(canary, workload, found)
    reference = canary.spec.ingress_ref
    for one in found:
        meta = one.obj.get("metadata") or {}
        place = (meta.get("namespace") or canary.metadata.namespace, meta.get("name"))
        if reference and one.obj.get("kind") == "Ingress" and place == (canary.metadata.namespace, reference.name):
            mismatch = port_mismatch(canary, one.obj)
            if mismatch:
                yield mismatch


def _led_astray(canary: Canary, workload: Workload, found: Sequence[Found]) -> Iterator[Problem]:
    """What the target, if it is in the files, says against the Canary: labels that others share, ports it lacks."""
    space, ref, service = canary.metadata.namespace, canary.spec.target_ref, canary.spec.service
    there = [_placed(one.obj, space) for one in found if isinstance(one.obj.get("metadata"), dict)]
    by_name = {(obj.get("kind"), obj["metadata"].get("name")): obj for obj in there if _space(obj) == space}
    target, live = by_name.get((ref.kind, ref.name)), by_name.get(("Service", names.apex(canary)))
    if target is None:
        return
    selector = workload.selector(canary, target, None, WorkloadOptions())
    if isinstance(selector, Selector):
        others = [obj for obj in there if obj.get("kind") in ("Deployment", "DaemonSet")]
        both = (selector.canary, selector.primary)
        yield from (mixed(ref_of(target), selector, other) for other in sharing(ref_of(target), both, others))
    pods = workload.listening(target)
    if pods and service and (problem := takeover(service, pods, live, first=True)):
        yield problem


def _space(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace") or "")


def _placed(obj: Obj, space: str) -> Obj:
    """An object with its namespace; one that names none is applied where the Canary is."""
    return {**obj, "metadata": {**obj["metadata"], "namespace": _space(obj) or space}}


def _load_misses_the_ingress(canary: Canary) -> Iterator[str]:
    """Checks by the ingress's series see nothing of a load test that goes to the canary's Service directly."""
    analysis = canary.spec.analysis
    if analysis is None or canary.spec.ingress_ref is None:
        return
    builtin = any(metric.name in ("request-success-rate", "request-duration") for metric in analysis.metrics)
    for hook in analysis.webhooks:
        if builtin and "hey " in hook.metadata.get("cmd", "") and names.canary_service(canary) in hook.metadata["cmd"]:
            yield (
                f"webhook {hook.name} calls {names.canary_service(canary)} directly: the ingress does not count that; "
                "without visitors the checks will find no values"
            )


@click.command(cls=Words)
@click.argument("files", nargs=-1, required=True)
def command(files: tuple[str, ...]) -> int:
    """Check manifests before they reach a cluster. `-` reads standard input.

    The exit status is 1 when something will not work or a file cannot be read.
    """
    try:
        found = list(read(files))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        print(f"flagger lint: {error}", file=sys.stderr)
        return 1
    except RecursionError:
        print("flagger lint: nested deeper than any manifest is", file=sys.stderr)
        return 1
    wrong = list(problems(found))
    for line in (*wrong, *notes(found)):
        print(line)
    return 1 if wrong else 0


def main(argv: Sequence[str]) -> int:
    """Check files; 1 when something will not work or cannot be read, 2 when the command line is wrong."""
    return call(command, argv, "flagger lint")
