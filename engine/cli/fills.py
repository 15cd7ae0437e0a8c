"""`fairlead fills`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.engine.cli.asking import (
    AsJson,
    ConfigFile,
    Files,
    Mode,
    answers,
    known,
    moment,
    print_json,
    show_rows,
)

COLUMNS = ("time (UTC)", "order", "strategy", "instrument", "side", ">quantity", ">price", ">fee")
LAST = 50


def command(
    config: ConfigFile,
    last: Annotated[int, typer.Option("--last", min=1, max=100_000, help="How many.")] = LAST,
    mode: Mode = None,
    from_files: Files = False,
    as_json: AsJson = False,
) -> None:
    """List the last executions, the newest last: of the run that is up (it keeps 200), else of the
    journal, over all runs; with `--mode paper` of the last paper run that is kept.
    """
    asked = answers(config, mode, from_files=from_files)
    found = known(asked.fills(last), asked, as_json=as_json)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            *(moment(one.ts_ns), one.client_order_id, one.strategy, one.instrument, one.side),
            *(one.quantity, one.price, f"{one.fee} {one.fee_currency}".rstrip()),
            {True: "maker", False: "taker", None: ""}[one.is_maker],
        )
        for one in found
    ]
    show_rows((*COLUMNS, ""), rows, "nothing was executed")
