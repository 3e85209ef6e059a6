"""The stages of these tests stop as those of tests/stage do."""

from stage.conftest import stages_stop

__all__ = ["stages_stop"]
