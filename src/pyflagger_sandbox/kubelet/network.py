"""Addresses on loopback: one for every pod and Service where the machine answers on all of 127.0.0.0/8.

Each sandbox claims networks that no other one on the machine has. Elsewhere (macOS) there is only 127.0.0.1; then ports
are picked by the machine and EndpointSlices carry the real ones. Used by the local runtime for pods, and by whoever
gives Services their cluster IPs.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import socket
from collections.abc import Hashable
from dataclasses import dataclass

from pyflagger_sandbox.trouble import CannotStart

CLAIMS = 16
POD_NETWORKS = tuple(f"127.{80 + number}.0.0/16" for number in range(CLAIMS))
SERVICE_NETWORKS = tuple(f"127.{96 + number}.0.0/16" for number in range(CLAIMS))
CLAIM_PORT = 10250
"""The kubelet's; of UDP, which no pod uses."""

ONLY_ADDRESS = "127.0.0.1"


class Exhausted(RuntimeError):
    """Every address of the network is taken."""


class Addresses:
    """Hands out the addresses of a network, each to one owner, going round before one is used again."""

    def __init__(self, network: str) -> None:
        self._network = ipaddress.ip_network(network)
        self._taken: dict[str, Hashable] = {}
        self._of: dict[Hashable, str] = {}
        self._next = itertools.cycle(range(1, self._network.num_addresses - 1))

    def take(self, owner: Hashable) -> str:
        """An address for this owner, the same one until it is released. Raises Exhausted."""
        if owner in self._of:
            return self._of[owner]
        for offset in itertools.islice(self._next, self._network.num_addresses - 2):
            address = str(self._network[offset])
            if self.claim(owner, address):
                return address
        raise Exhausted(f"no address left in {self._network}")

    def claim(self, owner: Hashable, address: str) -> bool:
        """Give this very address to an owner; False when it is another's or not in the network."""
        if ipaddress.ip_address(address) not in self._network or self._taken.get(address, owner) != owner:
            return False
        self._taken[address], self._of[owner] = owner, address
        return True

    def release(self, owner: Hashable) -> None:
        """The owner is gone."""
        address = self._of.pop(owner, None)
        if address is not None:
            del self._taken[address]


class OneAddress(Addresses):
    """Where there is only one address: everybody gets it."""

    def __init__(self) -> None:
        super().__init__(f"{ONLY_ADDRESS}/32")

    def take(self, owner: Hashable) -> str:
        """The one address."""
        return ONLY_ADDRESS


@dataclass(frozen=True, slots=True)
class Claim:
    """Networks for the pods and Services of one sandbox, nobody else's until `release` or the end of the process.

    What holds it is a socket: the kernel lets go of it however the process dies, and no file is left behind. None where
    pods have no addresses of their own.
    """

    pods: str
    services: str
    held: socket.socket | None

    def addresses(self) -> Addresses:
        """What this machine allows for pods."""
        return Addresses(self.pods) if self.held else OneAddress()

    def release(self) -> None:
        """Others may have them."""
        if self.held:
            self.held.close()


def claim() -> Claim:
    """The first networks that are nobody's. Raises CannotStart when all are taken."""
    for pods, services in zip(POD_NETWORKS, SERVICE_NETWORKS, strict=True):
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            held.bind((str(ipaddress.ip_network(pods)[-2]), CLAIM_PORT))
        except OSError as error:
            held.close()
            if error.errno == errno.EADDRINUSE:
                continue
            return Claim(pods, services, None)
        return Claim(pods, services, held)
    raise CannotStart(f"{CLAIMS} sandboxes run on this machine, and there are addresses for no more: end one of them")
