"""`fairlead` whose NautilusTrader compares its positions with the account's all the time.

The file that CHECKS_FILE names gets a letter a comparison.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fairlead.adapters.base.execution_client import VenueExecutionClient
from fairlead.engine.cli.app import app
from fairlead.engine.run import kernel

answer = VenueExecutionClient._generate_position_status_reports


async def counted(client: VenueExecutionClient, command: Any) -> list[Any]:
    with Path(os.environ["CHECKS_FILE"]).open("a") as file:
        file.write("x")
    return await answer(client, command)


def main() -> None:
    kernel.POSITION_CHECK_SECS = 0.5
    VenueExecutionClient._generate_position_status_reports = counted  # type: ignore[method-assign]
    app()
