"""The images of pod templates."""

from __future__ import annotations

from pyflagger.api.published import IMAGES_MAX, ReleaseImage
from pyflagger.objects import Obj
from pyflagger.workloads.pods import changed_images, images


def spec(**images_: str) -> Obj:
    """A pod spec."""
    return {"containers": [{"name": name, "image": image} for name, image in images_.items()]}


def test_images_by_container() -> None:
    """Init containers are among them; a spec without containers has none."""
    assert images({"initContainers": [{"name": "a", "image": "a:1"}], **spec(b="b:1")}) == {"a": "a:1", "b": "b:1"}
    assert images({}) == {}


def test_what_a_release_changes() -> None:
    """Changed and new containers, with the image of before; a few at most."""
    assert changed_images(spec(a="a:1", b="b:1"), spec(a="a:1", b="b:2", c="c:1")) == (
        ReleaseImage("b", "b:1", "b:2"),
        ReleaseImage("c", "", "c:1"),
    )
    assert changed_images({}, spec(a="a:1")) == ()
    many = {f"c{at}": f"c:{at}" for at in range(9)}
    assert len(changed_images(spec(a="a:1"), spec(**many))) == IMAGES_MAX
