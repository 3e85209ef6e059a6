"""pyflagger: progressive delivery for Kubernetes, compatible with Flagger's Canary API."""

__version__ = "0.2.0"
