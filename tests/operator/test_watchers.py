"""The index of canaries and the objects that they read: both directions agree, and nothing outlives its canary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyflagger.objects import Key, Ref
from pyflagger.operator.observe.watchers import Watchers

FRONT, ORDERS = Key("mall", "front"), Key("mall", "orders")
SHARED, ONE, TWO = (Ref("v1", "Service", "mall", name) for name in ("shared", "one", "two"))
KEYS, REFS = (FRONT, ORDERS), (SHARED, ONE, TWO)


def test_an_object_concerns_each_canary_that_reads_it() -> None:
    """An object that nobody reads concerns nobody."""
    watchers = Watchers()
    watchers.put(FRONT, {SHARED, ONE})
    watchers.put(ORDERS, {SHARED})
    assert watchers.of(SHARED) == (FRONT, ORDERS)
    assert watchers.of(ONE) == (FRONT,)
    assert watchers.of(TWO) == ()


def test_a_canary_that_reads_other_objects_is_not_called_for_the_earlier_ones() -> None:
    """The new set replaces the earlier one, and another reader of the same object stays."""
    watchers = Watchers()
    watchers.put(FRONT, {SHARED, ONE})
    watchers.put(ORDERS, {SHARED})
    watchers.put(FRONT, {TWO})
    assert [watchers.of(ref) for ref in REFS] == [(ORDERS,), (), (FRONT,)]
    assert watchers.refs(FRONT) == {TWO}


def test_putting_the_same_objects_again_calls_nobody_twice() -> None:
    """The same set, and an equal one."""
    watchers, refs = Watchers(), {SHARED}
    for again in (refs, refs, {SHARED}):
        watchers.put(FRONT, again)
    assert watchers.of(SHARED) == (FRONT,)


def test_a_deleted_canary_is_forgotten() -> None:
    """An unknown canary has nothing to forget."""
    watchers = Watchers()
    watchers.put(FRONT, {SHARED, ONE})
    watchers.put(ORDERS, {SHARED})
    watchers.drop(FRONT)
    watchers.drop(Key("mall", "unknown"))
    assert [watchers.of(ref) for ref in REFS] == [(ORDERS,), (), ()]
    assert watchers.refs(FRONT) == frozenset()
    watchers.put(FRONT, {SHARED})
    assert watchers.of(SHARED) == (ORDERS, FRONT)


MOVES = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.frozensets(st.sampled_from(REFS))))


@given(moves=MOVES)
def test_both_directions_agree(moves: list[tuple[Key, frozenset[Ref] | None]]) -> None:
    """After any puts and drops (None), each canary is listed once for each object that it reads, and for no other."""
    watchers, expected = Watchers(), dict[Key, frozenset[Ref]]()
    for key, refs in moves:
        expected[key] = refs or frozenset()
        watchers.drop(key) if refs is None else watchers.put(key, refs)
    for ref in REFS:
        assert sorted(watchers.of(ref)) == sorted(key for key, refs in expected.items() if ref in refs)
