"""The stages of these tests, stopped after each."""

from __future__ import annotations

from stage.conftest import stages_stop

__all__ = ["stages_stop"]
