"""The picture of a canary's traffic, from host names to pods, as positions. Pure. The macros of `svg.html` draw it.

Five columns from left to right: entries, the route, Services, workloads, pods. The primary is the upper lane, the
canary the lower one. The width of a link is its share of the traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyflagger.seeing.model import CanaryView, Pod, ServiceView, Traffic, Workload

WIDTH, LANES = 1016.0, {"primary": 58.0, "canary": 172.0}
HEIGHT = 226.0
MIDDLE = (LANES["primary"] + LANES["canary"]) / 2
NODE_HEIGHT = 52.0
ENTRY_HEIGHT = 34.0
BAND, BAND_MIN = 24.0, 2.0
"""Pixels of all traffic, and of the smallest share."""

SQUARES_MAX, SQUARES_ROW, SQUARE = 24, 8, 19.0
CHARACTER = 8.6
"""Pixels of a character of a name."""


class Node(NamedTuple):
    """A box. `kind` is its small title, `mark` is ok, bad or none, `note` its last line."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    name: str
    note: str
    mark: str
    lane: str
    full: str


class Link(NamedTuple):
    """A band between two boxes: its path, width and label. `state`: live, mirrored, idle or unknown."""

    path: str
    width: float
    label: str
    label_x: float
    label_y: float
    state: str
    lane: str


class Square(NamedTuple):
    """A pod at its place."""

    x: float
    y: float
    pod: Pod


class Pods(NamedTuple):
    """The pods of a workload: squares, and their state in words. `more`: how many are not drawn."""

    squares: tuple[Square, ...]
    text: str
    mark: str
    more: int
    x: float
    y: float
    lane: str


