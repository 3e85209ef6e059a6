"""`flagger lint`: checks manifests before they reach a cluster.

Needs no cluster. One run reports what an API server would reject (`admission`), what the operator would reject, and
what hardly works as intended. Objects of other kinds are checked if a Canary refers to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from pyflagger.alerts.manifest import provider_problems
from pyflagger.api import defaults, names
from pyflagger.api.canary import AlertProvider, Canary, Metric, MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import Invalid, parse_alert_provider, parse_canary, parse_metric_template
from pyflagger.api.selectors import Selector
from pyflagger.api.validate import validate
from pyflagger.api.verbatim import misshapen
from pyflagger.cli import foreseeing
from pyflagger.cli.admission import refused
from pyflagger.cli.manifests import Found, Unreadable, read
from pyflagger.cli.people import Words, call
from pyflagger.cli.providers import Provider
from pyflagger.core.lint import lint
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import Outlook
from pyflagger.foresight.remarks import remarks
from pyflagger.metrics.manifest import metric_problems, template_problems
from pyflagger.objects import Key, Obj, Ref, ref_of
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.observe.neighbours import mixed, sharing
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.options import Options
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.routing.ingresses import INGRESSES, led_to
from pyflagger.routing.registry import known_providers, router_for
from pyflagger.routing.rehearsal import unsayable
from pyflagger.workloads.listening import takeover
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.registry import workload_for

PARSERS: Mapping[str, Callable[[Obj], Any]] = {
    "Canary": parse_canary,
    "MetricTemplate": parse_metric_template,
    "AlertProvider": parse_alert_provider,
}
DEFAULT_PROVIDER = "istio"
"""The provider of a Canary that names none: the default of -mesh-provider of `flagger run`."""

INTERVAL_FLOOR_SECONDS = 10.0
ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. `object` is `Kind namespace/name`, empty for an unreadable file."""

    level: str
    file: str
    line: int
    object: str
    path: str
    text: str
    todo: str = ""

    @property
    def message(self) -> str:
        """The text, after its path unless it contains the path, and what to do, as sentences."""
        path = f"{self.path}: " if self.path and self.path not in self.text else ""
        text = f"{path}{self.text}"
        if not self.todo:
            return text
        return f"{text}{'' if text.endswith(('.', '!', '?')) else '.'} {self.todo}"


class Files:
    """The objects of all files, indexed by kind, namespace and name."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._known = {self._key(one.obj): one.obj for one in found if isinstance(one.obj.get("metadata"), dict)}

    @staticmethod
    def _key(obj: Obj) -> tuple[str, str, str]:
        meta = obj["metadata"]
        return str(obj.get("kind")), str(meta.get("namespace") or ""), str(meta.get("name"))

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """An object in any version. An object without a namespace matches every namespace."""
        return self._known.get((kind, namespace, name)) or self._known.get((kind, "", name))

    def around(self, namespace: str) -> list[Obj]:
        """All objects; those without a namespace get this one."""
        return [
            {**obj, "metadata": {**obj["metadata"], "namespace": space or namespace}}
            for (_, space, _), obj in self._known.items()
        ]


def findings(found: Sequence[Found], provider: str = DEFAULT_PROVIDER) -> Iterator[Finding]:
    """All problems of some objects, errors before warnings for each object."""
    files, met = Files(found), dict(_met(found, provider))
    for at, one in enumerate(found):
        told: dict[str, Problem] = {}
        for problem in (*met.get(at, ()), *_ours(one.obj, files, provider), *refused(one.obj)):
            if not any(problem.path and _same(problem.path, path) for path in told):
                told[problem.path or problem.text] = problem
        yield from (_finding(ERROR, one, problem) for problem in told.values())
        yield from (_finding(WARNING, one, problem) for problem in _warnings(one.obj, files, provider))


def _same(one: str, two: str) -> bool:
    """Whether the second path equals the first or contains it."""
    return one == two or (one.startswith((f"{two}.", f"{two}[")) and two.count(".") > 1)


def _finding(level: str, one: Found, problem: Problem) -> Finding:
    return Finding(level, one.file, one.line(problem.path), one.name, problem.path, problem.text, problem.todo)


def _parsed(obj: Obj) -> Any:
    """The parsed object of one of flagger's kinds, or its problems; None for another kind."""
    parser = PARSERS.get(str(obj.get("kind")))
    if parser is None or not str(obj.get("apiVersion", "")).startswith(f"{names.GROUP}/"):
        return None
    try:
        return parser(obj)
    except Invalid as invalid:
        return invalid.problems


