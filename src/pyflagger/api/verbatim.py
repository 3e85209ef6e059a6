"""Fields that a Canary passes to routes unchanged: `match`, `headers`, `corsPolicy`, `trafficPolicy` and `mirror`.

A shape has the known fields. Unknown ones are not reported, because a newer definition may have them. Sources: the
definitions of Istio (VirtualService, DestinationRule) and of the Gateway API (HTTPRoute).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyflagger.api import durations, shapes
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import Capabilities, Problem
from pyflagger.api.rule import wrong

Leaf = Callable[[Any], str]
"""What is wrong with a value, as the rest of a sentence, or an empty text."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. `needs` are the required fields. At most one field of `one_of` can be set."""

    known: Mapping[str, Shape]
    needs: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Each:
    """A list or an object of values of one shape."""

    kind: type[list[Any]] | type[dict[str, Any]]
    shape: Shape


Shape = Leaf | Fields | Each


def misshapen(canary: Canary, provider: str, capabilities: Capabilities) -> Iterator[Problem]:
    """The values that the provider's routes cannot have and that no router can render.

    An adopted route gets only weights.
    """
    spec, shapes_of = canary.spec, SHAPES.get(provider.partition(":")[0], {})
    if spec.route_ref and capabilities.adopt:
        return
    shown = (spec.service or Service(port=1)).model_dump(by_alias=True)
    for field, shape in shapes_of.items():
        if shown.get(field):
            yield from _misfits(shape, shown[field], f"spec.service.{field}")


