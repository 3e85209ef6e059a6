"""The objects of one look at a canary, in the form that `operator.observe` reads, and what could not be read.

`read` fills it, `picture` and `explain` use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pyflagger.clock import Clock
from pyflagger.core.decide import decide
from pyflagger.core.decision import Decision
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client
from pyflagger.kube.configs import Configs
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key, Obj, Ref, Resource
from pyflagger.operator.observe.compiled import CompiledCanary, Settings
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.state import State
from pyflagger.seeing.model import Missing


class Taken(Cache):
    """A cache of objects that were read once. It watches nothing."""

    def __init__(self, client: Client, clock: Clock) -> None:
        super().__init__(client, clock)
        self._found: dict[Ref, Obj | None] = {}
        self._refused: dict[Resource, NotFound | Forbidden] = {}

    def put(self, resource: Resource, ref: Ref, obj: Obj | None) -> None:
        """Add an object, None if it does not exist."""
        self._found[ref] = obj
        for listener in self._listeners:
            listener(ObjectChange(resource, ref, None, obj))

    def refuse(self, resource: Resource, error: NotFound | Forbidden) -> None:
        """Note that a kind cannot be read."""
        self._refused[resource] = error

    def read(self, ref: Ref) -> bool:
        """Whether it is known if the object exists."""
        return ref in self._found

    def get(self, ref: Ref) -> Obj | None:
        """The object, None if it does not exist or was not read."""
        return self._found.get(ref)

    def all(self) -> Iterator[Obj]:
        """All objects that were read and exist."""
        yield from (obj for obj in self._found.values() if obj is not None)

    def list(self, resource: Resource) -> Iterator[Obj]:
        """The objects of a kind that were read."""
        kind = (resource.api_version, resource.kind)
        yield from [obj for ref, obj in self._found.items() if obj is not None and ref[:2] == kind]

    def synced(self, resource: Resource) -> bool:
        """Every kind that is not refused counts as listed."""
        return resource not in self._refused

    def refusal(self, resource: Resource) -> NotFound | Forbidden | None:
        """Why the kind cannot be read."""
        return self._refused.get(resource)

    def follow(self, resource: Resource) -> NotFound | Forbidden | bool:
        """Whether the kind can be read, or why not."""
        return self._refused.get(resource) or True


class Eyes:
    """Observes one canary over objects that were read once.

    The data of ConfigMaps and Secrets is never read, so `settings` must have config tracking off.
    """

    def __init__(self, key: Key, client: Client, clock: Clock, settings: Settings) -> None:
        self.cache = Taken(client, clock)
        self._key, self._watchers = key, Watchers()
        store, configs = Store(self.cache, clock), Configs[Key](self.cache, client, clock)
        self._observer = Observer(store, configs, self._watchers, Rivals(settings), settings, clock, self.cache.follow)

    @property
    def canary(self) -> Obj | None:
        """The Canary."""
        return self.cache.get(CANARIES.ref(*self._key))

    def observe(self) -> Seen | None:
        """What the operator would observe. None without the Canary."""
        return self._observer.observe(self._key, State())

    def wanted(self) -> Iterable[Ref]:
        """The objects that the last observation asked for and that have not been read."""
        return sorted(ref for ref in self._watchers.refs(self._key) if not self.cache.read(ref))


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a canary: `now` by the server's clock, what the operator would observe and decide.

    `sets` are ReplicaSets, `pods` and `sets` those of target and primary, `events` those of all of them.
    `records`: those of the releases, if they were asked for. `settings`: those that the operator publishes, empty if
    they are not known.
    """

    canary: Obj
    now: float
    seen: Seen
    decision: Decision
    cache: Taken
    sets: tuple[Obj, ...] = ()
    pods: tuple[Obj, ...] = ()
    events: tuple[Obj, ...] = ()
    records: tuple[Obj, ...] = ()
    missing: tuple[Missing, ...] = field(default=())
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def compiled(self) -> CompiledCanary:
        """The Canary with everything that follows from it."""
        return self.seen.compiled

    def get(self, ref: Ref | None) -> Obj | None:
        """An object that was read; None if it does not exist."""
        return self.cache.get(ref) if ref is not None else None


def looked(eyes: Eyes, now: float, missing: Iterable[Missing] = ()) -> Look | None:
    """The look at what the eyes have read so far. None without the Canary."""
    seen, canary = eyes.observe(), eyes.canary
    if seen is None or canary is None:
        return None
    return Look(canary, now, seen, decide(seen.situation), eyes.cache, missing=tuple(missing))
