"""The settings that an operator publishes, as a look uses them. Without them it assumes the defaults.

`single` and `follow` read the ConfigMap, `picture` and `explain` use what it says, and `flagger version` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from pyflagger.api import durations
from pyflagger.api.settings import NAME, SEPARATOR, is_ours
from pyflagger.clock import Clock
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.objects import Obj, part
from pyflagger.operator.options import Options
from pyflagger.seeing import raw
from pyflagger.seeing.read import Reader

AGAIN_SECONDS = 300.0
"""After this time settings are read again. They change only when an operator starts, which the status tells."""

USED = (
    "mesh_provider",
    "selector_labels",
    "ingress_annotations_prefix",
    "ingress_class",
    "min_interval",
    "idle_at_zero",
)
"""The options that decide what a look at a canary shows, and that an operator publishes."""


def home_of(canary: Obj) -> str:
    """The namespace in which the operator of a Canary publishes its settings; empty if the status does not say so."""
    return raw.text(part(part(canary, "status"), "operator"), "settings")


async def published(reader: Reader, namespace: str) -> Mapping[str, str]:
    """The settings that the operator of a namespace publishes; empty if the person cannot read them.

    Raises ApiError if the API server does not answer.
    """
    if not namespace:
        return {}
    try:
        found, _ = await reader.get(CONFIG_MAPS.ref(namespace, NAME), CONFIG_MAPS)
    except (NotFound, Forbidden):
        return {}
    return raw.texts(found, "data") if is_ours(found) else {}


class Settings:
    """The settings of the operator of one canary, for views that stay open.

    Users may get the ConfigMap, not watch it. It is read again when the status names another operator.
    """

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._of: Mapping[str, Any] | None = None
        self._due = 0.0
        self._found: Mapping[str, str] = {}

    async def of(self, canary: Obj) -> Mapping[str, str]:
        """Those of a Canary's operator; the last known ones if the API server does not answer."""
        operator = part(part(canary, "status"), "operator")
        if operator != self._of or self._clock.monotonic() >= self._due:
            self._of, self._due = operator, self._clock.monotonic() + AGAIN_SECONDS
            with suppress(ApiError):
                self._found = await published(self._reader, home_of(canary))
        return self._found


def told(options: Options, settings: Mapping[str, str]) -> Options:
    """The options with the published settings. A given `mesh_provider` wins, and invalid values count as unknown."""
    found: dict[str, Any] = {}
    for field in fields(Options):
        value = settings.get(field.name.replace("_", "-"))
        if field.name in USED and value is not None:
            read = _value(getattr(options, field.name), value)
            found |= {} if read is None else {field.name: read}
    if options.mesh_provider:
        found.pop("mesh_provider", None)
    return replace(options, **found)


def _value(known: object, text: str) -> object:
    """A setting in the form of the known one; None if it is invalid."""
    if isinstance(known, bool):
        return {"true": True, "false": False}.get(text)
    if isinstance(known, tuple):
        return tuple(filter(None, text.split(SEPARATOR))) or None
    if isinstance(known, float):
        try:
            return durations.parse(text)
        except ValueError:
            return None
    return text
