"""The CustomResourceDefinitions, generated from the models.

They accept everything that the reference's definitions accept: any number instead of an integer, any weight, and any
interval that starts like a duration. The operator rejects invalid objects one by one at run time and reports why, so
one bad object never hides the others. `flagger crds`, the sandbox and the chart's build use this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pyflagger.api import actions, records
from pyflagger.api.actions import Action, CanaryAction, OnFailure, State, Then
from pyflagger.api.base import Model
from pyflagger.api.canary import AlertProvider, Canary, HookType, MetricTemplate
from pyflagger.api.meaning import MEANING
from pyflagger.api.names import GROUP, VERSION
from pyflagger.api.phase import STORED
from pyflagger.api.records import ACTIONS_MAX, FIRST_ROUNDS, LAST_ROUNDS, WAITS_MAX, CanaryRelease, Outcome

Schema = dict[str, Any]

_KEPT = ("type", "enum", "required")
_DURATION = r"^[0-9]+(m|s)"
_TIME: Schema = {"type": "string", "format": "date-time"}

# The reference's schema beyond types, by path. `[]` stands for the items of a list.
_CANARY: Mapping[str, Schema] = {
    "spec": {"required": ["targetRef", "analysis"]},
    "spec.analysis": {
        "oneOf": [{"required": ["interval", "threshold", way]} for way in ("iterations", "stepWeight", "stepWeights")]
    },
    "spec.analysis.interval": {"pattern": _DURATION},
    "spec.analysis.counting": {"enum": ["", "cumulative", "consecutive"]},
    "spec.analysis.metrics[].interval": {"pattern": _DURATION},
    "spec.analysis.metrics[].noData": {"enum": ["", "fail", "wait", "pass"]},
    "spec.analysis.metrics[].noDataAfter": {"pattern": _DURATION},
    "spec.analysis.metrics[].initialDelay": {"pattern": _DURATION},
    "spec.analysis.bake.duration": {"pattern": _DURATION},
    "spec.analysis.metrics[].compare.unit": {"pattern": _DURATION},
    "spec.analysis.metrics[].compare.warmUp": {"pattern": _DURATION},
    "spec.analysis.webhooks[].timeout": {"pattern": _DURATION},
    "spec.analysis.webhooks[].url": {"format": "url"},
    "spec.analysis.webhooks[].type": {"enum": ["", *(kind.value for kind in HookType)]},
    "spec.analysis.alerts[].severity": {"enum": ["", "info", "warn", "error"]},
    "spec.analysis.sessionAffinity.maxAge": {"default": 86400},
    "status.phase": {"enum": [phase.value for phase in STORED]},
    "status.lastTransitionTime": _TIME,
    "status.conditions[].lastUpdateTime": _TIME,
    "status.conditions[].lastTransitionTime": _TIME,
}

_RECORD: Mapping[str, Schema] = {
    "spec.startedAt": _TIME,
    "status.finishedAt": _TIME,
    "status.outcome": {"enum": [outcome.value for outcome in Outcome]},
    "status.rounds": {"maxItems": FIRST_ROUNDS + LAST_ROUNDS},
    "status.waits": {"maxItems": WAITS_MAX},
    "status.actions": {"maxItems": ACTIONS_MAX},
}


def _line(most: int, least: int = 0) -> Schema:
    """A text of at most this many characters."""
    return {"maxLength": most, **({"minLength": least} if least else {})}


_ACTION: Mapping[str, Schema] = {
    "spec": {"required": ["canary", "action", "by"], "x-kubernetes-validations": actions.rules()},
    "spec.canary": _line(actions.NAME_MAX, 1),
    "spec.action": {"enum": [action.value for action in Action]},
    "spec.by": _line(actions.BY_MAX, 1),
    "spec.reason": _line(actions.REASON_MAX),
    "spec.via": _line(actions.VIA_MAX),
    "spec.revision": _line(actions.NAME_MAX),
    "spec.expires": _TIME,
    "spec.weight": {"type": "integer", "minimum": 0, "maximum": 100},
    "spec.to": {"type": "integer", "minimum": 1},
    "spec.gate": _line(actions.NAME_MAX, 1),
    "spec.until": _TIME,
    "spec.then": {"enum": [then.value for then in Then]},
    "spec.onFailure": {"enum": [each.value for each in OnFailure]},
    "status.state": {"enum": [state.value for state in State]},
    "status.text": _line(actions.TEXT_MAX),
    "status.at": _TIME,
}

_DEMANDS: Mapping[str, Mapping[str, Schema]] = {
    "Canary": _CANARY,
    "MetricTemplate": {},
    "AlertProvider": {"spec": {"anyOf": [{"required": ["type", place]} for place in ("address", "secretRef")]}},
    "CanaryRelease": _RECORD,
    "CanaryAction": _ACTION,
}

_COLUMNS: Mapping[str, tuple[tuple[str, str, str, int], ...]] = {
    "Canary": (
        ("Status", "string", ".status.phase", 0),
        ("Weight", "string", ".status.canaryWeight", 0),
        ("Suspended", "boolean", ".spec.suspend", 1),
        ("FailedChecks", "string", ".status.failedChecks", 1),
        ("Interval", "string", ".spec.analysis.interval", 1),
        ("Mirror", "boolean", ".spec.analysis.mirror", 1),
        ("StepWeight", "string", ".spec.analysis.stepWeight", 1),
        ("StepWeights", "string", ".spec.analysis.stepWeights", 1),
        ("MaxWeight", "string", ".spec.analysis.maxWeight", 1),
        ("LastTransitionTime", "string", ".status.lastTransitionTime", 0),
    ),
    "MetricTemplate": (("Provider", "string", ".spec.provider.type", 0),),
    "AlertProvider": (("Type", "string", ".spec.type", 0),),
    "CanaryRelease": (
        ("Canary", "string", ".spec.canary", 0),
        ("Number", "integer", ".spec.number", 0),
        ("Outcome", "string", ".status.outcome", 0),
        ("Image", "string", ".spec.images[0].new", 0),
        ("Weight", "integer", ".status.weight", 0),
        ("Took", "string", ".status.took", 0),
        ("Reason", "string", ".status.reason.text", 1),
        ("Revision", "string", ".spec.revision", 1),
        ("Cause", "string", ".spec.cause", 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    ),
    "CanaryAction": (
        ("Canary", "string", ".spec.canary", 0),
        ("Action", "string", ".spec.action", 0),
        ("By", "string", ".spec.by", 0),
        ("State", "string", ".status.state", 0),
        ("Text", "string", ".status.text", 1),
        ("Reason", "string", ".spec.reason", 1),
        ("Via", "string", ".spec.via", 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    ),
}


class Kind(NamedTuple):
    """One definition. `written`: only the operator writes it, so that its status has no subresource."""

    plural: str
    model: type[Model]
    version: str = VERSION
    category: str = "all"
    short: str = ""
    written: bool = False


_KINDS: Mapping[str, Kind] = {
    "Canary": Kind("canaries", Canary),
    "MetricTemplate": Kind("metrictemplates", MetricTemplate),
    "AlertProvider": Kind("alertproviders", AlertProvider),
    "CanaryRelease": Kind("canaryreleases", CanaryRelease, records.VERSION, "flagger", "crel", written=True),
    "CanaryAction": Kind("canaryactions", CanaryAction, actions.VERSION, "flagger", "cact"),
}


def crds() -> list[Schema]:
    """The definitions, ready to be serialized as YAML."""
    return [_definition(kind, found) for kind, found in _KINDS.items()]


def _definition(kind: str, found: Kind) -> Schema:
    columns = [
        {"name": name, "type": type_, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, type_, path, priority in _COLUMNS[kind]
    ]
    version = {
        "name": found.version,
        "served": True,
        "storage": True,
        **({} if found.written else {"subresources": {"status": {}}}),
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _root(kind, found.model)},
    }
    names = {
        "plural": found.plural,
        "singular": kind.lower(),
        "kind": kind,
        "listKind": f"{kind}List",
        **({"shortNames": [found.short]} if found.short else {}),
        "categories": [found.category],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{found.plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _root(kind: str, model: type[Model]) -> Schema:
    whole = model.model_json_schema(by_alias=True)
    demands = _DEMANDS[kind]
    defs = whole.get("$defs", {})
    properties: Schema = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    for part in ("spec", "status"):
        if part in whole["properties"]:
            properties[part] = _described(_structural(whole["properties"][part], defs, demands, part), kind, part)
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties.setdefault("status", status)
    return {"type": "object", "required": ["spec"], "properties": properties}


def _structural(schema: Schema, defs: Schema, demands: Mapping[str, Schema], path: str) -> Schema:
    """A structural schema: references resolved, null removed, integers as numbers."""
    schema = _followed(schema, defs)
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        schema = _followed(choices[0], defs)
    elif choices:
        return {"x-kubernetes-int-or-string": True}
    result: Schema = {key: schema[key] for key in _KEPT if key in schema}
    if result.get("type") == "integer":
        result["type"] = "number"
    if "const" in schema:
        result |= {"type": "string", "enum": [schema["const"]]}
    if "properties" in schema:
        result["properties"] = {
            name: _structural(inner, defs, demands, f"{path}.{name}") for name, inner in schema["properties"].items()
        }
    elif schema.get("type") == "object":
        result |= _map(schema.get("additionalProperties"), defs, demands, path)
    if schema.get("type") == "array":
        inner = schema.get("items") or schema.get("prefixItems", [{}])[0]
        result["items"] = _structural(inner, defs, demands, f"{path}[]")
    return result | demands.get(path, {})


def _described(schema: Schema, kind: str, path: str) -> Schema:
    """The schema with a description for each field, which `kubectl explain` shows."""
    result = {key: value for key, value in schema.items() if key != "description"}
    if path in MEANING[kind]:
        result = {"description": MEANING[kind][path], **result}
    if "properties" in schema:
        inner = schema["properties"].items()
        result["properties"] = {name: _described(field, kind, f"{path}.{name}") for name, field in inner}
    for inner_key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if inner_key in schema:
            result[inner_key] = _described(schema[inner_key], kind, path + suffix)
    return result


def _map(values: Any, defs: Schema, demands: Mapping[str, Schema], path: str) -> Schema:
    if isinstance(values, dict) and values:
        return {"additionalProperties": _structural(values, defs, demands, f"{path}.*")}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _followed(schema: Schema, defs: Schema) -> Schema:
    while "$ref" in schema:
        schema = {**defs[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema
