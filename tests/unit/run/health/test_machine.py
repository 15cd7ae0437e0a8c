"""Versions against pins."""

from __future__ import annotations

import pytest

from fairlead.engine.run.health.machine import holds


@pytest.mark.parametrize(
    ("here", "wanted", "told"),
    [
        ("2.0.0rc7", "==2.0.0rc7", True),
        ("2.0.0rc8", "==2.0.0rc7", False),
        ("3.14", ">=3.14", True),
        ("3.14.0", ">=3.14", True),
        ("3.9.12", ">=3.14", False),
        ("2.0.0rc7", ">=2.0.0", False),
        ("2.0.0.post1", ">=2.0.0", True),
        ("3.13.2", ">=3.13,<3.15", True),
        ("3.15.0", ">=3.13,<3.15", False),
        ("0.24", "", True),
    ],
)
def test_pins(here: str, wanted: str, told: bool) -> None:
    assert holds(here, wanted) is told
