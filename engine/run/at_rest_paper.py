"""What a paper run that is over has done: no journal tells it, the kept run does."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.account import unit_of
from fairlead.engine.observe.assumptions import plain
from fairlead.engine.observe.backtest_story import SUMMARY_FILE
from fairlead.engine.observe.page import told
from fairlead.engine.research.runs import Run

IS_MAKER = {"MAKER": True, "TAKER": False}


class _Fill(msgspec.Struct, frozen=True):
    """Of the table `fills`, what is told."""

    client_order_id: str
    trade_id: str
    strategy: str
    instrument: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    fee_currency: str | None
    liquidity: str | None
    ts_event: int


class _Position(msgspec.Struct, frozen=True):
    strategy: str
    instrument: str
    position: Decimal
    average: Decimal


class Summed(msgspec.Struct, frozen=True):
    """An instrument of a run's summary; older runs tell no contract."""

    instrument: str
    mark: Decimal | None
    base: str = ""
    contract: str = ""

    @property
    def unit(self) -> str:
        return unit_of(self.contract, self.base)


class _Summary(msgspec.Struct, frozen=True):
    instruments: list[Summed]


def fills(run: Run, most: int) -> list[told.FillTold]:
    """The newest, the newest last. Raises FairleadError `RUN-DAMAGED`."""
    return [
        told.FillTold(
            client_order_id=one.client_order_id,
            trade_id=one.trade_id,
            strategy=one.strategy,
            instrument=one.instrument,
            side=one.side,
            quantity=plain(one.quantity),
            price=plain(one.price),
            fee=plain(one.fee or Decimal(0)),
            fee_currency=one.fee_currency or "",
            is_maker=IS_MAKER.get(one.liquidity or ""),
            ts_ns=one.ts_event,
        )
        for one in _rows(run, "fills", _Fill)[-most:]
    ]


def positions(run: Run, instruments: tuple[str, ...]) -> list[told.PositionTold]:
    """At the run's end, of its own fills: what the simulated account began with is no part of it.

    Raises FairleadError `RUN-DAMAGED`.
    """
    summed = summed_of(run)
    ends = {(one.instrument, one.strategy): one for one in _rows(run, "positions", _Position)}
    held = dict.fromkeys((*instruments, *(name for name, _ in ends)))
    parts = sorted(ends.items())
    return [
        _position(name, [one for (of, _), one in parts if of == name], summed.get(name))
        for name in held
    ]


def _position(name: str, parts: list[_Position], summed: Summed | None) -> told.PositionTold:
    mark = None if summed is None else summed.mark
    return told.PositionTold(
        instrument=name,
        base="",
        quote="",
        unit="" if summed is None else summed.unit,
        engine=plain(sum((one.position for one in parts), Decimal(0))),
        journal=None,
        venue=None,
        mark=None if mark is None else plain(mark),
        worth=None,
        is_apart=False,
        strategies=[
            told.PartTold(
                strategy=one.strategy,
                engine=plain(one.position),
                journal=None,
                avg_price=plain(round(one.average, 8)),
            )
            for one in parts
            if one.position
        ],
    )


def summed_of(run: Run) -> dict[str, Summed]:
    """How a run of any mode was summed up, by instrument. Raises FairleadError `RUN-DAMAGED`."""
    try:
        summed = msgspec.convert(run.summary, _Summary)
    except msgspec.ValidationError as error:
        where = f"{run.folder}/{SUMMARY_FILE}"
        raise FairleadError("RUN-DAMAGED", f"{where}: {error}", int(Exit.BAD_DATA)) from error
    return {one.instrument: one for one in summed.instruments}


def _rows[T](run: Run, name: str, kind: type[T]) -> list[T]:
    try:
        return msgspec.convert(run.rows(name), list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        where = f"{run.folder}/{name}.jsonl"
        raise FairleadError("RUN-DAMAGED", f"{where}: {error}", int(Exit.BAD_DATA)) from error
