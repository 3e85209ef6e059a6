"""Networks that sandboxes claim: each its own, whoever else runs on the machine, and free again after any death."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pyflagger_sandbox.kubelet import network
from pyflagger_sandbox.kubelet.network import CLAIMS, POD_NETWORKS, SERVICE_NETWORKS, Claim, OneAddress, claim
from pyflagger_sandbox.trouble import CannotStart

HOLDER = """
import sys
from pyflagger_sandbox.kubelet.network import claim
held = claim()
print(held.pods, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def claims() -> Iterator[list[Claim]]:
    """Claims that a test makes; released after it."""
    made: list[Claim] = []
    yield made
    for each in made:
        each.release()


def test_no_two_networks_overlap() -> None:
    """Neither those of two sandboxes nor those of pods and Services."""
    every = [ipaddress.ip_network(text) for text in (*POD_NETWORKS, *SERVICE_NETWORKS)]
    assert len(every) == 2 * CLAIMS
    assert not [(a, b) for a in every for b in every if a is not b and a.overlaps(b)]


def test_each_claim_is_its_own(claims: list[Claim]) -> None:
    """Two at once have nothing in common; what is released can be had again."""
    claims += [claim(), claim()]
    first, second = claims
    assert {first.pods, first.services}.isdisjoint({second.pods, second.services})
    assert first.addresses().take("a") != second.addresses().take("a")
    second.release()
    third = claim()
    claims.append(third)
    assert third.pods not in (first.pods,)


def test_another_process_is_respected_and_its_death_noticed() -> None:
    """What a killed process held is free at once: the kernel held it, no file did."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdin
    theirs = holder.stdout.readline().strip()
    ours = claim()
    assert theirs in POD_NETWORKS and ours.pods != theirs
    holder.kill()
    holder.communicate()
    seen = [ours]
    while seen[-1].pods != theirs:  # others on the machine may hold some; the freed one comes up within all there are
        assert len(seen) < CLAIMS
        seen.append(claim())
    for each in seen:
        each.release()


def test_when_all_are_taken_that_is_told(claims: list[Claim], monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with what to do."""
    monkeypatch.setattr(network, "CLAIM_PORT", network.CLAIM_PORT + 1)
    claims += [claim() for _ in range(CLAIMS)]
    with pytest.raises(CannotStart, match=r"16 sandboxes run on this machine.*stop one of them"):
        claim()


def test_a_machine_with_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held, and every pod lives at the one address."""
    monkeypatch.setattr(network, "POD_NETWORKS", tuple(f"192.0.{number}.0/24" for number in range(CLAIMS)))
    only = claim()
    assert only.held is None
    assert isinstance(only.addresses(), OneAddress)
    only.release()
