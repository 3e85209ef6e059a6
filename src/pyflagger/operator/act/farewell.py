"""Tells what a Canary that is gone leaves behind: without `revertOnDeletion`, a target that runs nothing.

Called by `operator.reconcile` once a Canary is gone. Changes nothing: whoever asked for no handing back gets none.
"""

from __future__ import annotations

from pyflagger.api.canary import Phase
from pyflagger.core import reasons
from pyflagger.core.decision import Say
from pyflagger.objects import Obj
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.operator.observe.store import Store

NEVER_ASLEEP = (Phase.NEW, Phase.INITIALIZING)


class Farewell:
    """Last words."""

    def __init__(self, store: Store, announcer: Announcer) -> None:
        self._store, self._announcer = store, announcer

    def tell(self, compiled: CompiledCanary, raw: Obj) -> None:
        """Say so where the target sleeps and nobody is deleting it, too."""
        canary, kind, target = compiled.canary, compiled.workload, self._store.get(compiled.target)
        if canary.spec.revert_on_deletion or canary.status.phase in NEVER_ASLEEP or kind is None or target is None:
            return
        if kind.scalable and kind.at_zero(target) and "deletionTimestamp" not in target["metadata"]:
            said = Say("Warning", reasons.left_asleep(canary), Phase.TERMINATED.value, "")
            self._announcer.tell(canary, raw, said)
