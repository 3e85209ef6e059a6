"""What the operator asks of a kind of target. Implemented by a module a kind; objects are raw and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias, runtime_checkable

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Readiness
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj, Ref, Resource, Write
from pyflagger.workloads.configs import ConfigRef, Tracked
from pyflagger.workloads.listening import Listening
from pyflagger.workloads.options import Options

Writes: TypeAlias = tuple[Write, ...]
Live: TypeAlias = Mapping[Ref, Obj | None]
NOTHING_ELSE: Live = MappingProxyType({})


@runtime_checkable
class Rolls(Protocol):
    """A kind whose rollout may take pods away before there are new ones. Every other kind keeps them."""

    def keeps(self, canary: Canary, target: Obj, primary: Obj, least: int | None) -> int:
        """How many pods of the primary stay available while it takes over the target's template and strategy.

        `least` is the fewest that the primary's autoscaler gives it meanwhile; None without an autoscaler.
        """


@runtime_checkable
class Workload(Protocol):
    """One kind of target."""

    scalable: bool
    kinds: tuple[Resource, ...]
    """Where its objects live in the API."""

    def refuses(self, target: Obj) -> Problem | None:
        """What of a target keeps it from being released."""

    def selector(self, canary: Canary, target: Obj, primary: Obj | None, options: Options) -> Selector | Problem | None:
        """How Services find the pods of both; None for a kind that brings its own. `primary` is the live one."""

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: Options) -> Writes | Problem:
        """What brings the canary's Service into shape, for a kind without a selector; `live` is the Service."""

    def revision(self, target: Obj) -> str:
        """The digest of what a release is about."""

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """ConfigMaps and Secrets that its pods use."""

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """Discovered Service ports beside the main one."""

    def listening(self, obj: Obj) -> Listening | None:
        """Where the pods of a target or primary listen; None for a kind that does not say."""

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """More objects that readiness looks at; `live` has an entry for each."""

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float, live: Live = NOTHING_ELSE) -> Readiness:
        """Whether the target (`role` canary) or its copy (`role` primary) is ready at `now`."""

    def at_zero(self, obj: Obj) -> bool:
        """Whether it is told to run nothing."""

    def primary(self, canary: Canary) -> Ref:
        """Where the primary is: a copy beside the target, or the target itself if that keeps both versions."""

    def is_primary(self, canary: Canary, found: Obj) -> bool | Problem:
        """Whether what is there is the primary; a Problem when it is somebody else's."""

    def create_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: Options, unique: str
    ) -> Writes | Problem:
        """What makes the primary; `unique` makes its pods new."""

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options) -> bool:
        """Whether promotion would leave the primary's pods as they are."""

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options, unique: str
    ) -> Writes | Problem:
        """The write that makes the primary run what the target runs."""

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """Scale it; None means to zero."""

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """How many replicas it gets when it is scaled from zero."""

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """Give it back to the user on deletion."""
