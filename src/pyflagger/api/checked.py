"""Rules for single fields: addresses, patterns, headers, cookies, times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pyflagger.api import durations, shapes
from pyflagger.api.analysis import ABORTS, DEADLINE, DEFAULT, DEFAULTS, GATES, OPENS, MetricComparison
from pyflagger.api.canary import Analysis, Match, StringMatch
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.rule import Context, wrong

BUILTIN = ("request-success-rate", "request-duration")
"""The metrics that need no query."""

WAYS = ("exact", "prefix", "suffix", "regex")
TIMES = {"spec.service.timeout": "timeout", "spec.service.backendTimeout": "backend_timeout"}


def _analysis(context: Context) -> Analysis:
    return context.canary.spec.analysis or Analysis()


def _addresses(context: Context) -> Iterator[Problem]:
    """Reject addresses that no request can reach: they would look like a closed gate or a failing check."""
    fields = {"spec.metricsServer": context.canary.spec.metrics_server}
    fields |= {f"spec.analysis.webhooks[{at}].url": hook.url for at, hook in enumerate(_analysis(context).webhooks)}
    gates = {
        f"spec.analysis.webhooks[{at}].url"
        for at, hook in enumerate(_analysis(context).webhooks)
        if hook.asks_nobody and hook.type.startswith("confirm-")
    }
    for path, text in fields.items():
        if text and path not in gates and (what := shapes.url(text)):
            yield wrong(path, what, f"Write {path} like http://host:port/path.")


def _matches(context: Context) -> Iterator[Problem]:
    """Check the conditions of A/B tests and of testers."""
    analysis = _analysis(context)
    for field, matches in (("match", analysis.match), ("testers", analysis.testers)):
        yield from _conditions(f"spec.analysis.{field}", matches)


def _conditions(where: str, matches: Sequence[Match]) -> Iterator[Problem]:
    for at, match in enumerate(matches):
        if not (match.headers or match.query_params or match.source_labels):
            yield wrong(f"{where}[{at}]", "has no condition, so it would match every request", "Add a header.")
        for name, how in match.headers.items():
            path = f"{where}[{at}].headers.{name}"
            if what := shapes.token(name):
                yield wrong(path, what)
            yield from _text(path, how)
        for name, how in match.query_params.items():
            yield from _text(f"{where}[{at}].queryParams.{name}", how)


def _text(path: str, how: StringMatch) -> Iterator[Problem]:
    given = [way for way in WAYS if getattr(how, way) is not None]
    if len(given) > 1:
        yield wrong(path, f"sets {' and '.join(given)}, but only one is allowed", "Keep one of them.")
    if how.regex and (what := shapes.regex(how.regex)):
        yield wrong(f"{path}.regex", what)


def _cookies(context: Context) -> Iterator[Problem]:
    affinity = _analysis(context).session_affinity
    if affinity is None:
        return
    for field, name in (("cookieName", affinity.cookie_name), ("primaryCookieName", affinity.primary_cookie_name)):
        if name and (what := shapes.token(name)):
            yield wrong(f"spec.analysis.sessionAffinity.{field}", what)


def _times(context: Context) -> Iterator[Problem]:
    service = context.canary.spec.service
    if service is None:
        return
    fields = {path: getattr(service, name) for path, name in TIMES.items()}
    if service.retries:
        fields["spec.service.retries.perTryTimeout"] = service.retries.per_try_timeout
    for path, text in fields.items():
        if text and not _is_time(text):
            yield wrong(path, f"is {text!r}, which is not a duration such as 15s or 1m30s")
    if service.retries and service.retries.attempts < 0:
        yield wrong("spec.service.retries.attempts", f"is {service.retries.attempts}, but must be 0 or more")


def _is_time(text: str) -> bool:
    try:
        return durations.parse(text) >= 0
    except ValueError:
        return False


def _metrics(context: Context) -> Iterator[Problem]:
    """Reject a metric without a query: it would fail every check."""
    for at, metric in enumerate(_analysis(context).metrics):
        if metric.name not in BUILTIN and not metric.query and metric.template_ref is None:
            text = f"spec.analysis.metrics[{at}] ({metric.name}) has no query"
            todo = f"Add a query or a templateRef, or use one of the built-in metrics: {', '.join(BUILTIN)}."
            yield Problem(Fault.MANIFEST, text, todo, f"spec.analysis.metrics[{at}]")


def _policies(context: Context) -> Iterator[Problem]:
    """Reject policies of metrics that have no effect, or that lack what they need."""
    for at, metric in enumerate(_analysis(context).metrics):
        path, asks = f"spec.analysis.metrics[{at}]", bool(metric.query) or metric.template_ref is not None
        for field, text in (("noDataAfter", metric.no_data_after), ("initialDelay", metric.initial_delay)):
            if text and not _is_time(text):
                yield wrong(f"{path}.{field}", f"is {text!r}, which is not a duration such as 30s or 5m")
        if metric.no_data_after and metric.no_data == "fail":
            text = "has no effect, because an answer without values fails the check at once"
            yield wrong(f"{path}.noDataAfter", text, "Set noData to wait or pass, or remove noDataAfter.")
        if metric.min_samples and asks and not metric.samples_query:
            text = "needs samplesQuery: flagger counts only the requests of built-in metrics itself"
            yield wrong(f"{path}.minSamples", text, "Add a samplesQuery that returns the number of samples.")
        if metric.samples_query and not (metric.min_samples and asks):
            text = "has no effect without minSamples" if asks else "has no effect on a built-in metric"
            yield wrong(f"{path}.samplesQuery", text, "Remove it.")


def _comparisons(context: Context) -> Iterator[Problem]:
    """Reject comparisons that no release can make."""
    analysis = _analysis(context)
    compared = [(f"spec.analysis.metrics[{at}]", each) for at, each in enumerate(analysis.metrics) if each.compare]
    for path, metric in compared:
        if metric.name not in BUILTIN:
            todo = f"Use {' or '.join(BUILTIN)}, or remove compare."
            yield wrong(f"{path}.compare", "is only possible for a built-in metric", todo)
        yield from _units(f"{path}.compare", metric.compare)
    names = [metric.name for _, metric in compared]
    for at, (path, metric) in enumerate(compared):
        if metric.name in names[:at]:
            yield wrong(f"{path}.compare", f"is set twice for {metric.name}", "Remove one of them.")
    if compared and (analysis.iterations > 0 or analysis.match):
        text = "needs visitors on both versions by lot: a release by weights, without match and iterations"
        yield wrong(f"{compared[0][0]}.compare", text, "Use stepWeight or stepWeights, or remove compare.")
    if analysis.compare and not compared:
        yield wrong("spec.analysis.compare", "has no effect, because no metric has compare", "Remove it.")


def _bake(context: Context) -> Iterator[Problem]:
    """Reject a bake that can judge or undo nothing."""
    analysis, kind = _analysis(context), context.canary.spec.target_ref.kind
    if analysis.bake is None:
        return
    text, path = analysis.bake.duration, "spec.analysis.bake"
    if not (_is_time(text) and durations.parse(text) > 0):
        yield wrong(f"{path}.duration", f"is {text!r}, which is not a duration such as 30s or 5m")
    if not analysis.metrics:
        yield wrong(path, "has nothing to judge by", "Add metrics, or remove bake.")
    if kind not in ("Deployment", "DaemonSet"):
        yield wrong(path, f"cannot undo a release of a {kind}", "Remove bake, or use a Deployment or a DaemonSet.")


def _units(path: str, compare: MetricComparison | None) -> Iterator[Problem]:
    fields = (("unit", compare.unit, 1.0), ("warmUp", compare.warm_up, 0.0)) if compare else ()
    for field, text, least in fields:
        if text and not (_is_time(text) and durations.parse(text) >= least):
            shortest = f" of {durations.show(least)} or more" if least else ""
            yield wrong(f"{path}.{field}", f"is {text!r}, which is not a duration{shortest} such as 30s")


def _deadlines(context: Context) -> Iterator[Problem]:
    """Reject a deadline of a gate that has no default, and a default without a deadline.

    Other hooks may have entries of these names, which flagger only sends. So may a gate: a `default` of another value.
    """
    for at, hook in enumerate(_analysis(context).webhooks):
        path, given = f"spec.analysis.webhooks[{at}].metadata", hook.metadata
        if hook.type not in GATES:
            continue
        if DEADLINE not in given:
            if given.get(DEFAULT) in DEFAULTS:
                yield wrong(f"{path}.{DEFAULT}", f"has no effect without {DEADLINE}", f"Add {DEADLINE}, or remove it.")
            continue
        if not _is_time(given[DEADLINE]) or not durations.parse(given[DEADLINE]):
            yield wrong(f"{path}.{DEADLINE}", f"is {given[DEADLINE]!r}, which is not a duration such as 30m or 2h")
        if given.get(DEFAULT) not in DEFAULTS:
            what = f"is {given[DEFAULT]!r}, but" if DEFAULT in given else "is missing, but"
            todo = f"Write {ABORTS} to end the release at the deadline, or {OPENS} to let it go on."
            yield wrong(f"{path}.{DEFAULT}", f"{what} a gate with a {DEADLINE} needs {' or '.join(DEFAULTS)}", todo)


RULES: tuple[Callable[[Context], Iterator[Problem]], ...] = (
    _addresses,
    _matches,
    _cookies,
    _times,
    _metrics,
    _policies,
    _comparisons,
    _bake,
    _deadlines,
)
