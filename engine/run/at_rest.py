"""What the files of a config tell of it while no run answers: journals, risk, kills, kept runs.

The shapes are the page's, so that who asks need not know which of the two has answered.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from functools import cached_property

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.bare import Bare, bare_positions
from fairlead.engine.kill.halts import FoundHalt, accounts_of, halts_in
from fairlead.engine.kill.state import FOLDER, Kill, KillState
from fairlead.engine.kill.switch import switch_of
from fairlead.engine.observe.assumptions import plain, versions
from fairlead.engine.observe.page import rows, told
from fairlead.engine.observe.page.sign import Sign, sign_of
from fairlead.engine.observe.page.status import losses_within, of_kill
from fairlead.engine.observe.page.wrong import of_bare
from fairlead.engine.orders.files import PAPER, AccountFiles, unwritable
from fairlead.engine.orders.journal import Journal, JournalError, Position
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import OrderState, VenueFill
from fairlead.engine.research.begun import Found, begun_in
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.risk.continuity import require_known
from fairlead.engine.risk.facts import Limits, unit_worth
from fairlead.engine.risk.money import Equity
from fairlead.engine.risk.state import Held, RiskState, RiskStateError, RiskStateFile
from fairlead.engine.risk.states import RiskStates
from fairlead.engine.run import at_rest_paper
from fairlead.engine.run.unprotected import unprotected
from fairlead.engine.run.up import Up
from fairlead.engine.secrets import redact

UNPROVEN = frozenset({OrderState.INTENDED, OrderState.UNKNOWN})
RUNS_LOOKED_AT = 200  # for the config's last
STOPPED = "stopped"
NO_ANSWER = "NO-ANSWER"  # of what is wrong the first: the rest may be old
NO_SIGN = "NO-SIGN"
SLACK_SECS = 2.0  # that a sign may be late on a busy machine
# Outcomes of a run that lost its journal
JOURNAL_LOST = ("JRN-CHANGED", "JRN-CORRUPT", "JRN-READ", "JRN-WRITE")


class AtRest:
    """Of one config. `up` says whose accounts are meant, and who has them.

    A file that can't be read is told in `status().wrong`; the rows that need it raise its error.
    """

    def __init__(self, loaded: LoadedConfig, up: Up) -> None:
        self.loaded = loaded
        self.mode = up.mode
        self.pid = up.pid
        self._up = up
        self._is_real = up.mode == "live"

    # -- rows ----------------------------------------------------------------------------------

    @property
    def is_untold(self) -> bool:
        """Whether no file has the orders, executions and positions of the run that is up."""
        return self.mode == "paper" and bool(self.pid)

    @property
    def _is_lost(self) -> bool:
        """Whether no file ever has what a paper run did: none is kept, and the last was killed."""
        return self.mode == "paper" and self.paper_run is None and self.killed is not None

    def orders(self) -> list[told.OrderTold] | None:
        """Orders that are not over, oldest first; None: no file has them. Raises JournalError."""
        if self.is_untold:
            return None
        return [
            rows.of_order(LiveOrder(order), is_unknown=order.state in UNPROVEN)
            for journal in self._journals()
            for order in journal.open_orders()
        ]

    def fills(self, most: int) -> list[told.FillTold] | None:
        """The newest executions, the newest last; None: no file has them.

        Raises FairleadError: JournalError, of a paper run `RUN-DAMAGED`.
        """
        if self.is_untold or self._is_lost:
            return None
        if (run := self.paper_run) is not None:
            return at_rest_paper.fills(run, most)
        found = [
            of_fill(*one) for journal in self._journals() for one in journal.newest_fills(most)
        ]
        return sorted(found, key=lambda one: one.ts_ns)[-most:]

    def positions(self) -> list[told.PositionTold] | None:
        """As the journals add them up, at the marks by which the last run was summed up; where that
        is up or was killed, at those that its gate saw. Of a paper run that is over, as it ended.
        None: no file has them.

        Raises FairleadError: JournalError, of a paper run `RUN-DAMAGED`.
        """
        if self.is_untold or self._is_lost:
            return None
        if (run := self.paper_run) is not None:
            return at_rest_paper.positions(run, tuple(self.loaded.config.instruments))
        held: defaultdict[str, list[Position]] = defaultdict(list)
        for journal in self._journals():
            for one in journal.positions():
                held[one.instrument].append(one)
        seen = {name: one for state in self._risk.values() for name, one in state.held.items()}
        last = self._last_summed()
        marks = {name: one.mark for name, one in seen.items()}
        if not self.pid and self.killed is None:
            marks |= {name: one.mark for name, one in last.items() if one.mark is not None}
        units = {name: one.unit for name, one in last.items()}
        names = dict.fromkeys((*self.loaded.config.instruments, *held))
        return [
            _position(
                name,
                held[name],
                marks.get(name),
                seen.get(name),
                units.get(name, ""),
                is_real=self._is_real,
            )
            for name in names
        ]

    def _last_summed(self) -> dict[str, at_rest_paper.Summed]:
        if self._last is None:
            return {}
        try:
            return at_rest_paper.summed_of(self._last)
        except FairleadError:  # `fairlead runs show` tells of damage
            return {}

    def _journals(self) -> Iterator[Journal]:
        """Of the accounts that the config trades; on paper there are none. Raises JournalError,
        also for one that was taken away: what it has is not known."""
        for files in self._files():
            if not self._is_real:
                continue
            require_known(files)
            if files.journal.exists():
                with closing(self._reading(files)) as journal:
                    yield journal

    def _reading(self, files: AccountFiles) -> Journal:
        """Raises JournalError."""
        is_free = not self.pid and files.name not in self._up.holders  # nobody writes it
        return Journal.reading(files.journal, at_rest=is_free)

    def _files(self) -> list[AccountFiles]:
        if self.mode == "record":
            return []
        return [
            account_files(self.loaded, key, paper=not self._is_real) for key in self.loaded.traded
        ]

    @cached_property
    def _risk(self) -> dict[str, RiskState]:
        """By venue; one that can't be read is left out, and told as a halt is."""
        found = {}
        for key, files in zip(self.loaded.traded, self._files(), strict=False):
            try:
                found[key] = RiskStateFile(files.risk).load()
            except RiskStateError:  # `halts` tells it
                continue
        return found

    # -- how it is -----------------------------------------------------------------------------

    def status(self) -> told.Status:
        """Never raises for a file that is damaged: that is what it tells."""
        config, now_ns = self.loaded.config, time.time_ns()
        last = None if self.pid or self.killed is not None else self._last
        begun_ns = 0 if last is None else last.stamp.begun_ns
        if self.killed is not None and not self.pid:
            begun_ns = self.killed.begun.begun_ns
        damage = ""
        orders: list[told.OrderTold] | None = None
        fills = None if last is None or self._is_real else int(last.summary["fills"])
        try:
            orders = self.orders()
            if not self.pid:  # else nobody knows which are this run's
                counts = [journal.fill_count() for journal in self._journals()]
                fills = sum(counts) if counts else fills
        except JournalError as error:
            damage = f"{error.code}: {error.message}"
            orders = fills = None
        unknown = None if orders is None else sum(one.is_unknown for one in orders)
        limits, equity = Limits.of(config.risk), Equity(self._states())
        equity.roll(now_ns)
        kills, halts = self.kills(), self.halts()
        return told.Status(
            name=config.name,
            mode=self.mode,
            state=self._state,
            version=versions()["fairlead"],
            config=str(self.loaded.path),
            started_ns=begun_ns,
            now_ns=now_ns,
            is_controlled=False,
            wrong=self._wrong(kills, halts, orders or [], damage),
            strategies=[one.id for one in config.strategies] if self.mode != "record" else [],
            venues=list(config.venues),
            accounts=self._accounts(),
            kills=[of_kill(one) for one in kills],
            halts=[_halt(one) for one in halts],
            faulted={},
            open_orders=None if orders is None else len(orders),
            unknown_orders=unknown,
            fills=fills,
            denials=None if last is None else sum(last.summary["denials"].values()),
            streams=[],
            oldest_stream="",
            clocks=[],
            budgets=[],
            compared=[],
            losses=list(losses_within(equity, limits)),
            worth=[],
            latencies=[],
            loop_lag_ms=None,
        )

    @cached_property
    def _sign(self) -> tuple[Sign, float] | None:
        """Of the run that is up, with its age in seconds."""
        return sign_of(self.loaded, self.mode, self.pid) if self.pid else None

    @property
    def is_up(self) -> bool:
        """Whether the loop of the run has to turn; of one that tells nothing it is taken so."""
        return self._sign is None or self._sign[0].is_up

    @property
    def _state(self) -> str:
        if not self.pid:
            return STOPPED
        return "running" if self._sign is None else self._sign[0].state

    def _states(self) -> RiskStates:
        """A copy: what reckons with it changes it."""
        files = {
            key.upper(): RiskStateFile(one.risk)
            for key, one in zip(self.loaded.traded, self._files(), strict=False)
            if key in self._risk
        }
        return RiskStates(files)

    def _accounts(self) -> list[str]:
        if self.mode == "record":
            return []
        if not self._is_real:
            return [PAPER]
        return list(dict.fromkeys(one.account for one in self.loaded.config.venues.values()))

    def kills(self) -> tuple[Kill, ...]:
        """In force."""
        venues = self.loaded.config.venues.items()
        names = {key: venue.account for key, venue in venues}
        return KillState(self.loaded.state_dir / FOLDER, names).in_force()

    def kill_file(self) -> str | None:
        """What the kill switch's own file says; None: it is not there."""
        return switch_of(self.loaded, None).reason()

    def halts(self, *, every: bool = False) -> list[FoundHalt]:
        """Of the accounts of this mode, or of `every` account that the folder keeps."""
        folder = self.loaded.state_dir
        names = {key: self.loaded.config.venues[key].account for key in self.loaded.traded}
        mine = {str(one.risk) for one in self._files()}
        found = halts_in(folder, accounts_of(folder, names))
        return [one for one in found if every or one.file in mine]

    @property
    def paper_run(self) -> Run | None:
        """The kept run that answers for paper, where none is up."""
        return self._last if self.mode == "paper" and not self.pid else None

    @cached_property
    def _last(self) -> Run | None:
        """The last run of this config and mode that is kept; one that was killed is not."""
        for number, folder in enumerate(newest(self.loaded.state_dir)):
            if number >= RUNS_LOOKED_AT:
                break
            try:
                run = Run.at(folder)
                found = run.manifest
                if (found.name, found.mode) == (self.loaded.config.name, self.mode):
                    _ = run.stamp, run.summary["fills"], run.summary["denials"]
                    return run
            except (FairleadError, LookupError, TypeError):  # `fairlead runs show` tells of damage
                continue
        return None

    @cached_property
    def killed(self) -> Found | None:
        """The last run of this config and mode, where it was killed or cut short: its figures are
        nowhere."""
        kept_ns = 0 if self._last is None else self._last.stamp.begun_ns
        mine = (self.loaded.config.name, self.mode)
        found = [
            one
            for one in begun_in(self.loaded.state_dir)
            if one.state != "running" and (one.begun.name, one.begun.mode) == mine
        ]
        return found[-1] if found and found[-1].begun.begun_ns > kept_ns else None

    def _wrong(
        self,
        kills: tuple[Kill, ...],
        halts: list[FoundHalt],
        orders: list[told.OrderTold],
        damage: str,
    ) -> list[told.Wrong]:
        found = list(self._of_files(kills, halts, damage))
        if self.pid:
            found += self._of_run({one.code for one in found})
        else:
            found += self._at_rest(orders)
        return sorted(found, key=lambda one: (one.level, one.code != NO_ANSWER))

    def _of_files(
        self,
        kills: tuple[Kill, ...],
        halts: list[FoundHalt],
        damage: str,
    ) -> Iterator[told.Wrong]:
        for kill in kills:
            yield _bad("KILLED", f"{kill}; nothing is created until a person clears it")
        if (file := self.kill_file()) is not None:
            yield _bad("KILLED", file)
        for halt in halts:
            yield _bad("RISK-STATE" if halt.problem else "HALTED", str(halt))
        if damage:
            yield _bad("JOURNAL", damage)
            return
        try:
            for one in self._bare(kills):
                yield _bad("NO-STOP", of_bare(one).text)
        except JournalError as error:
            yield _bad("JOURNAL", f"{error.code}: {error.message}")

    def _bare(self, kills: tuple[Kill, ...]) -> Iterator[Bare]:
        """Raises JournalError."""
        for key, files in zip(self.loaded.traded, self._files(), strict=False):
            if self._is_real and files.journal.exists():
                account = self.loaded.config.venues[key].account
                with closing(self._reading(files)) as journal:
                    yield from bare_positions(journal, key, account, kills)

    def _of_run(self, by_files: set[str]) -> Iterator[told.Wrong]:
        """What the run that is up says, but for what the files have told, which are newer."""
        if self._sign is None:
            why = unwritable(self.loaded.state_dir)
            yield told.Wrong(
                level="look" if why is None else "bad",
                code=NO_SIGN,
                text=redact(
                    "the run has given no sign of how it is: streams, books, clocks, strategies "
                    f"and limits were not looked at, only its files{_takes_none(why)}"
                ),
            )
            return
        sign, age_secs = self._sign
        if (late := self._late(sign, age_secs)) is not None:
            yield late
        if "KILLED" in by_files:
            by_files = {*by_files, "STOPPED"}  # the same, by the gate
        yield from (one for one in sign.wrong if one.code not in by_files)

    def _late(self, sign: Sign, age_secs: float) -> told.Wrong | None:
        """What a sign's age means. A start imports and reads for as long as it takes."""
        level: told.Level = "bad" if sign.is_up else "look"
        if age_secs < -SLACK_SECS:
            text = (
                f"the run's sign is of {-age_secs:.0f} s from now: the clock was set back, and it "
                "has given none since; whether its loop turns is not known"
            )
            return told.Wrong(level=level, code=NO_SIGN, text=text)
        is_late = age_secs > self.loaded.config.run.stuck_secs + SLACK_SECS
        why = unwritable(self.loaded.state_dir) if age_secs > SLACK_SECS else None
        if why is None and not is_late:
            return None
        none_for = f"the run has given no sign for {age_secs:.0f} s"
        if why is not None:
            text = f"{none_for}{_takes_none(why)}; what follows of it is from before"
            return _bad(NO_SIGN, text)
        if level == "look":
            text = f"{none_for}: it is {sign.state}, and its loop has had no turn"
            return told.Wrong(level=level, code=NO_SIGN, text=text)
        return _bad(
            NO_ANSWER,
            f"{none_for}: its loop stands still, or it can't write. Then no order and no cancel "
            "goes on (`fairlead kill` works all the same); LOOP-STUCK in its log names what it is "
            "at; what follows of it is from before",
        )

    def _at_rest(self, orders: list[told.OrderTold]) -> Iterator[told.Wrong]:
        """Where no run is up."""
        holders = self._up.holders
        have = [f"{who} has its account {account}" for account, who in holders.items()]
        none = f"no {self.mode} run of {self.loaded.config.name} is up"
        last = None if self.killed is not None else self._last
        if last is not None and self._is_real and not holders:
            yield from self._unprotected(last)
        yield _bad("NOT-RUNNING", "; ".join([none, *have]))
        keys = zip(self.loaded.traded, self._files(), strict=False)
        held = {key.upper() for key, files in keys if files.name in holders}
        orders = [one for one in orders if one.instrument.rpartition(".")[2] not in held]
        if unproven := sum(one.is_unknown for one in orders):
            yield _bad(
                "UNKNOWN", f"{unproven} orders have no proven outcome, and no run asks: start one"
            )
        if resting := len(orders) - unproven:
            text = f"{resting} orders are open by the journal, and no run looks after them"
            yield told.Wrong(level="look", code="OPEN", text=text)
        if (killed := self.killed) is not None:
            crashed = ", or it crashed" if killed.state == "killed" else ""
            text = f"the last run, {killed.begun.id}, {killed.end}{crashed}: nothing is summed up"
            yield told.Wrong(level="look", code="LAST-RUN", text=redact(text))
            return
        if last is not None and last.manifest.exit_code:
            text = f"the last run, {last.id}, ended with {last.manifest.exit_code}: "
            # Without its journal a start knows nothing of what was sent: a person must act first
            is_bad = last.manifest.outcome.startswith(JOURNAL_LOST)
            yield told.Wrong(
                level="bad" if is_bad else "look",
                code="LAST-RUN",
                text=redact(text + last.manifest.outcome),
            )

    def _unprotected(self, last: Run) -> Iterator[told.Wrong]:
        """Positions that the last run has left without a stop, and that nobody has closed since;
        those that it left at an ordered stop, by the config's word, are to be looked at."""
        held: set[str] | None = None
        try:
            positions = [one for journal in self._journals() for one in journal.positions()]
            held = {f"{one.instrument} ({one.strategy})" for one in positions if one.quantity}
        except JournalError:  # what it told last is all that is known
            pass
        level: told.Level = "bad" if last.manifest.exit_code else "look"
        for text in unprotected(last.summary.get("notes", ()), held):
            yield told.Wrong(level=level, code="NO-STOP", text=redact(f"{text} (the last run)"))