def _met(found: Sequence[Found], provider: str) -> Iterator[tuple[int, tuple[Problem, ...]]]:
    """Canaries that claim an object of another Canary in the files, which the operator would block, by place."""
    rivals, known = Rivals(settings_of(Options(mesh_provider=provider))), {}
    for at, one in enumerate(found):
        canary = _parsed(one.obj)
        if isinstance(canary, Canary):
            key = Key(canary.metadata.namespace or "default", canary.metadata.name)
            known[key] = at
            rivals.put(key, {**one.obj, "metadata": {**one.obj["metadata"], "namespace": key.namespace}})
    for key, at in known.items():
        if (problem := rivals.problem(key)) is not None:
            yield at, (problem,)


# Errors -------------------------------------------------------------------------------------------------------------


def _ours(obj: Obj, files: Files, provider: str) -> Iterator[Problem]:
    """Problems that would make the operator reject a Canary."""
    parsed = _parsed(obj)
    if isinstance(parsed, tuple):
        yield from parsed
    elif isinstance(parsed, Canary):
        yield from _canary(parsed, files, provider)
    elif isinstance(parsed, MetricTemplate):
        yield from template_problems(parsed)
    elif isinstance(parsed, AlertProvider):
        yield from provider_problems(parsed)


def _provider(canary: Canary, default: str) -> str:
    return names.resolve_provider(canary.spec.provider or default)


def _canary(canary: Canary, files: Files, default: str) -> Iterator[Problem]:
    provider = _provider(canary, default)
    router = router_for(provider)
    if isinstance(router, Problem):
        yield router
        return
    yield from validate(canary, provider=provider, capabilities=router.capabilities, known_providers=known_providers())
    yield from _target(canary, files)
    if not any(misshapen(canary, provider, router.capabilities)):
        yield from _routes(canary, files, router)
    for at, metric in enumerate(canary.spec.analysis.metrics if canary.spec.analysis else ()):
        path = f"spec.analysis.metrics[{at}]"
        yield from (
            replace(problem, path=problem.path or path)
            for problem in metric_problems(canary, metric, _template(canary, metric, files))
        )


def _template(canary: Canary, metric: Metric, files: Files) -> MetricTemplate | None:
    ref = metric.template_ref
    found = files.find("MetricTemplate", ref.namespace or canary.metadata.namespace, ref.name) if ref else None
    parsed = _parsed(found) if found else None
    return parsed if isinstance(parsed, MetricTemplate) else None


def _target(canary: Canary, files: Files) -> Iterator[Problem]:
    """Problems of the target's kind, and of the target itself if it is in the files."""
    ref = canary.spec.target_ref
    workload = workload_for(ref)
    if isinstance(workload, Problem):
        yield workload
        return
    target = files.find(ref.kind, canary.metadata.namespace, ref.name)
    if target is None or target.get("apiVersion") != ref.api_version or refused(target):
        return
    target = {**target, "metadata": {**target["metadata"], "namespace": canary.metadata.namespace}}
    selector = workload.selector(canary, target, None, WorkloadOptions())
    for told in (selector, workload.refuses(target)):
        # A problem of the cluster, such as a Knative Service without a Revision, says nothing about a manifest.
        if isinstance(told, Problem) and told.fault is not Fault.CLUSTER:
            yield replace(told, path="spec.targetRef")
    if isinstance(selector, Selector):
        around = files.around(canary.metadata.namespace)
        others = [obj for obj in around if obj.get("kind") in ("Deployment", "DaemonSet")]
        both = (selector.canary, selector.primary)
        yield from (mixed(ref_of(target), selector, other) for other in sharing(ref_of(target), both, others))
    pods, service = workload.listening(target), canary.spec.service
    live = files.find("Service", canary.metadata.namespace, names.apex(canary))
    if pods and service and (problem := takeover(service, pods, live, first=True)):
        yield problem


def _routes(canary: Canary, files: Files, router: Router) -> Iterator[Problem]:
    """Problems of the routes, checked against the user's own objects if they are in the files."""
    options = RoutingOptions()
    live: dict[Ref, Obj | None] = {}
    absent = {"spec.routeRef", "spec.upstreamRef"}
    for ref in router.reads(canary, options):
        live[ref] = files.find(ref.kind, ref.namespace, ref.name)
        if ref.kind == INGRESSES.kind and live[ref] is None and not ref.name.endswith("-canary"):
            live[ref] = _stand_in(canary, ref)
    made = router.reconcile(canary, live, options)
    if isinstance(made, Problem):
        if made.path and made.path not in absent:
            yield made
        return
    yield from unsayable(router, canary, live, options)


def _stand_in(canary: Canary, ref: Ref) -> Obj:
    """Problems of the user's Ingress."""
    port = {"number": canary.spec.service.port if canary.spec.service else 80}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"port": port}}}
    rules = [{"http": {"paths": [led_to(path, names.apex(canary))]}}]
    meta = {"name": ref.name, "namespace": ref.namespace}
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta, "spec": {"rules": rules}}


# Warnings -----------------------------------------------------------------------------------------------------------


