"""What is asked of a config's run, from another shell: its own page answers, else its files do."""

from __future__ import annotations

from functools import cached_property

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.page import told
from fairlead.engine.observe.page.client import Asked
from fairlead.engine.run.at_rest import NO_ANSWER, AtRest
from fairlead.engine.run.up import up_of

# By what is wrong, the exit code that says so; the first that is `bad` counts.
EXITS = {
    "KILLED": Exit.KILLED,
    "HALTED": Exit.KILLED,
    "STOPPED": Exit.KILLED,
    "FLATTENED": Exit.KILLED,
    "NO-STOP": Exit.KILLED,
    "FAULTED": Exit.FAULTED,
    "MISSING": Exit.UNRESOLVED,
    "UNKNOWN": Exit.UNRESOLVED,
    "JOURNAL": Exit.BAD_DATA,
    "RISK-STATE": Exit.BAD_DATA,
    "STREAM": Exit.VENUE,
    "CLOCK": Exit.VENUE,
    NO_ANSWER: Exit.TIMED_OUT,
    "NOT-RUNNING": Exit.NO_DATA,
}


class Answers:
    """Of one config, now. `told_by` says who has answered, for people.

    Raises FairleadError: JournalError, `PAGE-TOKEN`, `PAGE-NO-ANSWER` (but of `status`).
    """

    def __init__(self, loaded: LoadedConfig, *, mode: str = "", from_files: bool = False) -> None:
        self.up = up_of(loaded, mode)
        self.files = AtRest(loaded, self.up)
        self._folder = loaded.state_dir
        self._asks_page = bool(self.up.address) and not from_files
        self.told_by = "the files: no run is up"
        if self.up.holders:
            self.told_by = f"the files, beside {next(iter(self.up.holders.values()))}"
        if self._asks_page:
            self.told_by = f"the run in process {self.up.pid}, at {self.up.address}"
            return
        if self.up.pid:
            self.told_by = f"the files, beside the run in process {self.up.pid}"
            if not self.up.address:
                self.told_by += '; [observe] page = "127.0.0.1:8787" would tell more'
        if self.up.mode == "paper":
            self.told_by += f"; {self._told_of_paper()}"

    def _told_of_paper(self) -> str:
        if self.files.is_untold:
            return "a paper run's orders and fills are in none, until it has ended"
        run = self.files.paper_run
        kept = "no paper run of it is kept" if run is None else f"the last that is kept is {run.id}"
        killed = self.files.killed
        return kept if killed is None else f"{kept}; of {killed.begun.id}, which {killed.end}, none"

    @cached_property
    def _page(self) -> Asked | None:
        """Raises FairleadError `PAGE-TOKEN`."""
        return Asked(self.up.address, self._folder) if self._asks_page else None

    def status(self) -> told.Status:
        """Of a run that is up and does not answer, what the files tell, and that."""
        try:
            if self._page is None:
                return self.files.status()
            return self._page.get("status", told.Status)
        except FairleadError as error:
            found = self.files.status()
            level: told.Level = "bad" if self.files.is_up else "look"  # a start takes long
            mute = told.Wrong(level=level, code=NO_ANSWER, text=error.message)
            others = (one for one in found.wrong if one.code != NO_ANSWER)
            return msgspec.structs.replace(found, wrong=[mute, *others])

    @property
    def why_untold(self) -> str:
        """In words, why an answer is None: what is not known is not nothing."""
        killed = self.files.killed
        if killed is not None and not self.files.is_untold:
            run = f"the last paper run, {killed.begun.id}, {killed.end}"
            return f"not known: {run}, and what it did is in no file"
        pages = "its page, which --files leaves out, tells them"
        if not self.up.address:
            pages = '[observe] page = "127.0.0.1:8787" lets the next one tell them'
        return (
            "not known: a paper run's orders, executions and positions are in no file until it has "
            f"ended; {pages}"
        )

    def orders(self) -> list[told.OrderTold] | None:
        """None, also below: nothing tells them, `why_untold`."""
        if self._page is not None:
            return self._page.get("orders", list[told.OrderTold])
        return self.files.orders()

    def positions(self) -> list[told.PositionTold] | None:
        if self._page is not None:
            return self._page.get("positions", list[told.PositionTold])
        return self.files.positions()

    def fills(self, most: int) -> list[told.FillTold] | None:
        """The newest, the newest last."""
        if self._page is not None:
            return self._page.get("fills", list[told.FillTold])[-most:]
        return self.files.fills(most)


def exit_of(status: told.Status) -> Exit:
    """0: nothing needs a person now."""
    bad = (EXITS.get(one.code, Exit.FAILED) for one in status.wrong if one.level == "bad")
    return next(bad, Exit.OK)
