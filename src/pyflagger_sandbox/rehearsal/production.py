"""From a script and objects to a play: which canary is which, and the operator's options. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyflagger import goflags
from pyflagger.api.canary import Canary, HookType
from pyflagger.objects import Key, Obj
from pyflagger.operator.options import Options, parse
from pyflagger_sandbox.rehearsal import casting
from pyflagger_sandbox.rehearsal.answers import Cast
from pyflagger_sandbox.rehearsal.casting import Cluster, Miscast
from pyflagger_sandbox.rehearsal.player import Play
from pyflagger_sandbox.rehearsal.recordings import Recording
from pyflagger_sandbox.rehearsal.script import Hook, Part, Rehearsal

OURS = ("-metrics-server=http://metrics.rehearsal.invalid", "-event-webhook=http://events.rehearsal.invalid")


def options(flags: Sequence[str]) -> Options:
    """The options of the operator. Raises Miscast for a flag that it does not have."""
    try:
        return parse([*flags, *OURS], {})
    except goflags.BadFlag as error:
        raise Miscast(f"operator: {error}") from None


def production(
    asked: Rehearsal,
    objects: Sequence[Obj],
    recordings: Mapping[str, Recording] | None = None,
    *,
    complete: bool = True,
) -> Play:
    """A play of a script on a cluster with these objects; `complete`: with those that are missing.

    `recordings`: those that the script names. Raises Miscast, Invalid.
    """
    chosen = options(asked.operator)
    made = casting.cluster(objects, chosen, complete=complete)
    parts: dict[Key, Part] = {}
    for at, part in enumerate(asked.canaries):
        key = _key(part.canary, made.canaries)
        if key in parts:
            raise Miscast(f"canaries[{at}].canary: Canary {_name(key)} has a part already")
        _check_names(part, made.canaries[key], f"canaries[{at}]." if len(asked.canaries) > 1 else "")
        parts[key] = part
    casts = {key: _cast(part, f"{asked.seed}/{key}", recordings or {}) for key, part in parts.items()}
    for key, part in parts.items():
        _unscripted(made, key, casts[key], part)
    return Play(made, chosen, parts, casts, asked.pods, asked.seed, asked.limit)


def _cast(part: Part, seed: str, recordings: Mapping[str, Recording]) -> Cast:
    recorded = recordings[part.recorded] if part.recorded else None
    return Cast(dict(part.series), dict(part.hooks), seed, part.traffic, recorded=recorded)


def _name(key: Key) -> str:
    return f"{key.namespace}/{key.name}"


def _key(name: str, known: Mapping[Key, Canary]) -> Key:
    """The canary of a part: `namespace/name`, a name, or the only one."""
    space, _, bare = name.rpartition("/")
    found = [key for key in known if (not bare or key.name == bare) and (not space or key.namespace == space)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(map(_name, known)) or "none"
    if not name:
        raise Miscast(f"canary: name the Canary of this part; the files have {there}")
    raise Miscast(f"canary: {'several are' if found else 'no Canary is'} named {name}; the files have {there}")


def _check_names(part: Part, canary: Canary, prefix: str) -> None:
    """Every series and hook of the script belongs to a metric or a webhook of the Canary."""
    analysis = canary.spec.analysis
    metrics = [metric.name for metric in analysis.metrics] if analysis else []
    hooks = [hook.name for hook in analysis.webhooks] if analysis else []
    for what, kind, known, given in (
        ("series", "metric", metrics, (part.series, *(step.series for step in part.steps))),
        ("hooks", "webhook", hooks, (part.hooks, *(step.hooks for step in part.steps))),
    ):
        for name in dict.fromkeys(name for each in given for name in each):
            if name not in known:
                named = ", ".join(dict.fromkeys(known)) or "none"
                raise Miscast(f"{prefix}{what}.{name}: the Canary has no {kind} of this name; it has {named}")


def _unscripted(made: Cluster, key: Key, cast: Cast, part: Part) -> None:
    """Answer webhooks that the script does not name: 200, which passes, or 403 for those whose 200 rolls back."""
    analysis = made.canaries[key].spec.analysis
    scripted = {*part.hooks, *(name for step in part.steps for name in step.hooks)}
    for status, rolls_back, why in ((200, False, ""), (403, True, " (a 200 of theirs rolls the release back)")):
        hooks = analysis.webhooks if analysis else ()
        named = [hook.name for hook in hooks if (hook.type is HookType.ROLLBACK) is rolls_back]
        for name in named:
            cast.hooks.setdefault(name, Hook(answers=(status,)))
        if silent := [name for name in dict.fromkeys(named) if name not in scripted]:
            made.notes.append(f"hooks of {_name(key)} that always answer {status}{why}: {', '.join(silent)}")
