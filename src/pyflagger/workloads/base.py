"""The interface of a kind of target. One module implements each kind. Objects are raw dicts and never changed."""

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
from pyflagger.workloads.options import WorkloadOptions

Writes: TypeAlias = tuple[Write, ...]
Live: TypeAlias = Mapping[Ref, Obj | None]
NOTHING_ELSE: Live = MappingProxyType({})


@runtime_checkable
class Rolls(Protocol):
    """A kind whose rollout may remove pods before new ones are available. All other kinds keep them."""

    def keeps(self, canary: Canary, target: Obj, primary: Obj, least: int | None) -> int:
        """How many pods of the primary stay available while it takes over the target's template and strategy.

        `least`: the minimum of the primary's autoscaler; None without an autoscaler.
        """


@runtime_checkable
class Workload(Protocol):
    """One kind of target."""

    scalable: bool
    kinds: tuple[Resource, ...]
    """The API resources that the kind uses."""

    def refuses(self, target: Obj) -> Problem | None:
        """Why flagger cannot release this target; None if it can."""

    def selector(
        self, canary: Canary, target: Obj, primary: Obj | None, options: WorkloadOptions
    ) -> Selector | Problem | None:
        """How Services select the pods of both; None for a kind with its own Services. `primary`: the live object."""

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: WorkloadOptions) -> Writes | Problem:
        """The writes that update the canary's Service, for a kind without a selector. `live`: the live Service."""

    def revision(self, target: Obj) -> str:
        """The digest of the fields whose change starts a release."""

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """ConfigMaps and Secrets that its pods use."""

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """Discovered Service ports beside the main one."""

    def listening(self, obj: Obj) -> Listening | None:
        """The ports that the pods of a target or primary declare; None for a kind that declares none."""

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """Other objects that `readiness` needs. `live` has an entry for each."""

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float, live: Live = NOTHING_ELSE) -> Readiness:
        """Whether the target (`role` canary) or its copy (`role` primary) is ready at `now`."""

    def at_zero(self, obj: Obj) -> bool:
        """Whether its spec asks for zero pods."""

    def primary(self, canary: Canary) -> Ref:
        """The primary: a copy of the target, or the target itself if it holds both versions."""

    def is_primary(self, canary: Canary, found: Obj) -> bool | Problem:
        """Whether the object found is the primary; a Problem if it has another owner."""

    def create_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """The writes that create the primary. `unique`: a restart mark, which makes its pods restart."""

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions) -> bool:
        """Whether a promotion would not change the primary's pods."""

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """The write that copies the target's template to the primary."""

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """Scale the target; None means to zero."""

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """The replicas that the target gets when flagger scales it from zero."""

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """The writes that return the target to the user on deletion."""
