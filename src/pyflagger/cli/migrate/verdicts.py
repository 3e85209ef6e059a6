"""What becomes of each Canary when this operator takes over, or when Flagger takes over from it.

Both follow from the operator's own observation and from the rules of `core`: nothing is decided here again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

import yaml

from pyflagger.api.canary import Phase
from pyflagger.cli import lint
from pyflagger.cli.manifests import Found as Manifest
from pyflagger.cli.migrate.findings import Fate, Finding
from pyflagger.core.revision import RevisionChange, configs_changed, idle_change, ours, running_change
from pyflagger.core.situation import Generated, Primary, Situation, Target
from pyflagger.objects import Key, Obj
from pyflagger.operator.observe.situation import Seen

IDLE = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING})
RUNNING = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
COMPLETING = frozenset({Phase.PROMOTING, Phase.FINALISING})
NOWHERE = yaml.ScalarNode("", "", yaml.Mark("", 0, 0, 0, None, 0))
"""The place of an object that comes from no file."""

UNREAD = "its objects could not be read in time. Check that you may list them, and run the command again"

PARTS: Mapping[str, str] = {
    "canary_service": "the Service of the canary",
    "primary_service": "the Service of the primary",
    "apex_service": "the Service that users call",
    "primary_workload": "the primary",
    "primary_autoscaler": "the autoscaler of the primary",
    "routing": "the route",
    "finalizer": "the finalizer of the Canary",
    "primary_configs": "copies of ConfigMaps and Secrets",
    "stale_configs": "unused copies of ConfigMaps and Secrets",
}
"""The generated objects, by their field in `Generated`."""


def over(seen: Mapping[Key, Seen | None]) -> Iterator[Finding]:
    """Findings about each Canary for the way to this operator."""
    for key, each in sorted(seen.items()):
        about = str(key)
        if each is None:
            yield Finding(Fate.UNKNOWN, about, UNREAD)
        else:
            yield from _over(about, each.situation)


def _over(about: str, situation: Situation) -> Iterator[Finding]:
    for problem in (*situation.problems, *situation.unread, *situation.unjudged):
        yield Finding(Fate.REFUSED, about, f"{problem.text}. {problem.todo}".strip())
    if not situation.problems:
        yield Finding(*_release(about, situation))
        yield from _writes(about, situation.generated)


def _release(about: str, situation: Situation) -> tuple[Fate, str, str]:
    """Whether a release starts, goes on or starts again."""
    phase = situation.canary.status.phase
    change = _change(situation)
    if phase in COMPLETING:
        return Fate.SAME, about, f"its promotion goes on ({phase})"
    if change is None:
        return Fate.CHANGED, about, f"it is initialized (phase {phase or 'empty'})"
    if phase in RUNNING:
        weight = situation.canary.status.canary_weight
        if change is RevisionChange.NEW:
            return Fate.RELEASED, about, "its release starts again: the target, a ConfigMap or a Secret changed"
        return Fate.SAME, about, f"its release goes on at weight {weight}, after one more interval there ({phase})"
    if change is RevisionChange.NEW and phase is not Phase.WAITING:
        return Fate.RELEASED, about, "a release starts: the target changed and no operator has released it"
    return Fate.SAME, about, f"no release starts ({phase})"


def _change(situation: Situation) -> RevisionChange | None:
    """The change of the target; None in a phase without a revision."""
    status, target, primary = situation.canary.status, situation.target, situation.primary
    if not isinstance(target, Target):
        return None
    matches = isinstance(primary, Primary) and primary.matches_target
    if status.phase in IDLE:
        return idle_change(status, target, matches)
    return running_change(status, target, matches) if status.phase in RUNNING else None


def _writes(about: str, generated: Generated) -> Iterator[Finding]:
    """The generated objects that flagger would write at once."""
    states = ((PARTS.get(field.name), getattr(generated, field.name)) for field in fields(generated))
    for what, state in states:
        if what is not None and state != "ok":
            yield Finding(Fate.CHANGED, about, f"flagger writes {what} ({state})")


def linted(manifests: Iterable[Obj], provider: str) -> Iterator[Finding]:
    """What `flagger lint` says about the objects of flagger's kinds."""
    found = [Manifest(_name(obj), obj, NOWHERE) for obj in manifests]
    for each in lint.findings(found, provider):
        fate = Fate.REFUSED if each.level == lint.ERROR else Fate.CHANGED
        yield Finding(fate, each.file, each.message)


def _name(obj: Obj) -> str:
    meta = obj["metadata"]
    name = str(Key(meta["namespace"], meta["name"]))
    return name if obj["kind"] == "Canary" else f"{obj['kind']} {name}"


# Back ---------------------------------------------------------------------------------------------------------------

WAIT = "Wait until it ends, or let Flagger start it again from weight 0"


def back(seen: Mapping[Key, Seen | None]) -> Iterator[tuple[Finding, Key | None]]:
    """A finding about each Canary for the way back, and its key if it has to be prepared."""
    for key, each in sorted(seen.items()):
        if each is None:
            yield Finding(Fate.UNKNOWN, str(key), UNREAD), None
            continue
        fate, text, prepare = _back(each.situation)
        yield Finding(fate, str(key), text), key if prepare else None
        yield from ((Finding(fate, str(key), text), None) for fate, text in _asked(each.situation))


def _asked(situation: Situation) -> Iterator[tuple[Fate, str]]:
    """What users asked for, which Flagger does not know."""
    canary = situation.canary
    hold, suspended = canary.status.hold, canary.spec.suspend
    if hold is not None and not suspended:
        yield Fate.RELEASED, f"paused by {hold.by}: {RESUMES}"
    for name, gate in sorted((canary.status.gates or {}).items()):
        if gate.state == "closed" and not suspended:
            yield Fate.CHANGED, f"gate {name}, closed by {gate.by}, opens when its url answers 200"
    hooks = canary.spec.analysis.webhooks if canary.spec.analysis else ()
    for hook in hooks:
        if hook.asks_nobody:
            yield Fate.CHANGED, f"gate {hook.name} stays closed: Flagger cannot call {hook.url}. Give it another url"


RESUMES = "Flagger knows no pause, and goes on. To hold the release, set spec.suspend to true before you start Flagger"


def _back(situation: Situation) -> tuple[Fate, str, bool]:
    status, target = situation.canary.status, situation.target
    wire = status.to_wire()
    if not isinstance(target, Target) or status.phase in (Phase.NEW, Phase.INITIALIZING):
        return Fate.SAME, "Flagger initializes it, and releases nothing", False
    if not ours(str(wire.get("lastAppliedSpec", ""))):
        return Fate.SAME, "Flagger finds its own hash, and goes on where this operator stopped", False
    if status.phase in RUNNING | COMPLETING:
        return Fate.RELEASED, f"its release is under way, and Flagger cannot recognize the revision. {WAIT}", False
    if status.phase is Phase.WAITING or target.revision != status.last_applied_spec or configs_changed(status, target):
        return Fate.RELEASED, "Flagger starts a release of the new revision, as this operator would", False
    if status.canary_weight > 0:
        return (
            Fate.RELEASED,
            "the canary serves users in place of a broken primary. Repair it with a new release",
            False,
        )
    return Fate.CHANGED, "its phase becomes Initializing: Flagger then records the revision and releases nothing", True
