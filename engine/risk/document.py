"""The table of checks in docs/risk.md, made of the registry and of `[risk]`'s own descriptions."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.engine.config.model import Risk
from fairlead.engine.risk.checks import CHECKS, Check

HEAD = (
    "| code | option of `[risk]` | unit | default | what it holds | modifies |",
    "|---|---|---|---|---|---|",
)


def table() -> str:
    """As Markdown; one row a check, in the order in which they run."""
    options = msgspec.json.schema(Risk)["$defs"]["Risk"]["properties"]
    return "\n".join([*HEAD, *(_row(check, options.get(check.key, {})) for check in CHECKS)])


def _row(check: Check, option: dict[str, Any]) -> str:
    also = f" ({', '.join(f'`{key}`' for key in check.also)})" if check.also else ""
    key = f"`{check.key}`{also}" if check.key else ""
    default = option.get("default") or "none" if check.key else "on"
    text = f"{option['description']}." if check.key else check.text
    modifies = "yes" if check.on_modify else ""
    cells = (f"`{check.code}`", key, option.get("x-unit", ""), default, text, modifies)
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print(table())  # noqa: T201
