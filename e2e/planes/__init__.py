"""Whole releases on the proxies of several providers: traffic counted at each weight, nobody lost on the way."""

import pytest

pytest.register_assert_rewrite("e2e.planes.scenarios", "e2e.planes.release")
