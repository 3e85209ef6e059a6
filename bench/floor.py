"""The floor: a bare loop that does only the I/O of a tick, for so many canaries. Prints its CPU milliseconds a tick.

One query, two patches, one Event, and watches of the three kinds that a release changes; no thought at all. The bench
runs it as `python -m bench.floor API METRICS COUNT AUTHORITY`; what the operator takes beyond it is its deciding.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.fleet import NAMESPACE, named

ROUNDS = 2
INTERVAL = 10.0
MERGE = {"Content-Type": "application/merge-patch+json"}
WATCHED = (
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/flagger.app/v1beta1/canaries",
    "/apis/apps/v1/deployments",
)


async def watch(session: aiohttp.ClientSession, url: str) -> None:
    """Decode every event of a kind."""
    async with session.get(url) as answer:
        version = (await answer.json())["metadata"]["resourceVersion"]
    query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
    async with session.get(url, params=query) as answer:
        async for line in answer.content:
            json.loads(line)


async def tick(session: aiohttp.ClientSession, api: str, metrics: str, name: str, number: int) -> None:
    """The I/O of one tick of one canary."""
    async with session.get(f"{metrics}/api/v1/query", params={"query": "x"}) as answer:
        json.loads(await answer.read())
    ingress = f"{api}/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses/{name}"
    canary = f"{api}/apis/flagger.app/v1beta1/namespaces/{NAMESPACE}/canaries/{name}/status"
    for url, body in (
        (ingress, {"metadata": {"annotations": {"bench/weight": str(number)}}}),
        (canary, {"status": {"iterations": number}}),
    ):
        async with session.patch(url, data=json.dumps(body), headers=MERGE) as answer:
            answer.raise_for_status()
            json.loads(await answer.read())
    event = {
        "metadata": {"name": f"{name}.floor{number}", "namespace": NAMESPACE},
        "involvedObject": {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": name, "namespace": NAMESPACE},
        "type": "Normal",
        "reason": "Synced",
        "message": f"Advance {name}.{NAMESPACE} canary weight {number}",
        "source": {"component": "floor"},
    }
    async with session.post(f"{api}/api/v1/namespaces/{NAMESPACE}/events", json=event) as answer:
        answer.raise_for_status()
        await answer.read()


async def main(api: str, metrics: str, count: int, authority: str) -> None:
    """Tick for all of them, a few rounds."""
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=authority))
    headers = {"Authorization": "Bearer admintoken"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=1 << 18) as session:
        watches = [asyncio.create_task(watch(session, api + path)) for path in WATCHED]
        await asyncio.sleep(1)
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        for number in range(1, ROUNDS + 1):
            pause = asyncio.create_task(asyncio.sleep(INTERVAL))
            await asyncio.gather(*(tick(session, api, metrics, name, number) for name in named(count)))
            await pause
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
        for task in watches:
            task.cancel()
    sys.stdout.write(f"{spent / (count * ROUNDS) * 1000:.2f}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
