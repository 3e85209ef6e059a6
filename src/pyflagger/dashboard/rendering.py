"""Templates: everything that a page shows goes through jinja2 with autoescape on. Used by `pages` and `streams`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from pyflagger.api.durations import stamp
from pyflagger.dashboard import topology
from pyflagger.dashboard.gauge import gauge
from pyflagger.dashboard.words import clock_text, day_text, end_of, full_text, number
from pyflagger.seeing.model import ICONS, Verdict
from pyflagger.seeing.words import age, changed, next_text, since, summary, waits_for

STATIC = files("pyflagger.dashboard") / "static"
TYPES: Mapping[str, str] = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
MARKS: Mapping[str, str] = {"pass": "✔", "bad": "✖", "no-data": "○", "error": "△", "refused": "△", "unknown": "○"}


@cache
def asset(name: str) -> tuple[bytes, str]:
    """A static file and the digest of it. Raises KeyError if there is none of that name."""
    if name.rpartition(".")[2] not in TYPES or not name.replace(".", "").replace("-", "").isalnum():
        raise KeyError(name)
    try:
        body = (STATIC / name).read_bytes()
    except FileNotFoundError:
        raise KeyError(name) from None
    return body, hashlib.sha256(body).hexdigest()[:12]


def as_yaml(value: Any) -> str:
    """An object as YAML, in its own order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def region_id(*parts: str) -> str:
    """The id of an element that names an object. Names of objects have no underscore."""
    return "_".join(parts)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("pyflagger.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "age": age,
        "stamp": stamp,
        "clock": clock_text,
        "day": day_text,
        "full": full_text,
        "number": number,
        "images": changed,
        "waits": waits_for,
        "since": since,
        "summary": summary,
        "gauge": gauge,
        "end": end_of,
        "yaml": as_yaml,
    }
    made.tests["bad"] = topology.bad
    made.globals |= {
        "ICONS": ICONS,
        "MARKS": MARKS,
        "Verdict": Verdict,
        "asset": lambda name: f"/static/{asset(name)[1]}/{name}",
        "next_text": next_text,
        "pods_said": topology.said,
        "region_id": region_id,
        "topology": topology.topology,
    }
    return made


ENVIRONMENT = _environment()


def rendered(template: str, **context: Any) -> str:
    """A page or a region. `live`: it is sent over a stream, so its ages are times that the browser counts on."""
    return ENVIRONMENT.get_template(template).render({"live": False, **context})
