"""Strategic merge patches: lists that merge by key, sets, and the directives of clients."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger_sandbox.apiserver.strategic import merge

POD = "io.k8s.api.core.v1.PodSpec"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DEPLOYMENT = "io.k8s.api.apps.v1.DeploymentSpec"
TWO = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}


@pytest.mark.parametrize(
    "model, target, patch, result",
    [
        (
            POD,
            TWO,
            {"containers": [{"name": "b", "image": "3"}]},
            {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "3"}]},
        ),
        (POD, TWO, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [{"name": "b", "image": "2"}]}),
        (POD, TWO, {"containers": [{"$patch": "replace"}, {"name": "c"}]}, {"containers": [{"name": "c"}]}),
        (
            POD,
            TWO,
            {
                "containers": [{"name": "c"}],
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
            },
            {"containers": [{"name": "c"}, {"name": "b", "image": "2"}, {"name": "a", "image": "1"}]},
        ),
        (
            POD,
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b", "effect": None}]},
            {"tolerations": [{"key": "b"}]},
        ),
        (POD, {"hostname": "h", "nodeName": "n"}, {"hostname": None}, {"nodeName": "n"}),
        (POD, {"hostname": "h"}, {"$patch": "replace", "nodeName": "n"}, {"nodeName": "n"}),
        (POD, {"hostname": "h"}, {"$patch": "delete"}, {}),
        (META, {"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, {"finalizers": ["a", "b"]}),
        (META, {"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        (META, {"finalizers": ["a", "b"]}, {"$setElementOrder/finalizers": ["b", "a"]}, {"finalizers": ["b", "a"]}),
        (META, {"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}),
        (
            DEPLOYMENT,
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
        ),
        (
            "io.k8s.api.core.v1.ServiceAccount",
            {"imagePullSecrets": [{"name": "a"}]},
            {"imagePullSecrets": [{"name": "b"}]},
            {"imagePullSecrets": [{"name": "b"}]},
        ),
    ],
)
def test_a_patch(model: str, target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    """What is left of an object of a type, while the old one stays as it was."""
    before = repr(target)
    assert merge(model, target, patch) == result
    assert repr(target) == before


@pytest.mark.parametrize(
    "patch, said",
    [
        ({"$patch": "mend"}, "unknown patch directive: mend"),
        ({"containers": [{"image": "1"}]}, "does not contain declared merge key: name"),
    ],
)
def test_a_patch_that_cannot_be_read(patch: dict[str, Any], said: str) -> None:
    """Is a bad request."""
    with pytest.raises(ApiError) as caught:
        merge(POD, TWO, patch)
    assert caught.value.code == 400 and said in caught.value.message
