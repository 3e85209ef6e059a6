"""The objects that each Canary claims, and conflicts with older Canaries (`core.rivals`).

The controller adds every Canary, so that a newer one is blocked even before the older one is reconciled.
`operator.observe` and `flagger lint` use this.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.api.facts import Problem
from pyflagger.core import rivals
from pyflagger.core.rivals import HOSTS, Born, Claim, Claimed, claimed
from pyflagger.objects import Create, Key, Obj, Ref
from pyflagger.operator.observe.compiled import CompiledCanary, Settings, compile_canary, settings_of, templates_of
from pyflagger.operator.options import Options
from pyflagger.plugins import PluginFailed
from pyflagger.routing.entrances import entrances
from pyflagger.routing.ingresses import INGRESSES


class Rivals:
    """All claims. An invalid Canary writes nothing: it keeps its earlier claims, or else claims only its target."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or settings_of(Options())
        self._claims: rivals.Rivals[Key] = rivals.Rivals()
        self._valid: dict[Key, dict[Claimed, str]] = {}
        """The claims of each Canary by its last valid spec."""
        self._seen: dict[Key, tuple[object, ...]] = {}

    def put(self, key: Key, raw: Obj) -> frozenset[Key]:
        """Add or update a Canary. Returns the other Canaries that this may affect.

        If a plugin fails here, the Canary keeps its claims until it changes again. The reconciliation meets the same
        failure and reports it.
        """
        begun = bool((raw.get("status") or {}).get("phase"))
        born = Born(str(raw["metadata"].get("creationTimestamp", "")), not begun, key.name, key.namespace)
        seen = (raw.get("spec"), born)
        if self._seen.get(key) == seen:
            return frozenset()
        self._seen[key] = seen
        try:
            compiled = compile_canary(raw, None, self._settings)
        except PluginFailed:
            return frozenset()
        if not compiled.problems:
            made = {claimed(ref): field for ref, field in _written(compiled)}
            self._valid[key] = made | dict.fromkeys(_entrances(compiled, self._settings), HOSTS)
        target = claimed(compiled.target)
        fields = {target: "spec.targetRef", **self._valid.get(key, {})}
        return self._claims.put(key, Claim(born, target, fields))

    def drop(self, key: Key) -> frozenset[Key]:
        """Remove a Canary. Returns the other Canaries that this may affect."""
        self._valid.pop(key, None)
        self._seen.pop(key, None)
        return self._claims.drop(key)

    def problem(self, key: Key) -> Problem | None:
        """The conflict that blocks this Canary: an older one claims the same object. None if there is none."""
        return self._claims.problem(key)


def _written(compiled: CompiledCanary) -> Iterator[tuple[Ref, str]]:
    """The objects that a Canary writes, with the field that determines the name. Canaries may share an Ingress."""
    read = _only_read(compiled)
    for ref in compiled.others:
        if ref not in read and ref.kind != INGRESSES.kind:
            yield ref, "spec.routeRef" if _is_named(compiled, ref) else "spec.service.name"
    yield from ((ref, "spec.autoscalerRef.name") for ref in (compiled.autoscaler, compiled.primary_autoscaler) if ref)
    yield from ((ref, "spec.targetRef") for ref in (compiled.target, compiled.primary))


def _entrances(compiled: CompiledCanary, settings: Settings) -> Iterator[Claimed]:
    """The entrances of the Canary's routes, in the whole cluster.

    A router that fails claims none. The reconciliation meets the same failure and reports it.
    """
    if compiled.router is None:
        return
    try:
        made = compiled.router.reconcile(compiled.canary, dict.fromkeys(compiled.routes), settings.routing)
    except Exception:
        return
    for write in () if isinstance(made, Problem) else made:
        if isinstance(write, Create):
            group = write.obj["apiVersion"].rpartition("/")[0]
            yield from (Claimed("", group, kind, name) for kind, name in entrances(write.obj))


def _only_read(compiled: CompiledCanary) -> set[Ref]:
    """The objects that several canaries may read: MetricTemplates, an Upstream and a copied route.

    A Knative target has no Services.
    """
    upstream = compiled.canary.spec.upstream_ref
    read = {ref for _, ref in templates_of(compiled.canary) if ref}
    read |= {ref for ref in compiled.others if upstream and (ref.kind, ref.name) == ("Upstream", upstream.name)}
    if not compiled.capabilities.adopt:
        read |= {ref for ref in compiled.others if _is_named(compiled, ref)}
    if compiled.target.kind == "Service" and compiled.target.api_version != "v1":
        read |= {ref for ref in compiled.others if (ref.api_version, ref.kind) == ("v1", "Service")}
    return read


def _is_named(compiled: CompiledCanary, ref: Ref) -> bool:
    route = compiled.canary.spec.route_ref
    return route is not None and (ref.kind, ref.name) == (route.kind or ref.kind, route.name)
