"""The values of a Canary that the routes of a provider do not accept: hosts, gateways, durations, retries, conditions.

`limits` checks rendered objects. This module checks the manifest, so that a problem names the field. It never sees what
users wrote into their own routes. Sources: the CRDs of Contour, App Mesh and the Gateway API, the CRDs and
the validating webhook of Istio, the dialect of Envoy (RE2), and the annotation validation of ingress-nginx.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from itertools import combinations
from typing import Any

from pydantic.alias_generators import to_camel

from pyflagger.api import durations, shapes
from pyflagger.api.canary import Analysis, Canary, Match, Service, StringMatch
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import Problem
from pyflagger.api.rule import wrong
from pyflagger.objects import Obj, part
from pyflagger.routing.contour import RETRIES
from pyflagger.routing.filters import METHODS, NAME_MAX, VALUE_MAX
from pyflagger.routing.kuma import MESH
from pyflagger.routing.split import prefix_of

Fields = Iterator[tuple[str, str]]
"""(path, text) of each value."""
Check = Callable[[str], str]
"""What is wrong with a text, as the rest of a sentence that begins with its path, or an empty text."""

WAYS = ("exact", "prefix", "regex")
PATH_MAX, KIND_MAX = 1024, 63
MESH_NAME_MAX, MESH_VALUE_MAX, MESH_HEADERS_MAX, MESH_RULES_MAX = 50, 255, 10, 99
"""The limits of App Mesh. flagger gives each rule a priority in steps of 10, the maximum is 1000."""

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_WILD = re.compile(rf"(\*|(\*-?)?{_LABEL})(\.{_LABEL})*\.?")
_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATH = re.compile(r"([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_KIND = re.compile(rf"[a-zA-Z]([-a-zA-Z0-9]{{0,{KIND_MAX - 2}}}[a-zA-Z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UNITS = re.compile(r"([0-9.]+(h|m|s|ms|us|µs|ns))+")
_PLAIN = re.compile(r"[-./_~a-zA-Z0-9: ]*")
_PATTERN = re.compile(r"[-./_~a-zA-Z0-9:^$\[\](){}*+?|&=\\]*")


def unaccepted(canary: Canary, groups: Iterable[str]) -> Iterator[Problem]:
    """The problems of a Canary whose routes have kinds of these API groups."""
    for group in groups:
        for check, fields in ACCEPTED.get(group, ()):
            for path, text in fields(canary):
                if what := check(text):
                    yield wrong(path, what)
        for rule in RULES.get(group, ()):
            yield from rule(canary)


# The fields of a Canary ---------------------------------------------------------------------------------------------


def _service(canary: Canary) -> Service:
    return canary.spec.service or Service(port=1)


def _hosts(canary: Canary) -> Fields:
    yield from ((f"spec.service.hosts[{at}]", host) for at, host in enumerate(_service(canary).hosts))


def _gateways(canary: Canary) -> Fields:
    yield from ((f"spec.service.gateways[{at}]", name) for at, name in enumerate(_service(canary).gateways))


def _parents(field: str) -> Callable[[Canary], Fields]:
    def found(canary: Canary) -> Fields:
        for at, ref in enumerate(_service(canary).gateway_refs):
            if (text := getattr(ref, field)) is not None:
                yield f"spec.service.gatewayRefs[{at}].{to_camel(field)}", text

    return found


def _root(canary: Canary) -> Fields:
    """The first host if it names a Service of the namespace: the root of a TrafficSplit."""
    yield from ((path, host) for path, host in [*_hosts(canary)][:1] if "." not in host and "*" not in host)


def _times(canary: Canary) -> Fields:
    service = _service(canary)
    each = service.retries.per_try_timeout if service.retries else ""
    found = {"spec.service.timeout": service.timeout, "spec.service.retries.perTryTimeout": each}
    yield from ((path, text) for path, text in found.items() if text)


def _cors_age(canary: Canary) -> Fields:
    if age := (_service(canary).cors_policy or {}).get("maxAge"):
        yield "spec.service.corsPolicy.maxAge", str(age)


def _retry_words(canary: Canary) -> Fields:
    retries = _service(canary).retries
    words = retries.retry_on.split(",") if retries and retries.retry_on else ()
    yield from (("spec.service.retries.retryOn", word) for word in words)


def _prefix(canary: Canary) -> Fields:
    yield "spec.service.match[0].uri.prefix", prefix_of(canary)


def _mesh(canary: Canary) -> Fields:
    if mesh := canary.metadata.annotations.get(MESH):
        yield f"metadata.annotations.{MESH}", mesh


def _matches(canary: Canary) -> Iterator[tuple[str, Match]]:
    """(path, match) of the conditions that a release uses: weights ignore `match`."""
    analysis = canary.spec.analysis or Analysis()
    used = analysis.match if strategy(canary) == "ab-testing" else ()
    yield from ((f"spec.analysis.match[{at}]", match) for at, match in enumerate(used))
    yield from ((f"spec.analysis.testers[{at}]", match) for at, match in enumerate(analysis.testers))


def _conditions(canary: Canary, kinds: tuple[str, ...]) -> Iterator[tuple[str, str, StringMatch]]:
    """(path, name, condition) of headers and query parameters."""
    for path, match in _matches(canary):
        words = {"headers": match.headers, "queryParams": match.query_params}
        for kind in kinds:
            yield from ((f"{path}.{kind}.{name}", name, how) for name, how in words[kind].items())


def _names(*kinds: str) -> Callable[[Canary], Fields]:
    return lambda canary: ((path, name) for path, name, _ in _conditions(canary, kinds))


def _texts(*ways: str) -> Callable[[Canary], Fields]:
    """The texts of conditions of these ways, such as exact and regex."""

    def found(canary: Canary) -> Fields:
        for path, _, how in _conditions(canary, ("headers", "queryParams")):
            yield from ((f"{path}.{way}", text) for way in ways if (text := getattr(how, way)) is not None)

    return found


def _annotated_patterns(canary: Canary) -> Fields:
    """The patterns that ingress annotations can express: those of headers other than Cookie."""
    for path, name, how in _conditions(canary, ("headers",)):
        if how.regex is not None and name.lower() != "cookie":
            yield f"{path}.regex", how.regex


def _source_labels(canary: Canary) -> Fields:
    for path, match in _matches(canary):
        yield from ((f"{path}.sourceLabels.{key}", value) for key, value in match.source_labels.items())


def _service_conditions(canary: Canary, *fields: str) -> Iterator[tuple[str, Obj]]:
    """(path, condition) of the conditions in `service.match`, which has the format of Istio."""
    for at, entry in enumerate(_service(canary).match):
        for field in fields:
            where, how = f"spec.service.match[{at}].{field}", part(entry, field)
            single = field in ("uri", "scheme", "method", "authority")
            found = {where: how} if single else {f"{where}.{name}": each for name, each in how.items()}
            yield from ((path, each) for path, each in found.items() if isinstance(each, dict) and each)


MATCHED = ("uri", "scheme", "method", "authority", "headers", "queryParams", "withoutHeaders")


def _service_texts(way: str, *fields: str) -> Callable[[Canary], Fields]:
    def found(canary: Canary) -> Fields:
        for path, how in _service_conditions(canary, *fields):
            if isinstance(text := how.get(way), str):
                yield f"{path}.{way}", text

    return found


def _service_names(canary: Canary) -> Fields:
    for at, entry in enumerate(_service(canary).match):
        for field in ("headers", "queryParams"):
            yield from ((f"spec.service.match[{at}].{field}.{name}", name) for name in part(entry, field))


def _changes(canary: Canary, *sides: str) -> Iterator[tuple[str, str, Any]]:
    """(path, name, value) of the headers that `service.headers` adds or sets."""
    headers = _service(canary).headers or {}
    for side in sides:
        for verb in ("add", "set"):
            found = part(part(headers, side), verb)
            yield from ((f"spec.service.headers.{side}.{verb}.{name}", name, value) for name, value in found.items())


def _header_names(*sides: str) -> Callable[[Canary], Fields]:
    return lambda canary: ((path, name) for path, name, _ in _changes(canary, *sides))


def _header_values(canary: Canary) -> Fields:
    yield from ((path, str(value)) for path, _, value in _changes(canary, "request", "response"))


def _rewritten(field: str) -> Callable[[Canary], Fields]:
    def found(canary: Canary) -> Fields:
        rewrite = _service(canary).rewrite
        if rewrite and (text := getattr(rewrite, field)):
            yield f"spec.service.rewrite.{field}", text

    return found


# Their formats ------------------------------------------------------------------------------------------------------


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _of(shape: re.Pattern[str], rule: str) -> Check:
    return lambda text: "" if shape.fullmatch(text) else f"is {_shown(text)}, {rule}"


def _long(most: int) -> Check:
    """A text of 1 to `most` characters."""

    def check(text: str) -> str:
        return f"has {len(text)} characters, but must have 1 to {most}" if not 1 <= len(text) <= most else ""

    return check


def _shaped(shape: Check) -> Check:
    """A format of `shapes`, with the value."""
    return lambda text: f"is {_shown(text)}, which {what}" if (what := shape(text)) else ""


def _istio_host(text: str) -> str:
    if _is_address(text):
        return ""
    last = text.removesuffix(".").rpartition(".")[2]
    if len(text) <= 255 and _WILD.fullmatch(text) and not last.isdigit():
        return ""
    rule = "labels of 1 to 63 letters, digits and '-', at most 255 characters, no port, * only at the beginning"
    return f"is {_shown(text)}, which a VirtualService does not accept: {rule}"


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _istio_gateway(text: str) -> str:
    namespace, slash, name = text.rpartition("/")
    fine = _DOMAIN.fullmatch(name) and (not slash or (_DOMAIN.fullmatch(namespace) and "." not in namespace))
    return "" if fine else f"is {_shown(text)}, which is not a gateway such as public, istio-system/public or mesh"


def _milliseconds(text: str) -> str:
    """Istio requires whole milliseconds, at least one."""
    nanoseconds = round(durations.parse(text) * 1e9) if _is_duration(text) else 0
    if nanoseconds >= 10**6 and nanoseconds % 10**6 == 0:
        return ""
    return f"is {text!r}, but Istio accepts only whole milliseconds, at least 1ms"


def _is_duration(text: str) -> bool:
    try:
        return durations.parse(text) >= 0
    except ValueError:
        return False


def _istio_retry(word: str) -> str:
    if word in RETRIES or (word.isascii() and word.isdigit() and int(word) in [*HTTPStatus]):
        return ""
    return f"has {_shown(word)}, which Istio does not accept. Known are status codes and {', '.join(RETRIES)}"


def _envoy_value(text: str) -> str:
    if _CONTROL.search(text):
        return "contains a control character, which a header must not contain"
    return "has a single %, which Envoy reads as a variable. Write %% for a percent sign" if text.count("%") % 2 else ""


def _response_header(text: str) -> str:
    internal = text.startswith(":") or text.lower() == "host"
    return "is a header that Istio does not change in responses" if internal else shapes.token(text)


def _request_header(text: str) -> str:
    return "" if text.lower() == ":authority" else shapes.token(text)


def _re2(text: str) -> str:
    return shapes.re2(text) if text else "is empty, but a regular expression must have at least one character"


def _absolute(text: str) -> str:
    return "" if text.startswith("/") else f"is {_shown(text)}, but a prefix must begin with /"


def _http_path(text: str) -> str:
    wrong_part = next((each for each in ("//", "/./", "/../", "%2f", "%2F", "#") if each in text), "")
    wrong_end = next((each for each in ("/..", "/.") if text.endswith(each)), "")
    if what := _absolute(text) or _long(PATH_MAX)(text):
        return what
    if wrong_part or wrong_end:
        return f"contains {wrong_part or wrong_end}, which an HTTPRoute does not accept"
    return "" if _PATH.fullmatch(text) else f"is {_shown(text)}, but an HTTPRoute accepts only characters of a URL"


def _token_of(text: str) -> str:
    return shapes.token(text) or _long(NAME_MAX)(text)


def _method(text: str) -> str:
    return "" if text in METHODS else f"is {_shown(text)}, but must be one of {', '.join(METHODS)}"


# Rules about several values -----------------------------------------------------------------------------------------


def _hosts_apart(canary: Canary) -> Iterator[Problem]:
    """Istio rejects a VirtualService with a host that another one contains."""
    for (_, one), (path, two) in combinations(_hosts(canary), 2):
        pair = f"{one} and {two}"
        if one == two or _within(one, two) or _within(two, one):
            yield wrong(path, f"overlaps another host ({pair}), which a VirtualService does not accept", "Keep one.")


def _within(one: str, two: str) -> bool:
    """Whether the wildcard `one` contains `two`."""
    return one.startswith("*") and two.removeprefix("*").endswith(one.removeprefix("*"))


def _retries_at_all(canary: Canary) -> Iterator[Problem]:
    retries = _service(canary).retries
    if retries and not retries.attempts and (retries.per_try_timeout or retries.retry_on):
        text = "is 0, but Istio accepts perTryTimeout and retryOn only with attempts"
        yield wrong("spec.service.retries.attempts", text, "Set attempts to 1 or more, or remove spec.service.retries.")


def _one_way(canary: Canary) -> Iterator[Problem]:
    """Istio's conditions have one of three ways. An API server drops others, and the rule would match every request."""
    for path, how in _service_conditions(canary, *MATCHED):
        if unknown := [way for way in how if way not in WAYS]:
            yield wrong(path, f"has {', '.join(unknown)}, which Istio does not support", "Use exact, prefix or regex.")


