"""The formats that the API server requires of names, labels and ports.

Each function returns what is wrong as the rest of a sentence ("has 71 characters, the limit is 63"), or an empty text.
Source: the Kubernetes documentation, "Object Names and IDs" and "Labels and Selectors".
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from urllib.parse import urlsplit

LABEL_MAX, SUBDOMAIN_MAX, PORT_NAME_MAX, PORT_MAX = 63, 253, 15, 65535
ANNOTATIONS_MAX = 256 * 1024
"""The limit of all annotations of an object, in bytes."""

_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_HOST = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?")


def service_name(text: str) -> str:
    """A Service's name (RFC 1035 label)."""
    rule = "must contain only lowercase letters, digits and '-', start with a letter and not end with '-'"
    return too_long(text, LABEL_MAX) or _of(_SERVICE, text, rule)


def dns_label(text: str) -> str:
    """The name of a Service's port (RFC 1123 label)."""
    rule = "must contain only lowercase letters, digits and '-', and start and end with a letter or digit"
    return too_long(text, LABEL_MAX) or _of(_LABEL, text, rule)


def subdomain(text: str, most: int = SUBDOMAIN_MAX) -> str:
    """The name of most objects (RFC 1123 subdomain)."""
    rule = "must contain only lowercase letters, digits, '-' and '.', and start and end with a letter or digit"
    return too_long(text, most) or _of(_SUBDOMAIN, text, rule)


def port_name(text: str) -> str:
    """The name of a container's port (IANA service name)."""
    rule = "must contain only lowercase letters, digits and single '-', and at least one letter"
    usable = _LABEL.fullmatch(text) and "--" not in text and any(map(str.isalpha, text))
    return too_long(text, PORT_NAME_MAX) or ("" if usable else rule)


def label_value(text: str) -> str:
    """A label's value, which may be empty."""
    rule = "must contain only letters, digits, '-', '_' and '.', and start and end with a letter or digit"
    return too_long(text, LABEL_MAX) or (_of(_WORD, text, rule) if text else "")


def qualified_name(text: str) -> str:
    """The key of a label or annotation: `name` or `prefix.example/name`."""
    prefix, slash, name = text.rpartition("/")
    rule = "must have the form name or example.com/name, with letters, digits, '-', '_' and '.'"
    if slash and subdomain(prefix):
        return rule
    return too_long(name, LABEL_MAX) or _of(_WORD, name, rule)


def token(text: str) -> str:
    """The name of an HTTP header or cookie."""
    rule = 'is not a valid name of a header or cookie: it must not contain spaces or any of ()<>@,;:\\"/[]?={}'
    return _of(_TOKEN, text, rule)


def url(text: str) -> str:
    """The URL of an HTTP server."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        return f"is not a URL: {error}".replace("Port out of range 0-65535", "its port is greater than 65535")
    if parts.scheme not in ("http", "https"):
        return "is not a URL that starts with http:// or https://"
    if any(character <= " " or character == "\x7f" for character in text):
        return "contains a space or a control character, which a URL must not contain"
    if port == 0:
        return "has port 0, but a port must be between 1 and 65535"
    if ":" in host or _is_host(host):
        return ""
    return f"has the invalid host name {host!r}" if host else "has no host"


def _is_host(text: str) -> bool:
    try:
        plain = text.encode("idna").decode()
    except UnicodeError:
        return False
    return len(plain) <= SUBDOMAIN_MAX and bool(_HOST.fullmatch(plain))


def regex(text: str) -> str:
    """A regular expression. Data planes use different dialects, so only errors in every dialect are reported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except re.error as error:
        if error.msg.startswith(_EVERYWHERE_WRONG):
            return f"is not a valid regular expression: {error.msg}"
    except (OverflowError, RecursionError):
        return "is too large to be a regular expression"
    return ""


def re2(text: str) -> str:
    """A regular expression of RE2, the dialect of Envoy and Go. It has no lookaround and no backreferences."""
    if what := regex(text):
        return what
    bare = _ATOM.sub(lambda found: found[0] if _UNKNOWN_ESCAPE.fullmatch(found[0]) else "x", text)
    for shape, name in _NOT_RE2:
        if found := shape.search(bare):
            return f"is not a valid regular expression of RE2, which has no {name}: {found[0]}"
    if any(int(number) > _REPEAT_MAX for number in re.findall(r"\d+", "".join(_COUNT.findall(bare)))):
        return f"is not a valid regular expression of RE2: it repeats more than {_REPEAT_MAX} times"
    return ""


_REPEAT_MAX = 1000
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
_ATOM = re.compile(r"\\Q.*?(?:\\E|$)|\\[0-7]{2,3}|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)
_UNKNOWN_ESCAPE = re.compile(r"\\[^abfnrtvxzdswpABCDPSWQE0\W_]")
_REPEAT = rf"(?>(?:[*+?]|{_COUNT.pattern})\??)"
_NOT_RE2 = (
    (re.compile(r"\(\?(?!:|P?<\w+>|[imsU-]*[:)])[^)]{0,3}"), "lookaround or other extended groups"),
    (re.compile(r"\\."), "such escapes or backreferences"),
    (re.compile(rf"{_REPEAT}{_REPEAT}"), "nested repetition"),
)

_EVERYWHERE_WRONG = (
    "missing )",
    "unbalanced paren",
    "unterminated character set",
    "nothing to repeat",
    "bad character",
)


def size_of(annotations: Mapping[str, str]) -> int:
    """The bytes of annotations, as the API server counts them."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())


def too_long(text: str, most: int) -> str:
    """A text of more than `most` characters."""
    return f"has {len(text)} characters, the limit is {most}" if len(text) > most else ""


def _of(shape: re.Pattern[str], text: str, rule: str) -> str:
    return "" if shape.fullmatch(text) else rule