def _bad(code: str, text: str) -> told.Wrong:
    return told.Wrong(level="bad", code=code, text=redact(text))


def _takes_none(why: str | None) -> str:
    """Of the state folder."""
    return "" if why is None else f"; its state folder takes no file ({why})"


def _halt(one: FoundHalt) -> told.HaltTold:
    return told.HaltTold(
        venue=one.venue,
        account=one.account,
        code=one.code,
        reason=redact(one.problem or one.reason),
        ts_ns=one.ts_ns,
    )


def of_fill(client_order_id: str, strategy: str, fill: VenueFill) -> told.FillTold:
    """Of a journal's."""
    return told.FillTold(
        client_order_id=client_order_id,
        trade_id=fill.trade_id,
        strategy=strategy,
        instrument=fill.instrument,
        side=fill.side.value,
        quantity=plain(fill.quantity),
        price=plain(fill.price),
        fee=plain(fill.fee),
        fee_currency=fill.fee_currency,
        is_maker=fill.is_maker,
        ts_ns=fill.ts_event,
    )


def _position(
    name: str,
    parts: list[Position],
    mark: Decimal | None,
    held: Held | None,
    unit: str,
    *,
    is_real: bool,
) -> told.PositionTold:
    """`base` is empty: only a venue tells it. A paper run has no journal."""
    kept = sum((one.quantity for one in parts), Decimal(0))
    worth = None
    if held is not None and mark is not None and is_real:
        worth = kept * abs(unit_worth(held.multiplier, mark, inverse=held.inverse))
    return told.PositionTold(
        instrument=name,
        base="",
        quote="" if held is None else held.currency,
        unit=unit,
        engine=None,
        journal=plain(kept) if is_real else None,
        venue=None,
        mark=None if mark is None else plain(mark),
        worth=None if worth is None else plain(round(worth, 8)),
        is_apart=False,
        strategies=[
            told.PartTold(
                strategy=one.strategy,
                engine=None,
                journal=plain(one.quantity),
                avg_price=None if one.avg_price is None else plain(round(one.avg_price, 8)),
            )
            for one in sorted(parts, key=lambda part: part.strategy)
            if one.quantity
        ],
    )
