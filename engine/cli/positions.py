"""`fairlead positions`."""

from __future__ import annotations

from fairlead.engine.cli.asking import (
    AsJson,
    ConfigFile,
    Files,
    Mode,
    answers,
    known,
    print_json,
    show_rows,
)

COLUMNS = ("instrument", "strategy", ">engine", ">journal", ">venue", "of", ">avg price", ">mark")


def command(
    config: ConfigFile, mode: Mode = None, from_files: Files = False, as_json: AsJson = False
) -> None:
    """List what is held: as the engine counts it, the journal adds it up, and the venue tells it.

    Without a run that answers: the journal's, at the marks of the last run's summary; with `--mode
    paper` what the last paper run that is kept ended with. What a venue holds by itself
    is `fairlead reconcile`.
    """
    asked = answers(config, mode, from_files=from_files)
    found = known(asked.positions(), asked, as_json=as_json)
    if as_json:
        print_json(found)
        return
    rows: list[tuple[object, ...]] = []
    for one in found:
        name = f"{one.instrument}{' APART' if one.is_apart else ''}"
        counts = (one.engine, one.journal, one.venue, one.unit)
        rows.append((name, "", *counts, "", one.mark, one.worth))
        rows += [
            ("", part.strategy, part.engine, part.journal, "", "", part.avg_price)
            for part in one.strategies
        ]
    show_rows((*COLUMNS, ">worth"), rows, "nothing is held")
