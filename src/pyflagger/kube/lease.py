"""Leader election by a Lease, and the fence that keeps a former leader from writing.

The protocol is client-go's: holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions. A candidate
takes a lease over once it saw no renewal for the lease's duration *by its own clock*, so clocks need not agree.

The fence is stricter than the lease. A process that was suspended and resumed sees by its monotonic clock that it may
have lost the lease. It refuses to write before it contacts the API server. Run by `operator.run`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyflagger.api.durations import precise_stamp
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import AlreadyExists, ApiError, Conflict, NotFound, NotLeader
from pyflagger.kube.resources import LEASES
from pyflagger.objects import Obj

NAME = "flagger-leader-election"


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds: how long a lease is valid, how long a leader leads without a renewal, how often it tries."""

    lease: float = 60.0
    renew: float = 20.0
    retry: float = 5.0


class Elector:
    """One candidate."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        namespace: str,
        identity: str,
        timing: Timing | None = None,
        name: str = NAME,
    ) -> None:
        self._client, self._clock = client, clock
        self._namespace, self._name, self.identity = namespace, name, identity
        self._timing = timing or Timing()
        self._renewed: float | None = None
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = 0.0
        self._why = ""

    @property
    def leading(self) -> bool:
        """Whether writes are safe: the last successful renewal *began* recently enough."""
        if self._renewed is None:
            return False
        return self._clock.monotonic() - self._renewed < self._timing.renew

    def fence(self) -> None:
        """Run before every write. Raises NotLeader."""
        if not self.leading:
            raise NotLeader(Problem(Fault.US, "this replica may have lost the leader lease and does not write", ""))

    async def acquire(self, waiting: Callable[[str], None] | None = None) -> None:
        """Wait until this candidate leads. Calls `waiting` with the reason: another holder, or a failed call."""
        while not await self._try():
            if waiting and self._why:
                waiting(self._why)
            await self._clock.sleep(self._timing.retry + self._clock.jitter(self._timing.retry / 5))

    async def hold(self) -> None:
        """Renew the lease; returns when it is lost."""
        while self.leading:
            await self._clock.sleep(self._timing.retry)
            if not self.leading:
                break
            await self._try()
        self._renewed = None

    async def release(self) -> None:
        """Release the lease, so that another candidate can take it immediately."""
        if not self.leading:
            return
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") == self.identity:
                lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(lease)
        except ApiError:
            return
        finally:
            self._renewed = None

    async def _try(self) -> bool:
        """Take or renew the lease. Returns whether we hold it. A failed call changes nothing: the fence expires."""
        began = self._clock.monotonic()
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except NotFound:
            return await self._write(self._fresh(), began, create=True)
        except ApiError as error:
            self._why = str(error)
            return self.leading
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self.identity) and not self._expired(holder, spec):
            self._renewed, self._why = None, f"{holder} holds it"
            return False
        lease["spec"] = self._renewal(spec, holder)
        return await self._write(lease, began, create=False)

    def _expired(self, holder: str, spec: Obj) -> bool:
        sign = (holder, str(spec.get("renewTime")))
        now = self._clock.monotonic()
        if sign != self._seen:
            self._seen, self._seen_at = sign, now
        return now - self._seen_at >= float(spec.get("leaseDurationSeconds") or self._timing.lease)

    def _renewal(self, spec: Obj, holder: str) -> Obj:
        now = precise_stamp(self._clock.now())
        mine = holder == self.identity
        return {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._timing.lease),
            "acquireTime": spec.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (not mine),
        }

    def _fresh(self) -> Obj:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**self._renewal({}, ""), "leaseTransitions": 0},
        }

    async def _write(self, lease: Obj, began: float, *, create: bool) -> bool:
        try:
            await (self._client.create(lease) if create else self._client.replace(lease))
        except (Conflict, AlreadyExists):
            self._renewed = None
            return False
        except ApiError as error:
            self._why = str(error)
            return self.leading
        self._renewed = began
        return True