def _mesh_counts(canary: Canary) -> Iterator[Problem]:
    """The counts of App Mesh."""
    found = list(_matches(canary))
    for path, match in found:
        if len(match.headers) > MESH_HEADERS_MAX:
            text = f"has {len(match.headers)} headers, the limit of App Mesh is {MESH_HEADERS_MAX}"
            yield wrong(f"{path}.headers", text, "Remove some.")
    if len(found) > MESH_RULES_MAX:
        path = found[0][0].partition("[")[0]
        yield wrong(path, f"has {len(found)} entries, the limit of App Mesh is {MESH_RULES_MAX}", "Remove some.")


NGINX = "which ingress-nginx ignores: it accepts only letters, digits, spaces and -._~/:"
NGINX_PATTERN = "which ingress-nginx ignores: it accepts only letters, digits and -._~/:^$[](){}*+?|&=\\"
PATTERNS = (_re2, _texts("regex"))

ACCEPTED: Mapping[str, tuple[tuple[Check, Callable[[Canary], Fields]], ...]] = {
    "networking.istio.io": (
        (_istio_host, _hosts),
        (_istio_gateway, _gateways),
        (_milliseconds, _times),
        (_milliseconds, _cors_age),
        (_istio_retry, _retry_words),
        (_shaped(shapes.label_value), _source_labels),
        (_request_header, _header_names("request")),
        (_response_header, _header_names("response")),
        (_envoy_value, _header_values),
        (_re2, _service_texts("regex", *MATCHED)),
        PATTERNS,
    ),
    "projectcontour.io": (
        (_of(_UNITS, "which an HTTPProxy does not accept: write it like 15s or 1m30s"), _times),
        (_absolute, _prefix),
        PATTERNS,
    ),
    "gateway.solo.io": (PATTERNS,),
    "appmesh.k8s.aws": (
        (_absolute, _prefix),
        (_long(MESH_NAME_MAX), _names("headers")),
        (_long(MESH_VALUE_MAX), _texts("exact", "prefix", "suffix", "regex")),
        PATTERNS,
    ),
    "gateway.networking.k8s.io": (
        (_shaped(shapes.dns_label), _parents("namespace")),
        (_shaped(shapes.subdomain), _parents("section_name")),
        (_shaped(lambda text: shapes.subdomain(text) if text else ""), _parents("group")),
        (_of(_KIND, "which is not the kind of an object"), _parents("kind")),
        (_token_of, _service_names),
        (_token_of, _names("headers", "queryParams")),
        (_http_path, _service_texts("exact", "uri")),
        (_http_path, _service_texts("prefix", "uri")),
        (_long(PATH_MAX), _service_texts("regex", "uri")),
        (_method, _service_texts("exact", "method")),
        (_token_of, _header_names("request", "response")),
        (_long(VALUE_MAX), _header_values),
        (_long(PATH_MAX), _rewritten("uri")),
        (_of(_HOSTNAME, "but an HTTPRoute accepts only a lowercase host without port"), _rewritten("authority")),
    ),
    "split.smi-spec.io": ((_shaped(shapes.service_name), _root),),
    "kuma.io": ((_shaped(shapes.subdomain), _mesh),),
    "networking.k8s.io": (
        (_of(_PLAIN, NGINX), _names("headers")),
        (_of(_PLAIN, NGINX), _texts("exact")),
        (_of(_PATTERN, NGINX_PATTERN), _annotated_patterns),
    ),
}
"""What the kinds of an API group accept in which fields."""

RULES: Mapping[str, tuple[Callable[[Canary], Iterator[Problem]], ...]] = {
    "networking.istio.io": (_hosts_apart, _retries_at_all, _one_way),
    "appmesh.k8s.aws": (_mesh_counts,),
}