def _warnings(obj: Obj, files: Files, default: str) -> Iterator[Problem]:
    canary = _parsed(obj)
    if not isinstance(canary, Canary):
        return
    provider = _provider(canary, default)
    router = router_for(provider)
    if not isinstance(router, Problem):
        interval = defaults.interval(canary, floor=INTERVAL_FLOOR_SECONDS)
        yield from lint(canary, provider=provider, capabilities=router.capabilities, interval=interval)
    yield from _load_misses_the_ingress(canary)


def _load_misses_the_ingress(canary: Canary) -> Iterator[Problem]:
    """Load tests that call the canary's Service directly: checks that query the ingress's series do not count them."""
    analysis, service = canary.spec.analysis, names.canary_service(canary)
    if analysis is None or canary.spec.ingress_ref is None:
        return
    if not any(metric.name in ("request-success-rate", "request-duration") for metric in analysis.metrics):
        return
    for hook in analysis.webhooks:
        command = hook.metadata.get("cmd", "")
        if "hey " in command and service in command:
            text = (
                f"webhook {hook.name} calls {service} directly, so the ingress does not count its requests; "
                "without visitors the checks find no values"
            )
            yield Problem(Fault.MANIFEST, text, "Call the ingress instead, with the host as a header.")


def outlooks(
    found: Iterable[Found], said: Iterable[Finding], provider: str, traffic: Traffic
) -> Iterator[tuple[Found, Canary, Outlook]]:
    """The releases of the Canaries without errors, at this traffic."""
    broken = {(each.file, each.object) for each in said if each.level == ERROR}
    for one in found:
        canary = _parsed(one.obj)
        if isinstance(canary, Canary) and (one.file, one.name) not in broken:
            outlook = foreseeing.foreseen(canary, traffic, _provider(canary, provider))
            if outlook:
                yield one, canary, outlook


# Output -------------------------------------------------------------------------------------------------------------


def _text(told: Iterable[Finding]) -> Iterator[str]:
    for each in told:
        level = "note: " if each.level == WARNING else ""
        about = f"{each.object}: " if each.object else ""
        yield f"{each.file}: {about}{level}{each.message}"


def _json(told: Iterable[Finding]) -> Iterator[str]:
    fields = ("level", "file", "line", "object", "path", "message")
    yield json.dumps([{field: getattr(each, field) for field in fields} for each in told], indent=2)


def _github(told: Iterable[Finding]) -> Iterator[str]:
    """Workflow commands: annotations at the lines of a pull request."""
    for each in told:
        about = f"{each.object}: " if each.object else ""
        text = f"{about}{each.message}".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        file = each.file.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
        yield f"::{each.level} file={file},line={each.line}::{text}"


FORMS: Mapping[str, Callable[[Iterable[Finding]], Iterator[str]]] = {"text": _text, "json": _json, "github": _github}


@click.command(cls=Words)
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", "form", type=click.Choice(tuple(FORMS)), default="text", help="output format")
@click.option(
    "--mesh-provider",
    type=Provider(),
    default=DEFAULT_PROVIDER,
    help="traffic provider of Canaries that name none, as the operator's -mesh-provider",
)
@foreseeing.options
def command(files: tuple[str, ...], form: str, mesh_provider: str, **given: float | None) -> int:
    """Check manifests before they reach a cluster.

    FILES are files, directories (all .yaml, .yml and .json below them) or `-` for standard input.

    With --traffic it also foresees the releases of each Canary: how long a good one takes, how likely a healthy one is
    rolled back, and a bad one promoted.

    Exit status: 0 if there are no errors (warnings do not count), 1 if there are errors or unreadable files, 2 if the
    command line is invalid.
    """
    stated = foreseeing.stated(given)
    entries = list(read(files))
    told = [Finding(ERROR, one.file, one.line, "", "", one.text) for one in entries if isinstance(one, Unreadable)]
    if form == "text":
        for each in told:
            click.echo(f"flagger lint: {each.file}: {each.message}", err=True)
    objects = [one for one in entries if isinstance(one, Found)]
    said = list(findings(objects, mesh_provider))
    seen = list(outlooks(objects, said, mesh_provider, stated[0])) if stated else []
    for one, canary, outlook in seen:
        said += [_finding(WARNING, one, problem) for problem in remarks(canary, outlook)]
    shown = said if form == "text" else [*told, *said]
    lines = [*FORMS[form](sorted(shown, key=lambda each: each.level))]
    if stated:
        figures = [foreseeing.Shown(one.file, one.line(""), one.name, outlook) for one, _, outlook in seen]
        lines = [*foreseeing.FORMS[form](lines, figures, stated[1])]
    for line in lines:
        click.echo(line)
    return 1 if any(each.level == ERROR for each in (*told, *said)) else 0


def main(argv: Sequence[str]) -> int:
    """Check files; see `command` for the exit status."""
    return call(command, argv, "flagger lint")
