"""Tells what a Canary that is gone leaves behind: without `revertOnDeletion`, a target that runs nothing.

Called by `operator.controller` once a Canary is gone. Changes nothing: whoever asked for no handing back gets none.
"""

from __future__ import annotations

from pyflagger.api.canary import Phase
from pyflagger.core import reasons
from pyflagger.core.decision import Say
from pyflagger.objects import Obj
from pyflagger.operator.plan import Plan
from pyflagger.operator.say import Teller
from pyflagger.operator.world import World

NEVER_ASLEEP = (Phase.NEW, Phase.INITIALIZING)


class Farewell:
    """Last words."""

    def __init__(self, world: World, teller: Teller) -> None:
        self._world, self._teller = world, teller

    def tell(self, plan: Plan, raw: Obj) -> None:
        """Say so where the target sleeps and nobody is deleting it, too."""
        canary, kind, target = plan.canary, plan.workload, self._world.get(plan.target)
        if canary.spec.revert_on_deletion or canary.status.phase in NEVER_ASLEEP or kind is None or target is None:
            return
        if kind.scalable and kind.at_zero(target) and "deletionTimestamp" not in target["metadata"]:
            said = Say("Warning", reasons.left_asleep(canary), Phase.TERMINATED.value, "")
            self._teller.tell(canary, raw, said)
