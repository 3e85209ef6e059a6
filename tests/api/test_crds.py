"""The CustomResourceDefinitions: what kubectl shows, what they accept, and that an API server can serve them."""

from __future__ import annotations

from pyflagger.api.crds import crds

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in crds()}
