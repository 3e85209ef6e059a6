"""The controllers of the sandbox's cluster and the kinds that they watch, one line each."""

from __future__ import annotations

from . import autoscaler, daemonset, deployment, endpoints, replicaset, scheduler
from .manager import Controller

CONTROLLERS: tuple[Controller, ...] = (
    deployment.CONTROLLER,
    replicaset.CONTROLLER,
    daemonset.CONTROLLER,
    scheduler.CONTROLLER,
    endpoints.CONTROLLER,
    autoscaler.CONTROLLER,
)

KINDS: tuple[str, ...] = tuple(dict.fromkeys(kind for controller in CONTROLLERS for kind in controller.watches))
