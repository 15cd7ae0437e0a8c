"""`fairlead orders`."""

from __future__ import annotations

from fairlead.engine.cli.asking import (
    AsJson,
    ConfigFile,
    Files,
    Mode,
    age,
    answers,
    known,
    print_json,
    show_rows,
)

COLUMNS = ("order", "strategy", "instrument", "side", "kind", "role", "state")
AMOUNTS = (">quantity", ">filled", ">price", ">trigger", ">age")


def command(
    config: ConfigFile, mode: Mode = None, from_files: Files = False, as_json: AsJson = False
) -> None:
    """List the orders that are not over: of the run that is up, else as the journal knows them.

    `?` beside a state: nothing proves what became of it.
    """
    asked = answers(config, mode, from_files=from_files)
    found = known(asked.orders(), asked, as_json=as_json)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            *(one.client_order_id, one.strategy, one.instrument, one.side, one.kind, one.role),
            f"{one.state}{' ?' if one.is_unknown else ''}{' missing' if one.is_missing else ''}",
            *(one.quantity, one.filled, one.price, one.trigger_price, age(one.ts_ns)),
        )
        for one in found
    ]
    show_rows((*COLUMNS, *AMOUNTS), rows, "no order is open")
