"""What the operator says about itself in the status of every canary, and whether the cluster keeps it.

Flagger's definition of a Canary drops the fields for people without an error. The first answer that lacks them switches
them off until the next start: releases go on as before, and one line in the log says so. What people ask for has its
fields there, too, so flagger takes no actions then. Used by `executor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyflagger.api.durations import show
from pyflagger.api.published import OperatorStatus, written
from pyflagger.api.status import PUBLISHED, STEERED
from pyflagger.objects import Obj, part
from pyflagger.operator.act.disclosure import Disclosure
from pyflagger.operator.options import Options

FIELDS = (*PUBLISHED, *STEERED.values())
OLDER = "The Canary definition is older and drops status.release, status.round and status.operator"
FEATURE = "status"
ADVICE = "Apply the definitions of this version: kubectl apply -k kustomize/crds"


class Publisher:
    """The fields for people in statuses. `on`: the cluster keeps them, as far as is known."""

    def __init__(self, version: str, identity: str, options: Options, log: Any, disclosure: Disclosure) -> None:
        provider, interval = options.mesh_provider, show(options.min_interval)
        self._told = written(OperatorStatus(version, identity, provider, interval, disclosure.namespace))
        self._log, self._disclosure = log, disclosure
        self.identity = identity
        self.on = True
        disclosure.feature(FEATURE, "on")

    def fill(self, wanted: Mapping[str, Any], live: Obj) -> dict[str, Any]:
        """The status with the operator's own field, or without all fields for people."""
        if not self.on:
            return {name: value for name, value in wanted.items() if name not in FIELDS}
        return {**wanted, "operator": self._told} if part(live, "status").get("operator") != self._told else {**wanted}

    def answered(self, sent: Mapping[str, Any], obj: Obj) -> None:
        """Compare the answer to a status write with what was sent."""
        kept = part(obj, "status")
        if self.on and any(sent.get(name) and not kept.get(name) for name in FIELDS):
            self.on = False
            self._log.warning(OLDER, todo=ADVICE)
            self._disclosure.feature(FEATURE, f"off: the Canary definition is older. {ADVICE}")
