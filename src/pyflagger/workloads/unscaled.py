"""What kinds have in common that bring their own Services and have nothing to scale."""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj, Ref
from pyflagger.workloads.base import Writes
from pyflagger.workloads.configs import ConfigRef
from pyflagger.workloads.listening import Listening
from pyflagger.workloads.options import Options


class Unscaled:
    """No selector, no pods that we see, no replicas."""

    scalable = False

    def refuses(self, target: Obj) -> Problem | None:
        """Every target can be released."""
        return None

    def selector(self, canary: Canary, target: Obj, primary: Obj | None, options: Options) -> Selector | Problem | None:
        """The kind brings its own Services."""
        return None

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: Options) -> Writes | Problem:
        """None is made."""
        return ()

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """None are tracked."""
        return ()

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """None are discovered."""
        return ()

    def listening(self, obj: Obj) -> Listening | None:
        """Its pods are not seen."""
        return None

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """Nothing else."""
        return ()

    def at_zero(self, obj: Obj) -> bool:
        """Never told to run nothing."""
        return False

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """Nothing to scale."""
        return ()

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """Some."""
        return 1

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """Nothing was taken from it."""
        return ()
