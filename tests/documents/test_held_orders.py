"""The page of held orders says of each venue what its capabilities say."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead.adapters import registry
from fairlead.engine.orders.model import Kind

PAGE = Path(__file__).parents[2] / "docs" / "held-orders.md"
CONDITIONAL = [kind for kind in Kind if kind not in (Kind.LIMIT, Kind.MARKET)]


def test_who_has_which_kinds() -> None:
    row = r"^\| (\w+) \| ([A-Z_, ]+|none) \| ([A-Z_, ]+|none) \|$"
    rows = re.findall(row, PAGE.read_text(), re.M)
    assert rows
    assert {name for name, _, _ in rows} <= set(registry.names())
    for name, native, held in rows:
        able = registry.spec(name).capabilities
        told = [set(one.split(", ")) - {"none"} for one in (native, held)]
        assert told == [{k for k in CONDITIONAL if k in kinds} for kinds in (able.kinds, able.held)]
