"""Addresses on loopback: one for every pod and Service where the machine answers on all of 127.0.0.0/8.

Elsewhere (macOS) there is only 127.0.0.1; then ports are picked by the machine and EndpointSlices carry the real ones.
Used by the local runtime for pods, and by whoever gives Services their cluster IPs.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
from collections.abc import Hashable

POD_NETWORK = "127.80.0.0/16"
SERVICE_NETWORK = "127.96.0.0/16"
ONLY_ADDRESS = "127.0.0.1"


class Exhausted(RuntimeError):
    """Every address of the network is taken."""


def has_range(network: str = POD_NETWORK) -> bool:
    """Whether this machine lets a server listen on addresses of the network."""
    with socket.socket() as probe:
        try:
            probe.bind((str(ipaddress.ip_network(network)[1]), 0))
        except OSError:
            return False
    return True


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


def pod_addresses() -> Addresses:
    """What this machine allows for pods."""
    return Addresses(POD_NETWORK) if has_range() else OneAddress()
