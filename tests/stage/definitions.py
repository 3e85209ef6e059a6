"""The definition of Canary that a cluster keeps when it comes from the reference: Helm never upgrades CRDs.

An API server drops every field that a definition does not name. Here ours is cut down to the status fields that the
reference's has; what follows about it is written down from the reference, not derived from our models.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pyflagger.api.crds import crds
from pyflagger.objects import Obj

CONDITION = frozenset({"type", "status", "reason", "message", "lastUpdateTime", "lastTransitionTime"})
STATUS = frozenset(
    {
        "phase",
        "canaryWeight",
        "failedChecks",
        "iterations",
        "conditions",
        "lastAppliedSpec",
        "lastPromotedSpec",
        "lastTransitionTime",
        "trackedConfigs",
        "sessionAffinityCookie",
        "previousSessionAffinityCookie",
        "primarySessionAffinityCookie",
    }
)
"""What the status of the reference's Canary has in its version 1.44."""

OWN = ("CanaryRelease", "CanaryAction")
"""The kinds that the reference does not have."""

BEFORE_SETS_OF_COOKIES = STATUS - {"primarySessionAffinityCookie"}
BEFORE_PROMOTED_SPECS = frozenset(name for name in STATUS if name != "lastPromotedSpec" and "Cookie" not in name)
"""The same in versions before 1.43 and before 1.20."""


def reference(fields: frozenset[str] = STATUS) -> list[Obj]:
    """Our definitions of the reference's kinds, with no other status fields than these."""
    definitions = [each for each in deepcopy(crds()) if each["spec"]["names"]["kind"] not in OWN]
    (canaries,) = (each for each in definitions if each["spec"]["names"]["kind"] == "Canary")
    (version,) = canaries["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"] = _only(status["properties"], fields)
    item = status["properties"]["conditions"]["items"]
    item["properties"] = _only(item["properties"], CONDITION)
    return definitions


def survivors(status: Obj) -> Obj:
    """What a cluster with the reference's definitions keeps of a status that is written to it."""
    kept = _only(status, STATUS)
    if "conditions" in kept:
        kept["conditions"] = [_only(condition, CONDITION) for condition in kept["conditions"]]
    return kept


def _only(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}
