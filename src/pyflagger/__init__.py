"""pyflagger: progressive delivery for Kubernetes, compatible with Flagger's Canary API."""

import os

__version__ = "0.2.0"
__revision__ = os.environ.get("FLAGGER_REVISION") or "unknown"
"""The commit that the image was built from; the build of the image sets the variable."""