def _misfits(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    if isinstance(shape, Fields):
        yield from _of_fields(shape, value, path)
    elif isinstance(shape, Each):
        yield from _of_each(shape, value, path)
    elif what := shape(value):
        yield wrong(path, what)


def _of_fields(shape: Fields, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield wrong(path, f"is {value!r}, but must be an object with {', '.join(shape.known)}")
        return
    for key in shape.needs:
        if value.get(key) is None:
            yield wrong(path, f"has no {key}, which is required")
    there = [key for key in shape.one_of if value.get(key) is not None]
    if len(there) > 1:
        yield wrong(path, f"sets {' and '.join(there)}, but only one is allowed", "Keep one of them.")
    for key, field in shape.known.items():
        if value.get(key) is not None:
            yield from _misfits(field, value[key], f"{path}.{key}")


def _of_each(shape: Each, value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, tuple):
        value = [*value]
    if not isinstance(value, shape.kind):
        yield wrong(path, f"is {value!r}, but must be {'a list' if shape.kind is list else 'an object'}")
        return
    found = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in found:
        yield from _misfits(shape.shape, each, f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]")


# Values ------------------------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """A string. YAML reads an unquoted number or yes as something else."""
    return "" if isinstance(value, str) else f"is {value!r}, but must be a string: write it in quotes"


def flag(value: Any) -> str:
    """A boolean."""
    return "" if isinstance(value, bool) else f"is {value!r}, but must be true or false"


def whole(least: int, most: int) -> Leaf:
    """A whole number."""

    def check(value: Any) -> str:
        number = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        return "" if number and least <= value <= most else f"is {value!r}, but must be between {least} and {most}"

    return check


def one_of(*words: str) -> Leaf:
    """One of these words."""
    return lambda value: "" if value in words else f"is {value!r}, but must be one of {', '.join(words)}"


def duration(value: Any) -> str:
    """A duration of at least a millisecond."""
    try:
        fine = isinstance(value, str) and durations.parse(value) >= 0.001
    except ValueError:
        fine = False
    return "" if fine else f"is {value!r}, but must be a duration of at least 1ms, such as 15s or 1m30s"


def named(shape: Callable[[str], str]) -> Leaf:
    """A string of a format of `shapes`."""
    return lambda value: text(value) or (f"is {value!r}, which {what}" if (what := shape(value)) else "")


# Shapes ------------------------------------------------------------------------------------------------------------

INT32, UINT32 = whole(-(2**31), 2**31 - 1), whole(0, 2**32 - 1)
TEXTS, TEXT_OF = Each(list, text), Each(dict, text)
STRING = Fields({"exact": text, "prefix": text, "regex": text}, one_of=("exact", "prefix", "regex"))
STRINGS = Each(dict, STRING)

CHANGES = Fields({"add": TEXT_OF, "set": TEXT_OF, "remove": TEXTS})
HEADERS = Fields({"request": CHANGES, "response": CHANGES})
CORS = Fields(
    {
        "allowOrigin": TEXTS,
        "allowOrigins": Each(list, STRING),
        "allowMethods": TEXTS,
        "allowHeaders": TEXTS,
        "exposeHeaders": TEXTS,
        "maxAge": text,
        "allowCredentials": flag,
        "unmatchedPreflights": one_of("UNSPECIFIED", "FORWARD", "IGNORE"),
    }
)
MATCH = Each(
    list,
    Fields(
        {
            "name": text,
            "uri": STRING,
            "scheme": STRING,
            "method": STRING,
            "authority": STRING,
            "headers": STRINGS,
            "queryParams": STRINGS,
            "withoutHeaders": STRINGS,
            "sourceLabels": TEXT_OF,
            "sourceNamespace": text,
            "statPrefix": text,
            "gateways": TEXTS,
            "port": UINT32,
            "ignoreUriCase": flag,
        }
    ),
)
_COOKIE = Fields({"name": text, "path": text, "ttl": text}, needs=("name",))
_HASH = Fields(
    {
        "httpHeaderName": text,
        "httpQueryParameterName": text,
        "httpCookie": _COOKIE,
        "useSourceIp": flag,
        "minimumRingSize": whole(0, 2**63 - 1),
    },
    one_of=("httpHeaderName", "httpQueryParameterName", "httpCookie", "useSourceIp"),
)
_BALANCER = Fields(
    {
        "simple": one_of("ROUND_ROBIN", "LEAST_REQUEST", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "UNSPECIFIED"),
        "consistentHash": _HASH,
        "warmupDurationSecs": duration,
        "localityLbSetting": Fields({"enabled": flag, "failoverPriority": TEXTS}),
    },
    one_of=("simple", "consistentHash"),
)
_KEEPALIVE = Fields({"probes": UINT32, "time": duration, "interval": duration})
_POOL = Fields(
    {
        "tcp": Fields(
            {
                "maxConnections": INT32,
                "connectTimeout": duration,
                "idleTimeout": duration,
                "maxConnectionDuration": duration,
                "tcpKeepalive": _KEEPALIVE,
            }
        ),
        "http": Fields(
            {
                "http1MaxPendingRequests": INT32,
                "http2MaxRequests": INT32,
                "maxRequestsPerConnection": INT32,
                "maxRetries": INT32,
                "maxConcurrentStreams": INT32,
                "idleTimeout": duration,
                "h2UpgradePolicy": one_of("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
                "useClientProtocol": flag,
            }
        ),
    }
)
_OUTLIERS = Fields(
    {
        "consecutiveErrors": INT32,
        "consecutive5xxErrors": UINT32,
        "consecutiveGatewayErrors": UINT32,
        "consecutiveLocalOriginFailures": UINT32,
        "interval": duration,
        "baseEjectionTime": duration,
        "maxEjectionPercent": INT32,
        "minHealthPercent": INT32,
        "splitExternalLocalOriginErrors": flag,
    }
)
_TLS = Fields(
    {
        "mode": one_of("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
        "clientCertificate": text,
        "privateKey": text,
        "caCertificates": text,
        "credentialName": text,
        "sni": text,
        "subjectAltNames": TEXTS,
        "insecureSkipVerify": flag,
    }
)
_LEVEL: dict[str, Shape] = {
    "loadBalancer": _BALANCER,
    "connectionPool": _POOL,
    "outlierDetection": _OUTLIERS,
    "tls": _TLS,
}
TRAFFIC = Fields({**_LEVEL, "portLevelSettings": Each(list, Fields({**_LEVEL, "port": Fields({"number": UINT32})}))})
MIRROR = Each(
    list,
    Fields(
        {
            "backendRef": Fields(
                {
                    "name": named(shapes.subdomain),
                    "namespace": named(shapes.dns_label),
                    "group": lambda value: "" if value == "" else named(shapes.subdomain)(value),
                    "kind": text,
                    "port": whole(1, 65535),
                },
                needs=("name",),
            ),
            "percent": whole(0, 100),
            "fraction": Fields({"numerator": whole(0, 2**31 - 1), "denominator": whole(1, 2**31 - 1)}, ("numerator",)),
        },
        needs=("backendRef",),
        one_of=("percent", "fraction"),
    ),
)

SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "istio": {"match": MATCH, "headers": HEADERS, "corsPolicy": CORS, "trafficPolicy": TRAFFIC},
    "gatewayapi": {"match": MATCH, "headers": HEADERS, "corsPolicy": CORS, "mirror": MIRROR},
}
"""The fields that each provider passes on."""
