"""The common part of kinds with their own Services and without replicas."""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj, Ref
from pyflagger.workloads.base import Writes
from pyflagger.workloads.configs import ConfigRef
from pyflagger.workloads.listening import Listening
from pyflagger.workloads.options import WorkloadOptions


class Unscaled:
    """A kind without a selector, visible pods or replicas."""

    scalable = False

    def refuses(self, target: Obj) -> Problem | None:
        """No target is refused."""
        return None

    def selector(
        self, canary: Canary, target: Obj, primary: Obj | None, options: WorkloadOptions
    ) -> Selector | Problem | None:
        """None: the kind has its own Services."""
        return None

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: WorkloadOptions) -> Writes | Problem:
        """No write."""
        return ()

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """No config is tracked."""
        return ()

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """No port is discovered."""
        return ()

    def listening(self, obj: Obj) -> Listening | None:
        """None: flagger does not see its pods."""
        return None

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """No other object."""
        return ()

    def at_zero(self, obj: Obj) -> bool:
        """Never at zero."""
        return False

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """No write: it has no replicas."""
        return ()

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """One: never at zero."""
        return 1

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """No write: flagger did not change it."""
        return ()
