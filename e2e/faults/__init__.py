"""Faults on a real control plane, during releases, with visitors at the real ingress all along."""
