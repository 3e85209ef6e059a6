"""The primary's copies of ConfigMaps and Secrets: made, shared with other canaries, given up and restored."""

from __future__ import annotations

from typing import Any

import pytest
from config_shop import COPY, MAP, OWN, SECRET, Shop, config, owner
from targets import canary

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import UNREAD, Create, Delete, Obj, Patch, Ref
from pyflagger.workloads.configs import NOTHING, ConfigRef, Tracked, as_used, own_copy, renamed
from pyflagger.workloads.copies import copies, joined, left, noted, promoted, refused, restored, state, unknown
from pyflagger.workloads.options import WorkloadOptions

OTHERS: dict[str, Obj] = {"api": owner("api", "u2"), "web": owner("web", "u1")}
WAS_OURS = owner("web", "u0")


def shared(data: Any, *owners: Obj, **more: Any) -> Obj:
    """A copy by the name that canaries share."""
    return config("a-primary", data, meta={"ownerReferences": list(owners)}, **more)


# One canary ---------------------------------------------------------------------------------------------------------


def test_a_copy_is_made_once() -> None:
    """With the data, owned by the Canary; doing it again writes nothing."""
    shop = Shop(config("a", {"x": "1"}, binaryData={"b": "AA=="}, meta={"labels": {"team": "t"}}))
    (write,) = shop.copy(shop.tracked(MAP))
    assert isinstance(write, Create)
    made = shop.objects[COPY]
    assert made["data"] == {"x": "1"} and made["binaryData"] == {"b": "AA=="}
    assert shop.owners() == [("web", True)] and "labels" not in made["metadata"]
    assert shop.copy(shop.tracked(MAP)) == []


def test_labels_by_prefix() -> None:
    """As for primaries, also when the label comes later."""
    shop = Shop(config("a", {"x": "1"}, meta={"labels": {"team": "t"}}))
    shop.copy(shop.tracked(MAP), WorkloadOptions(include_label_prefix=("*",)))
    assert shop.objects[COPY]["metadata"]["labels"] == {"team": "t"}
    shop.objects[MAP.ref("test")]["metadata"]["labels"]["tier"] = "1"
    shop.copy(shop.tracked(MAP), WorkloadOptions(include_label_prefix=("*",)))
    assert shop.objects[COPY]["metadata"]["labels"] == {"team": "t", "tier": "1"}


