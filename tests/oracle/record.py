"""Plays the stories on a real control plane, all at once, and has them judged: `make e2e-oracle`.

    python -m e2e --run python -m oracle.record [NAME..]      (PYTHONPATH=tests:.)

Each story has a namespace of its own under one `flagger run`. Pods are pretended, as when the reference was recorded;
its hooks, its Prometheus and its event webhook are one proxy here, which knows the story by the namespace in the call.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

from aiohttp import web
from e2e.controlplane import ControlPlane
from e2e.nodes import SCHEDULER
from e2e.parts import parts
from e2e.stage import ROOT, Operator, manifests

from oracle import compare
from oracle.replay import FLAGS, HERE, PODS_TAKE, UNASKED, WATCHED, Story
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find
from pyflagger.wire import HttpRequest
from pyflagger_sandbox.kubelet.cluster import Workers
from pyflagger_sandbox.kubelet.runtime import InstantRuntime
from pyflagger_sandbox.network.ingress import free_port
from stage.stage import Executor, broken, vector

PATIENCE = 3600.0
"""The seconds that a scripted answer may take: who asked gives up long before."""


@dataclass
class Gauges:
    """The operator's /metrics as it was a moment ago."""

    text: bytes = b""

    def metrics(self) -> bytes:
        return self.text

    async def follow(self, operator: Operator, clock: Clock) -> None:
        """Read it again and again."""
        while True:
            self.text = (await asyncio.to_thread(operator.page, "/metrics")).encode()
            await clock.sleep(0.5)


class Ground(Executor):
    """What a story needs of its stage, on a real API server."""

    def __init__(self, client: Client, clock: Clock, gauges: Gauges) -> None:
        self.client, self.clock, self.operator = client, clock, gauges


class Others:
    """The other side of every story: a proxy that answers whatever host it is asked for."""

    def __init__(self) -> None:
        self.stories: list[Story] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Find the story and let it answer."""
        body, url = await request.read(), str(request.url)
        asked = unquote_plus(urlsplit(url).query) + body.decode()
        if "vector(1)" in asked:
            return web.Response(body=vector("1"))
        story = next((s for s in self.stories if s.is_named_in(asked)), None)
        if story is None:
            return web.Response(body=UNASKED)
        headers = tuple(request.headers.items())
        said = await story.answer(HttpRequest(request.method, url, headers=headers, body=body, timeout=PATIENCE))
        return web.Response(status=said.status, body=said.body)


async def told(plane: ControlPlane, names: Sequence[str], out: Path) -> None:
    """Play the stories of those names, all where there is none, and write their transcripts."""
    clock, others, gauges = SystemClock(), Others(), Gauges()
    async with AsyncExitStack() as stack:
        transport = AiohttpTransport(await find(str(plane.folder / "kubeconfig-admin"), "", clock))
        stack.push_async_callback(transport.close)
        client = Client(transport, clock)
        for definition in manifests("crds"):
            await client.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        files = sorted((HERE / "scenarios").glob("*.yaml"))
        ground = partial(Ground, client, clock, gauges)
        others.stories = [Story(file, ground()) for file in files if not names or file.stem in names]
        for story in others.stories:
            await story.stage.namespace(story.namespace)
        workers = Workers(
            transport, clock, InstantRuntime(clock, broken, takes=PODS_TAKE), controllers=(SCHEDULER,), kinds=()
        )
        await workers.start()
        stack.push_async_callback(workers.stop)
        cache = Cache(client, clock)
        stack.push_async_callback(cache.stop)
        for story in others.stories:
            cache.subscribe(story.changed)
        for resource in WATCHED:
            await cache.wait(resource)
        operator = await started(plane, others, stack)
        following = asyncio.ensure_future(gauges.follow(operator, clock))
        stack.callback(following.cancel)
        while not await asyncio.to_thread(operator.ready):
            await clock.sleep(0.1)
        for story, lines in zip(
            others.stories, await asyncio.gather(*(s.steps() for s in others.stories)), strict=True
        ):
            (out / f"{story.name}.jsonl").write_text("\n".join(lines) + "\n")


async def started(plane: ControlPlane, others: Others, stack: AsyncExitStack) -> Operator:
    """The operator, with the proxy as its only way out."""
    runner = web.ServerRunner(web.Server(others.answer))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    own = free_port()
    words = ["run", "-kubeconfig", str(plane.folder / "kubeconfig-admin"), *FLAGS, "-port", str(own)]
    command = [sys.executable, "-m", "pyflagger.cli.main", *words, "-log-level", "info"]
    environ = {"http_proxy": f"http://{host}:{port}", "NO_PROXY": "127.0.0.1"}
    operator = Operator("operator", command, plane.folder / "operator.log", environ, url=f"http://127.0.0.1:{own}")
    operator.start()
    stack.callback(operator.stop)
    return operator


def main(names: Sequence[str]) -> int:
    """Play and judge; 0 when every difference has its reason."""
    with tempfile.TemporaryDirectory(prefix="flagger-oracle-") as name:
        folder = Path(name)
        ours, theirs, accept = folder / "ours", folder / "theirs", folder / "accept.txt"
        ours.mkdir()
        theirs.mkdir()
        plane = ControlPlane(parts(), folder / "plane")
        try:
            plane.start()
            asyncio.run(told(plane, names, ours))
        finally:
            plane.stop()
        for file in ours.iterdir():
            (theirs / file.name).write_text((HERE / "transcripts" / file.name).read_text())
        lines = (HERE / "accept.txt").read_text().splitlines()
        accept.write_text("\n".join(line for line in lines if not names or line.split(" ")[0] in names))
        return compare.main([str(theirs), str(ours), "--accept", str(accept)])


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    raise SystemExit(main(sys.argv[1:]))
