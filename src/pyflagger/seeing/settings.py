"""The settings that an operator publishes, as a look uses them. Without them it assumes the defaults.

`single` reads the ConfigMap, `picture` and `explain` use what it says, and `flagger version` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pyflagger.api import durations
from pyflagger.api.settings import NAME, SEPARATOR, is_ours
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.objects import Obj, part
from pyflagger.operator.options import Options
from pyflagger.seeing import raw
from pyflagger.seeing.read import Reader

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