class Topology(NamedTuple):
    """The picture, and the same in a sentence."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    pods: tuple[Pods, ...]
    rules: tuple[str, ...]
    sentence: str


COLUMNS = {"entry": (0.0, 188.0), "route": (228.0, 164.0), "service": (468.0, 168.0), "workload": (676.0, 172.0)}
PODS_X = 864.0


def topology(view: CanaryView) -> Topology:
    """The picture of a view."""
    entries = _entries(view)
    route = _route(view.traffic)
    lanes = [each for each in view.workloads if each.role in LANES]
    services = {each.role: _service(each) for each in view.services if each.role in LANES}
    workloads = {each.role: _workload(each) for each in lanes}
    nodes = (*entries, *((route,) if route else ()), *services.values(), *workloads.values())
    return Topology(
        width=WIDTH,
        height=HEIGHT,
        nodes=nodes,
        links=tuple(_links(view.traffic, entries, route, services, workloads)),
        pods=tuple(_pods(each) for each in lanes),
        rules=view.traffic.rules if view.traffic else (),
        sentence=sentence(view),
    )


def sentence(view: CanaryView) -> str:
    """The split of traffic in words."""
    split = view.traffic
    if split is None:
        return "Nothing is known of its traffic yet."
    canary = f"{split.canary} % to the canary" + (" as a copy" if split.mirrored else "")
    where = f"{split.route.kind} {split.route.name}" if split.route else "no route"
    told = "" if split.source == "route" else " This is the word of its status: the live route is not known."
    return f"{where} sends {split.primary} % to the primary and {canary}.{told}"


# Boxes --------------------------------------------------------------------------------------------------------------


def fitted(text: str, width: float) -> str:
    """A name in so many pixels: the middle gives way, because both ends of names tell them apart."""
    most = int((width - 22) / CHARACTER)
    if len(text) <= most:
        return text
    front = (most - 1) // 2
    return f"{text[:front]}…{text[len(text) - (most - 1 - front) :]}"


def _box(column: str, y: float, height: float, kind: str, name: str, **more: str) -> Node:
    x, width = COLUMNS[column]
    known = {"note": "", "mark": "", "lane": "", "full": f"{kind} {name}"} | more
    return Node(x, y - height / 2, width, height, kind, fitted(name, width), **known)


def _entries(view: CanaryView) -> tuple[Node, ...]:
    """Host names of the route, at most three."""
    hosts = view.traffic.route.hosts if view.traffic and view.traffic.route else ()
    shown, more = hosts[:3], len(hosts) - 3
    names = [*shown[:2], f"{more + 1} more hosts"] if more > 0 else [*shown]
    top = MIDDLE - (len(names) - 1) * (ENTRY_HEIGHT + 10) / 2
    return tuple(
        _box("entry", top + at * (ENTRY_HEIGHT + 10), ENTRY_HEIGHT, "", name, full=f"Host {name}")
        for at, name in enumerate(names)
    )


def _route(split: Traffic | None) -> Node | None:
    if split is None or split.route is None:
        return None
    note = "" if split.source == "route" else "split by the status"
    return _box("route", MIDDLE, NODE_HEIGHT, split.route.kind, split.route.name, note=note, mark="ok")


def _service(each: ServiceView) -> Node:
    ports = ", ".join(map(str, each.ports))
    note, mark = (f"port {ports}" if ports else "", "ok") if each.exists else ("missing", "bad")
    return _box("service", LANES[each.role], NODE_HEIGHT, "Service", each.name, note=note, mark=mark, lane=each.role)


def _workload(each: Workload) -> Node:
    note, mark = ("missing", "bad") if not each.exists else (each.autoscaler or "", "ok")
    named = f"{each.role} {each.kind}"
    return _box("workload", LANES[each.role], NODE_HEIGHT, named, each.name, note=note, mark=mark, lane=each.role)


# Links --------------------------------------------------------------------------------------------------------------


def _links(
    split: Traffic | None,
    entries: Sequence[Node],
    route: Node | None,
    services: dict[str, Node],
    workloads: dict[str, Node],
) -> list[Link]:
    found = [_link(each, route, BAND / len(entries), "", "live", "") for each in entries] if route else []
    for lane, share in (("primary", split.primary), ("canary", split.canary)) if split else ():
        mirrored = bool(split and split.mirrored and lane == "canary")
        state = "mirrored" if mirrored else "live" if share else "idle"
        label = f"{share} %" + (" copied" if mirrored else "")
        width = max(BAND_MIN, share * BAND / 100)
        before = route
        for box, words in ((services.get(lane), label), (workloads.get(lane), "")):
            if before and box:
                found.append(_link(before, box, width, words, state, lane))
            before = box or before
    return found


def _link(one: Node, other: Node, width: float, label: str, state: str, lane: str) -> Link:
    """A band from the right side of a box to the left side of another."""
    x1, x2 = one.x + one.width, other.x
    y1, y2 = one.y + one.height / 2, other.y + other.height / 2
    if lane and not one.lane:
        y1 += (width / 2 - BAND / 2) if lane == "primary" else (BAND / 2 - width / 2)
    bend = (x2 - x1) / 2
    path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return Link(path, round(width, 2), label, x2 - 14, y2 + (-20 if y2 < MIDDLE else 32), state, lane)


# Pods ---------------------------------------------------------------------------------------------------------------


def bad(pod: Pod) -> bool:
    """Whether a pod needs a look."""
    return pod.state in ("failing", "starting")


def _pods(each: Workload) -> Pods:
    pods = [pod for found in each.sets for pod in found.pods]
    drawn = pods if len(pods) <= SQUARES_MAX else sorted(pods, key=lambda pod: not bad(pod))[:SQUARES_MAX]
    rows = max(1, -(-len(drawn) // SQUARES_ROW))
    top = LANES[each.role] - rows * SQUARE / 2 - 4
    squares = tuple(
        Square(PODS_X + at % SQUARES_ROW * SQUARE, top + at // SQUARES_ROW * SQUARE, pod)
        for at, pod in enumerate(drawn)
    )
    text, mark = said(each, pods)
    return Pods(squares, text, mark, len(pods) - len(drawn), PODS_X, top + rows * SQUARE + 12, each.role)


def said(each: Workload, pods: Sequence[Pod]) -> tuple[str, str]:
    """The pods of a workload in words, and the mark: ok, bad or none."""
    failing = [pod for pod in pods if pod.state == "failing"]
    if failing:
        return f"{len(failing)} of {len(pods)} failing", "bad"
    if each.desired is None:
        return f"{len(pods)} pods" if pods else "", ""
    if each.desired == 0 and not pods:
        return "scaled to zero", ""
    ready = each.ready or 0
    return f"{ready} of {each.desired} ready", "ok" if ready >= each.desired else "wait"
