"""What the operator asks of a kind of target. Implemented by a module a kind; objects are raw and never changed."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Readiness
from pyflagger.objects import Obj, Resource, Write
from pyflagger.workloads.configs import ConfigRef, Tracked
from pyflagger.workloads.options import Options


@runtime_checkable
class Workload(Protocol):
    """One kind of target."""

    scalable: bool
    kinds: tuple[Resource, ...]
    """Where its objects live in the API."""

    def selector(self, canary: Canary, target: Obj, options: Options) -> tuple[str, str] | Problem:
        """The label by which Services find the target's pods, and its value."""

    def revision(self, target: Obj) -> str:
        """The digest of what a release is about."""

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """ConfigMaps and Secrets that its pods use."""

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """Discovered Service ports beside the main one."""

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float) -> Readiness:
        """Whether the target (`role` canary) or its copy (`role` primary) is ready at `now`."""

    def at_zero(self, obj: Obj) -> bool:
        """Whether it is told to run nothing."""

    def build_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: Options, unique: str
    ) -> Obj | Problem:
        """The copy as it is first created; `unique` makes its pods new."""

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options) -> bool:
        """Whether promotion would leave the copy's pods as they are."""

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options, unique: str
    ) -> tuple[Write, ...] | Problem:
        """The write that makes the copy run what the target runs."""

    def scale(self, target: Obj, replicas: int | None) -> tuple[Write, ...]:
        """Scale it; None means to zero."""

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """How many replicas it gets when it is scaled from zero."""

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> tuple[Write, ...]:
        """Give it back to the user on deletion."""