CHANGES: dict[str, Any] = {
    "a value": {"data": {"x": "2"}},
    "a key more": {"data": {"x": "1", "y": "2"}},
    "a key less": {"data": {}},
    "binary data": {"data": {"x": "1"}, "binaryData": {"b": "AA=="}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_a_patch(what: str) -> None:
    """Of what changed, for the version that was seen."""
    shop = Shop(config("a", {"x": "1"}))
    shop.copy(shop.tracked(MAP))
    shop.objects[COPY]["metadata"]["resourceVersion"] = "44"
    shop.objects[MAP.ref("test")] = {**config("a"), **CHANGES[what]}
    (write,) = shop.copy(shop.tracked(MAP))
    assert isinstance(write, Patch) and write.resource_version == "44"
    made = shop.objects[COPY]
    assert (made.get("data") or {}) == CHANGES[what]["data"]
    assert made.get("binaryData") == CHANGES[what].get("binaryData")
    assert shop.copy(shop.tracked(MAP)) == []


def test_what_cannot_be_changed_is_made_anew() -> None:
    """Immutable copies, and Secrets of another type; the version is named, as another canary may join meanwhile."""
    shop = Shop(config("a", {"x": "1"}, immutable=True))
    shop.copy(shop.tracked(MAP))
    shop.objects[COPY]["metadata"]["resourceVersion"] = "7"
    shop.objects[MAP.ref("test")]["data"] = {"x": "2"}
    gone, made = shop.copy(shop.tracked(MAP))
    assert gone == Delete(COPY, "7") and isinstance(made, Create)
    assert shop.objects[COPY]["data"] == {"x": "2"} and shop.copy(shop.tracked(MAP)) == []
    shop = Shop(config("s", {"k": "dg=="}, "Secret", type="Opaque"))
    shop.copy(shop.tracked(SECRET))
    shop.objects[SECRET.ref("test")]["type"] = "kubernetes.io/tls"
    assert [type(write) for write in shop.copy(shop.tracked(SECRET))] == [Delete, Create]


def test_immutable_with_the_same_data() -> None:
    """A copy becomes immutable with its config. It never stops being so: for that it would have to be deleted."""
    shop = Shop(config("a", {"x": "1"}, immutable=True), shared({"x": "1"}, OTHERS["web"]))
    assert shop.copy(shop.tracked(MAP)) == [Patch(COPY, {"immutable": True}, "3")]
    del shop.objects[MAP.ref("test")]["immutable"]
    assert shop.copy(shop.tracked(MAP)) == []


def test_somebody_elses_object_is_never_overwritten() -> None:
    """A name that happens to end in -primary."""
    shop = Shop(config("a", {"x": "1"}), config("a-primary", {"mine": "1"}))
    found = copies(canary(), shop.tracked(MAP), shop.find, WorkloadOptions())
    assert isinstance(found, Problem) and "configmap a-primary.test exists" in found.text and found.todo


def test_who_else_is_named() -> None:
    """A Canary of another product is somebody else, too."""
    whose = [{"apiVersion": "example.com/v1", "kind": "Canary", "name": "check", "uid": "u9", "controller": True}]
    found = refused(canary(), COPY, config("a-primary", meta={"ownerReferences": whose}))
    assert found is not None and "(Canary check)" in found.text and found.fault is Fault.MANIFEST
    assert refused(canary(), COPY, shared({}, OTHERS["api"])) is None


def test_a_copy_that_has_not_come_yet_is_waited_for() -> None:
    """Nothing is written blindly."""
    shop = Shop(config("a", {"x": "1"}), unread=("a-primary",))
    assert copies(canary(), shop.tracked(MAP), shop.find, WorkloadOptions()) is UNREAD


# Several canaries ---------------------------------------------------------------------------------------------------


def test_the_same_data_are_shared() -> None:
    """The Canary becomes an owner, and takes the controller from nobody."""
    shop = Shop(config("a", {"x": "1"}), shared({"x": "1"}, OTHERS["api"]))
    found = shop.promote(shop.tracked(MAP))
    assert shop.owners() == [("api", True), ("web", False)] and found.tracked.copy_of(MAP.key) == "a-primary"
    assert shop.copy(shop.tracked(MAP)) == []
    assert list(shop.objects) == [MAP.ref("test"), COPY]


@pytest.mark.parametrize(
    "owners",
    [
        (OTHERS["api"],),
        (OTHERS["api"], owner("web", "u1", controller=False)),
        # As the reference leaves it: the last writer controls it, whoever wrote before is an owner still.
        (OTHERS["web"], owner("api", "u2", controller=False)),
        (owner("api", "u2", controller=False), owner("web", "u1", controller=False)),
    ],
)
def test_other_data_go_to_a_copy_of_its_own(owners: tuple[Obj, ...]) -> None:
    """Nobody else's primary gets data that were not judged for it."""
    shop = Shop(config("a", {"x": "2"}), shared({"x": "1"}, *owners))
    found = shop.promote(shop.tracked(MAP))
    assert shop.objects[COPY]["data"] == {"x": "1"}, "what the others use stays"
    assert shop.objects[OWN]["data"] == {"x": "2"} and shop.owners(OWN) == [("web", True)]
    pod = {"volumes": [{"configMap": {"name": "a"}}]}
    assert renamed(pod, found.tracked) == {"volumes": [{"configMap": {"name": "a-primary-web"}}]}
    again = as_used(shop.tracked(MAP), renamed(pod, found.tracked), "web")
    assert again == found.tracked and shop.copy(again) == []


def test_the_name_stays_once_the_pods_use_it() -> None:
    """Also when the shared copy has the same data by then, or is free: the pods would roll for nothing."""
    mine = config("a-primary-web", {"x": "2"}, meta={"ownerReferences": [OTHERS["web"]]})
    for others in (shared({"x": "3"}, OTHERS["api"]), shared({"x": "3"}, OTHERS["web"])):
        shop = Shop(config("a", {"x": "3"}), others, mine)
        using = as_used(shop.tracked(MAP), {"volumes": [{"configMap": {"name": "a-primary-web"}}]}, "web")
        assert shop.promote(using).tracked == using
        assert shop.objects[OWN]["data"] == {"x": "3"}
    shop = Shop(config("a", {"x": "3"}), shared({"x": "2"}, OTHERS["api"]))
    assert shop.promote(using).tracked == using, "its own was deleted: it is made again"


def test_the_last_canary_changes_the_shared_copy() -> None:
    """With the others gone it is the only one's."""
    shop = Shop(config("a", {"x": "2"}), shared({"x": "1"}, owner("web", "u1", controller=False)))
    (write,) = shop.copy(shop.tracked(MAP))
    assert write == Patch(COPY, {"data": {"x": "2"}}, "3") and shop.owners() == [("web", False)]


def test_a_canary_that_was_made_anew() -> None:
    """The owner of its name before it is replaced: the garbage collector would take the copy."""
    shop = Shop(config("a", {"x": "2"}), shared({"x": "1"}, WAS_OURS))
    shop.copy(shop.tracked(MAP))
    assert [each["uid"] for each in shop.objects[COPY]["metadata"]["ownerReferences"]] == ["u1"]
    assert shop.owners() == [("web", True)] and shop.objects[COPY]["data"] == {"x": "2"}


@pytest.mark.parametrize("what", ["immutable", "type"])
def test_a_shared_copy_is_never_made_anew(what: str) -> None:
    """Deleting it would take it from the others."""
    kind, ref = ("ConfigMap", MAP) if what == "immutable" else ("Secret", SECRET)
    new: Obj = {"immutable": True} if what == "immutable" else {"type": "kubernetes.io/tls"}
    old: Obj = {"immutable": True} if what == "immutable" else {"type": "Opaque"}
    live = config(f"{ref.name}-primary", {"x": "MQ=="}, kind, meta={"ownerReferences": [OTHERS["api"]]}, **old)
    shop = Shop(config(ref.name, {"x": "Mg=="}, kind, **new), live)
    (write,) = shop.copy(shop.tracked(ref))
    assert isinstance(write, Create) and write.obj["metadata"]["name"] == f"{ref.name}-primary-web"


def test_no_name_is_left() -> None:
    """Both names belong to others, with other data."""
    mine = config("a-primary-web", {"x": "1"}, meta={"ownerReferences": [OTHERS["api"]]})
    shop = Shop(config("a", {"x": "2"}), shared({"x": "1"}, OTHERS["api"]), mine)
    found = copies(canary(), shop.tracked(MAP), shop.find, WorkloadOptions())
    assert isinstance(found, Problem) and "configmap a-primary-web.test" in found.text and found.todo


def test_own_names_are_told_apart_and_fit() -> None:
    """Whatever configs and canaries are called."""
    pairs = [
        ("a", "web"),
        ("a-primary", "web"),
        ("a", "primary-web"),
        ("a", "primary"),
        ("a-primary-a", "b"),
        ("a", "a-primary-b"),
    ]
    pairs += [("c" * 253, "web"), ("c" * 253, "api"), ("c" * 252, "web"), ("c" * 200, "d" * 63)]
    found = [own_copy(*pair) for pair in pairs]
    assert found[0] == "a-primary-web" and len(set(found)) == len(pairs)
    assert not any(name.endswith("-primary") or len(name) > 253 for name in found)


def test_a_config_called_like_a_copy() -> None:
    """`a-web` has the shared copy `a-web-primary`, which is no copy of `a`."""
    shop = Shop(config("a", {"x": "2"}), config("a-web", {"y": "1"}), shared({"x": "1"}, OTHERS["api"]))
    shop.copy(shop.tracked(MAP, ConfigRef("ConfigMap", "a-web", False)))
    found = {ref.name: obj["data"] for ref, obj in shop.objects.items() if "primary" in ref.name}
    assert found == {"a-primary": {"x": "1"}, "a-primary-web": {"x": "2"}, "a-web-primary": {"y": "1"}}


# Giving up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "owners, stays",
    [
        ([OTHERS["web"]], []),
        ([owner("web", "u1", controller=False)], []),
        ([OTHERS["api"], owner("web", "u1", controller=False)], ["api"]),
        ([OTHERS["web"], owner("api", "u2", controller=False)], ["api"]),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u3"}, OTHERS["web"]], ["x"]),
    ],
)
def test_a_copy_goes_with_its_last_owner(owners: list[Obj], stays: list[str]) -> None:
    """Before that only the owner goes; each for the version that was seen."""
    write = left(canary(), COPY, shared({"x": "1"}, *owners))
    if not stays:
        assert write == Delete(COPY, "3")
    else:
        assert isinstance(write, Patch) and write.resource_version == "3"
        assert [each["name"] for each in write.body["metadata"]["ownerReferences"]] == stays


# What is wrong ------------------------------------------------------------------------------------------------------

IS: dict[str, Obj] = {"ours": shared({"x": "1"}, OTHERS["web"]), "theirs": shared({"x": "1"}, OTHERS["api"])}
IS["both"] = shared({"x": "1"}, OTHERS["api"], owner("web", "u1", controller=False))
IS["nobody's"] = config("a-primary", {"x": "1"})


def look(
    live: str | None, used: set[Ref] | None, *, same: bool = True, more: frozenset[Ref] = frozenset()
) -> tuple[set[str], set[str], set[str], bool]:
    """The names that are stale, lost and gone, and whether there is a problem."""
    shop = Shop(config("a", {"x": "1"}))
    tracked = shop.tracked(MAP)
    owned = frozenset({COPY} if live in ("ours", "both") else ()) | more
    known = {MAP.key: tracked.checksums[MAP.key] if same else "other"}
    held = {COPY: IS[live] if live else None, OWN: None}
    found = state(canary(), tracked, None if used is None else frozenset(used), owned, held, known)
    names = [{ref.name for ref in refs} for refs in (found.stale, found.lost, found.gone)]
    return names[0], names[1], names[2], found.problem is not None


@pytest.mark.parametrize(
    "live, used, same, wanted",
    [
        ("ours", {COPY}, True, (set(), set(), set(), False)),
        ("both", {COPY}, False, (set(), set(), set(), False)),
        (None, {COPY}, True, (set(), {"a-primary"}, set(), False)),
        (None, {COPY}, False, (set(), set(), {"a-primary"}, False)),
        ("theirs", {COPY}, False, (set(), {"a-primary"}, set(), False)),
        ("nobody's", {COPY}, True, (set(), set(), set(), True)),
        (None, {OWN}, True, (set(), {"a-primary-web"}, set(), False)),
        ("ours", {OWN}, True, ({"a-primary"}, {"a-primary-web"}, set(), False)),
        ("theirs", {OWN}, True, (set(), {"a-primary-web"}, set(), False)),
        # The primary uses none yet: what was made for it is not stale, and what is not there is not lost.
        ("ours", set(), True, (set(), set(), set(), False)),
        (None, set(), True, (set(), set(), set(), False)),
        ("theirs", set(), True, (set(), set(), set(), False)),
        ("nobody's", set(), True, (set(), set(), set(), True)),
        ("nobody's", None, True, (set(), set(), set(), True)),
        ("ours", None, True, (set(), set(), set(), False)),
    ],
)
def test_what_is_wrong_with_a_copy(live: str | None, used: set[Ref] | None, same: bool, wanted: Any) -> None:
    """By what is there, what the primary's pods use, and whether the config says what was promoted."""
    assert look(live, used, same=same) == wanted


def test_what_nobody_uses_is_stale() -> None:
    """A copy of a config that is not tracked any more; not before there is a primary that says so."""
    old = Ref("v1", "ConfigMap", "test", "old-primary")
    assert look("ours", {COPY}, more=frozenset({old}))[0] == {"old-primary"}
    assert look("ours", {COPY, old}, more=frozenset({old}))[0] == set()
    assert look("ours", None, more=frozenset({old}))[0] == set()


def test_restored() -> None:
    """Created with the data that were promoted, or owned again; the data of a copy that is there stay."""
    shop = Shop(config("a", {"x": "1"}))
    tracked = shop.tracked(MAP)
    (write,) = restored(canary(), tracked, {COPY: MAP.key}, {COPY: None}, WorkloadOptions())
    assert isinstance(write, Create) and write.obj["data"] == {"x": "1"}
    (write,) = restored(
        canary(), tracked, {COPY: MAP.key}, {COPY: shared({"x": "9"}, OTHERS["api"])}, WorkloadOptions()
    )
    assert isinstance(write, Patch) and set(write.body) == {"metadata"}
    assert restored(canary(), tracked, {COPY: MAP.key}, {COPY: IS["both"]}, WorkloadOptions()) == ()
    assert joined(canary(), COPY, IS["ours"]) == ()


def test_what_is_not_known_is_told() -> None:
    """With the names and what to do."""
    found = unknown([OWN, COPY])
    assert "configmap a-primary-web.test, configmap a-primary.test was deleted" in found.text
    assert found.fault is Fault.CLUSTER and "the promotion creates it" in found.todo


def test_what_was_promoted_is_noted() -> None:
    """On the primary; what cannot be read counts as not noted."""
    shop = Shop(config("a", {"x": "1"}))
    tracked = shop.tracked(MAP)
    assert promoted({"metadata": {"annotations": noted(tracked)}}) == tracked.checksums
    assert noted(NOTHING) == {} and isinstance(tracked, Tracked)
    for text in (None, "", "{", "[]", '"a"'):
        found: Obj = {"metadata": {"annotations": {"flagger.app/primary-configs": text}}}
        assert promoted(found) is None
    assert promoted({"metadata": {}}) is None
