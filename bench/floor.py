"""The floor: a bare loop that does only the I/O of a tick, for so many canaries. Prints its CPU milliseconds a tick.

One query, two patches, one Event, and watches of the three kinds that a release changes; no thought at all. Run as
`python -m bench.floor API METRICS COUNT` by the bench; what the operator takes beyond it is the price of deciding.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

import aiohttp

from stage.fleet import NAMESPACE, names

ROUNDS = 4
INTERVAL = 4.0
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


async def main(api: str, metrics: str, count: int) -> None:
    """Tick for all of them, a few rounds."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 18) as session:
        watches = [asyncio.create_task(watch(session, api + path)) for path in WATCHED]
        await asyncio.sleep(1)
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        for number in range(1, ROUNDS + 1):
            pause = asyncio.create_task(asyncio.sleep(INTERVAL))
            await asyncio.gather(*(tick(session, api, metrics, name, number) for name in names(count)))
            await pause
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
        for task in watches:
            task.cancel()
    sys.stdout.write(f"{spent / (count * ROUNDS) * 1000:.2f}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
