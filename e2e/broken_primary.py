"""An image for failed promotions: podinfo, but as a primary's pod it does not start."""

from __future__ import annotations

from pyflagger_sandbox.kubelet.images import Entry, Launch, Process, StartFailed
from pyflagger_sandbox.kubelet.programs import podinfo


async def start(launch: Launch) -> Process:
    """Start podinfo, away from primaries. Raises StartFailed."""
    if "-primary-" in launch.pod:
        raise StartFailed("this version does not run as a primary", 1)
    return await podinfo(launch)


BROKEN_PRIMARY = Entry(start)
