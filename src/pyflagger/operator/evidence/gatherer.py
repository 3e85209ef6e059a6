"""Gather the evidence for each need of a decision from its source.

`operator.ports` calls this with one need at a time.
"""

from __future__ import annotations

from pyflagger.core.situation import FindManager, FindTrouble, Need, ReadRecord, Result
from pyflagger.kube.client import Client
from pyflagger.operator.evidence.field_managers import find_manager
from pyflagger.operator.evidence.metrics import Checks
from pyflagger.operator.evidence.pod_troubles import find_trouble
from pyflagger.operator.evidence.recorded import find_record
from pyflagger.operator.observe.compiled import CompiledCanary, Settings
from pyflagger.operator.observe.store import Store
from pyflagger.operator.spectator import Spectator


class Gatherer:
    """Gathers evidence for all canaries and passes each check of a release to `spectator`."""

    def __init__(self, client: Client, store: Store, checks: Checks, spectator: Spectator, settings: Settings) -> None:
        self._client, self._store, self._checks, self._spectator = client, store, checks, spectator
        self._settings = settings

    async def gather(self, compiled: CompiledCanary, need: Need) -> Result:
        """The result of one need. A failed check is a Result, too."""
        if isinstance(need, FindManager):
            return await find_manager(self._client, compiled, self._settings.routing)
        if isinstance(need, FindTrouble):
            ref = compiled.target if need.role == "canary" else compiled.primary
            return await find_trouble(self._client, self._store.get(ref))
        if isinstance(need, ReadRecord):
            return await find_record(self._client, self._store, compiled, self._settings, need.number)
        self._spectator.asking(compiled.canary, need)
        result = await self._checks.run(need, compiled.canary)
        self._spectator.asked(compiled.canary, need, result)
        return result
