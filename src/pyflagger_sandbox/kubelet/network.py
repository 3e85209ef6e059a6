"""Addresses on loopback: one for every pod and Service if the machine uses all of 127.0.0.0/8 for loopback.

Each sandbox claims its own networks on the machine. Other systems (macOS) have only 127.0.0.1. There the machine picks
the ports, and EndpointSlices contain the real ones. The local runtime uses this module for pods, and
`pyflagger_sandbox.cluster` for the cluster IPs of Services.
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
"""The port of the kubelet, over UDP, which no pod uses."""

ONLY_ADDRESS = "127.0.0.1"


class Exhausted(RuntimeError):
    """The network has no free address."""


class Addresses:
    """Allocates the addresses of a network. Reuses a released address only after all others."""

    def __init__(self, network: str) -> None:
        self._network = ipaddress.ip_network(network)
        self._taken: dict[str, Hashable] = {}
        self._of: dict[Hashable, str] = {}
        self._next = itertools.cycle(range(1, self._network.num_addresses - 1))

    def take(self, owner: Hashable) -> str:
        """The address of this owner, until `release`. Raises Exhausted."""
        if owner in self._of:
            return self._of[owner]
        for offset in itertools.islice(self._next, self._network.num_addresses - 2):
            address = str(self._network[offset])
            if self.claim(owner, address):
                return address
        raise Exhausted(f"no address left in {self._network}")

    def claim(self, owner: Hashable, address: str) -> bool:
        """Allocate this address to an owner. Returns False if it has another owner or is not in the network."""
        if ipaddress.ip_address(address) not in self._network or self._taken.get(address, owner) != owner:
            return False
        self._taken[address], self._of[owner] = owner, address
        return True

    def release(self, owner: Hashable) -> None:
        """Release the owner's address."""
        address = self._of.pop(owner, None)
        if address is not None:
            del self._taken[address]


class OneAddress(Addresses):
    """For machines with only one address: every owner gets it."""

    def __init__(self) -> None:
        super().__init__(f"{ONLY_ADDRESS}/32")

    def take(self, owner: Hashable) -> str:
        """The one address."""
        return ONLY_ADDRESS


@dataclass(frozen=True, slots=True)
class Claim:
    """The networks for the pods and Services of one sandbox, reserved until `release` or the end of the process.

    A bound socket holds the claim: the kernel releases it however the process ends, and leaves no file behind. The
    socket is None if pods do not have their own addresses.
    """

    pods: str
    services: str
    held: socket.socket | None

    def addresses(self) -> Addresses:
        """The addresses for pods that this machine supports."""
        return Addresses(self.pods) if self.held else OneAddress()

    def release(self) -> None:
        """Release the networks."""
        if self.held:
            self.held.close()


def claim() -> Claim:
    """Claim the first free networks. Raises CannotStart when all are taken."""
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
    raise CannotStart(
        f"{CLAIMS} sandboxes run on this machine, and it has no addresses for another one: stop one of them"
    )
