"""The report as one HTML file with charts of plotly, which is in it: it needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec

from fairlead.engine.observe.account import unit_of as unit_counted
from fairlead.engine.observe.arrivals import Arrivals
from fairlead.engine.research import pictures
from fairlead.engine.research.columns import HORIZONS_SECS
from fairlead.engine.research.extra import need
from fairlead.engine.research.runs import Run

HASH_CHARS = 12
GAPS_MAX = 50
TRADES_MAX = 200  # listed; all of them count, and are in the JSON
HOURS_MAX = 72  # in the table; the chart has all
STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f9; color: #1d2433;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 20px 16px 60px; }
h1 { font-size: 24px; margin: 0 0 2px; }
h2 { font-size: 17px; margin: 0 0 10px; }
.sub, .note { color: #5b6578; } .note { font-size: 13px; margin: 8px 0 0; }
section { background: #fff; border: 1px solid #e2e6ee; border-radius: 10px; padding: 16px;
  margin-top: 16px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px;
  margin-top: 16px; }
.card { background: #fff; border: 1px solid #e2e6ee; border-radius: 10px; padding: 10px 14px; }
.card b { display: block; font-size: 20px; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; line-height: 1.25; }
.card > span { font-size: 12.5px; color: #5b6578; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin: 0; }
dt { color: #5b6578; } dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
dd code { background: #f0f2f7; border-radius: 5px; padding: 1px 6px; }
.wide { overflow-x: auto; } .chart { width: 100%; overflow: hidden; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #5b6578; }
td { text-align: right; } th, td { padding: 4px 10px; border-bottom: 1px solid #edf0f5;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.bad { color: #b3272c; } .good { color: #14805e; }
.warn { border-left: 4px solid #c77700; }
@media (max-width: 620px) { main { padding: 14px 8px 40px; } section { padding: 12px 10px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 7px; } h1 { font-size: 20px; }
  .cards { grid-template-columns: 1fr 1fr; } .card b { font-size: 16px; } }
"""
SCRIPT = """
document.querySelectorAll('.chart').forEach(function (at) {
  var told = JSON.parse(document.getElementById(at.dataset.figure).textContent);
  if (window.innerWidth < 620) { told.layout.font.size = 10; told.layout.legend.font = {size: 10}; }
  Plotly.newPlot(at, told.data, told.layout,
    {responsive: true, displaylogo: false, scrollZoom: false,
     modeBarButtonsToRemove: ['lasso2d', 'select2d', 'autoScale2d'],
     displayModeBar: window.innerWidth < 620 ? false : 'hover'});
});
"""


class Page:
    """Collects sections and figures."""

    def __init__(self) -> None:
        self.body: list[str] = []
        self._figures = 0

    def chart(self, told: pictures.Figure) -> str:
        name = f"figure-{self._figures}"
        self._figures += 1
        data = msgspec.json.encode(told).decode().replace("<", "\\u003c")
        return (
            f'<script type="application/json" id="{name}">{data}</script>'
            f'<div class="chart" data-figure="{name}"></div>'
        )

    def section(self, title: str, *parts: str, style: str = "") -> None:
        inner = "".join(parts)
        self.body.append(f'<section class="{style}"><h2>{escape(title)}</h2>{inner}</section>')


def page_of(told: dict[str, Any], run: Run, other: Run | None) -> str:
    """The whole file. Raises FairleadError RESEARCH-EXTRA."""
    page = Page()
    strip = told["strip"]
    title = f"{strip['name']} ({strip['mode']})"
    page.body.append(f"<h1>{escape(title)}</h1><p class='sub'>{escape(_period(strip))}</p>")
    page.body.append(f"<div class='cards'>{''.join(_cards(told))}</div>")
    page.section("What it rests on", _rests(strip), style="warn" if strip["damage"] else "")
    if "compare" in told:
        page.section(f"Beside {told['compare']['run']}", _beside(told["compare"]))
    for one in told["worth"]:
        where = (one["venue"], one["currency"])
        picture = page.chart(pictures.equity(run, *where))
        if other is not None:
            both = page.chart(pictures.pnl(run, other, *where))
            page.section(f"PnL of both, {' '.join(where)}", both)
        page.section(f"Equity and drawdown, {' '.join(where)}", picture, _worth(one))
    for name in sorted({row["instrument"] for row in run.rows("marks")}):
        page.section(f"{name}: price, orders and fills", page.chart(pictures.price(run, name)))
    page.section(
        "Execution",
        _execution(told["execution"]),
        _mark_outs(told["execution"]) if _has_mark_outs(told) else "",
        page.chart(pictures.mark_outs(told["execution"])) if _has_mark_outs(told) else "",
        note(
            "Mark-out: the mid so long after a fill against its price, in bps of it, with its "
            "standard error; positive is a gain; not known where the book was gone then, or the "
            "run over. Slippage: the price against the mid at the decision; positive is a "
            "cost. Queue: from the venue's acceptance to a maker's fill."
        ),
    )
    _times(page, told)
    page.section("Trades, flat to flat", _trades(told["trades"]))
    page.section("Risk gate and venue", _gate(told["gate"]))
    if told["gaps"] or told["notes"]:
        page.section("Gaps and notes", _gaps(told["gaps"]), _list(told["notes"]))
    return document(title, page)


def document(title: str, page: Page) -> str:
    """The file. Raises FairleadError RESEARCH-EXTRA."""
    plotly = need("plotly.offline", "an HTML report")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<main>{''.join(page.body)}</main>"
        f"<script>{plotly.get_plotlyjs()}</script><script>{SCRIPT}</script></body></html>\n"
    )


# -- parts


def _cards(told: dict[str, Any]) -> Iterator[str]:
    for one in told["worth"]:
        yield card(f"PnL, {one['venue']}", _money(one["pnl"], one["currency"]), one["pnl"])
        share = one["drawdown_share"]
        more = "" if share is None else f" ({share:.2%})"
        if one["looks_secs"] is not None:
            more += f", looked at every {one['looks_secs']:g} s"
        yield card(f"deepest fall of equity{more}", _money(-one["drawdown"], one["currency"]))
    fills = sum(one["fills"] for one in told["execution"])
    known = [one["makers"] for one in told["execution"] if one["makers"] is not None]
    is_told = len(known) == len(told["execution"])
    orders = sum(one["orders"] for one in told["execution"])
    yield card(f"fills of {orders:,} orders", f"{fills:,}")
    yield card("of them as maker", f"{sum(known) / fills:.0%}" if fills and is_told else "-")
    count = sum(told["gate"]["denials"].values())
    yield card("refused by the gate", f"{count:,}")


def card(label: str, value: str, sign: float = 0.0) -> str:
    tone = "good" if sign > 0 else "bad" if sign < 0 else ""
    return f"<div class='card'><span>{escape(label)}</span><b class='{tone}'>{value}</b></div>"


def _period(strip: dict[str, Any]) -> str:
    secs = (strip["end_ns"] - strip["start_ns"]) / 1e9
    return f"{_at(strip['start_ns'])} to {_at(strip['end_ns'])} UTC, {_lasting(secs)}"


def _rests(strip: dict[str, Any]) -> str:
    gaps, execution = strip["gaps"], strip["execution"]
    crossed = "not recorded"
    if gaps is not None:
        kinds = ", ".join(f"{name} {count}" for name, count in gaps["kinds"].items())
        crossed = f"{gaps['count']} ({gaps['seconds']:.3f} s; {kinds})" if kinds else "none"
    rows: list[tuple[str, str]] = [
        ("outcome", escape(f"{strip['outcome']} (exit {strip['exit_code']})")),
        ("gaps crossed", escape(crossed)),
        ("execution", escape(_simulated(execution))),
        *(("latency measured", escape(text)) for text in _measured(strip["arrivals"])),
        *(("fees", escape(text)) for text in _fees(strip["fees"])),
        *(("marks", escape(text)) for text in _alike(strip["marks"])),
        *(
            ("parameters", escape(f"{one['id']}: {_params(one['params'])}"))
            for one in strip["strategies"]
        ),
        ("trials", escape(_trials(strip))),
        (
            "inputs",
            f"{short_hash(strip['inputs'])} = config {short_hash(strip['config'])}, data "
            f"{short_hash(strip['data'])}, seed {strip['seed']}",
        ),
        ("versions", escape(", ".join(f"{name} {v}" for name, v in strip["versions"].items()))),
        ("again by", f"<code>{escape(strip['command'])}</code>"),
        *(("changed", f"<b class='bad'>{escape(what)}</b>") for what in strip["damage"]),
    ]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _simulated(execution: dict[str, Any] | None) -> str:
    if execution is None:
        return "at the venue, at its fees"
    queue, used = (
        "on" if execution[name] else "OFF" for name in ("queue_position", "liquidity_consumption")
    )
    latency = execution.get("latency") or f"{execution['latency_ms']} ms"
    return f"latency {latency}, queue position {queue}, consumption {used}"


def _measured(arrivals: dict[str, Any] | None) -> list[str]:
    return [] if arrivals is None else [str(msgspec.convert(arrivals, Arrivals))]


def _fees(fees: dict[str, Any]) -> list[str]:
    told = {}
    for name, rates in fees.items():
        if rates["buy"] is not None:
            text = f"{rates['buy']} buy, {rates['sell']} sell"
        else:
            text = f"{rates['maker']} maker, {rates['taker']} taker"
        base = ", a buyer pays in base" if rates["buy_in_base"] else ""
        told[name] = f"{text} ({rates['source']}{base})"
    return _alike(told)


def _alike(of: dict[str, str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, text in of.items():
        groups.setdefault(text, []).append(name)
    return [f"{text}: {', '.join(names)}" for text, names in groups.items()]


def _params(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items() if value is not None)


def _trials(strip: dict[str, Any]) -> str:
    if strip["study"] is not None:
        return ", ".join(f"{name} {value}" for name, value in strip["study"].items())
    if strip["trials"] is None:
        return "not counted: no recorded data was read"
    if strip["trials"] == 1:
        return "1: no other run on this data is kept beside it"
    return f"{strip['trials']} different runs on this data are kept beside each other"


def _beside(told: dict[str, Any]) -> str:
    data = "the same data" if told["same_data"] else "OTHER DATA"
    orders = "the same orders" if told["same_orders"] else "other orders"
    differs = note("Their configs are equal.")
    if told["differs"]:
        differs = table(
            ["key of the config", "this run", "the other"],
            [[one["key"], _plain(one["this"]), _plain(one["other"])] for one in told["differs"]],
        )
    rows = []
    for one in told["figures"]:
        mine, theirs = one["this"], one["other"]
        both = isinstance(mine, int | float) and isinstance(theirs, int | float)
        apart = number(mine - theirs, signed=True) if both else "-"
        rows.append([one["name"], number(mine), number(theirs), apart])
    figures = table(["figure", "this run", "the other", "difference"], rows)
    return f"{note(f'On {data}, with {orders}.')}{differs}<br>{figures}"


def _worth(one: dict[str, Any]) -> str:
    rows = [
        ("equity", f"{number(one['start'])} to {number(one['end'])} {one['currency']}"),
        (
            "by its fills",
            f"{_money(one['pnl'], one['currency'])}, at the deepest "
            f"{_money(-one['pnl_drawdown'], one['currency'])} under its best",
        ),
        ("left alone", _money(one["kept"], one["currency"])),
        ("held", f"{_money(one['held'], one['currency'])}, all of it in the instruments"),
    ]
    if one["crossed"]:
        crossed = f"{_money(one['crossed'], one['currency'])}, of the same balances"
        rows.insert(2, ("by what is quoted in other currencies", crossed))
    found = one["returns"]
    if found is not None:
        ratio = "no variation" if found["ratio"] is None else f"{found['ratio']:+.3f}"
        error = "" if found["ratio_error"] is None else f" ± {found['ratio_error']:.3f}"
        rows.append((f"return a {_lasting(found['secs'])}", f"{_mean(found['bps'])} bps"))
        rows.append(("mean / deviation", f"{ratio}{error} (independent returns assumed)"))
    else:
        rows.append(("returns", "too short a run to say"))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _execution(rows: Sequence[dict[str, Any]]) -> str:
    head = ["strategy, instrument", "orders", "sent", "with fills", "fills", "maker"]
    head += ["turnover", "accepted ms", "queue s", "slippage bps"]
    body = []
    for one in rows:
        sent = one["sent"]
        share = f" ({one['with_fills'] / sent:.1%})" if sent else ""
        queue = one["queue_ms"]["median"]
        body.append(
            [
                f"{one['strategy']}, {one['instrument'].rpartition('.')[0]}",
                f"{one['orders']:,}",
                f"{sent:,}",
                f"{one['with_fills']:,}{share}",
                f"{one['fills']:,}",
                "-" if one["maker_share"] is None else f"{one['maker_share']:.0%}",
                _amount(one["turnover"], one["currency"] or ""),
                number(one["accepted_ms"]["median"]),
                number(None if queue is None else queue / 1000),
                _mean(one["slippage_bps"]),
            ]
        )
    return table(head, body)


def _mark_outs(rows: Sequence[dict[str, Any]]) -> str:
    body = [
        [
            f"{one['strategy']}, {one['instrument'].rpartition('.')[0]}",
            side,
            *(_mark_out(found) for found in one["mark_outs"][side].values()),
        ]
        for one in rows
        for side in (("all",) if one["makers"] is None else ("maker", "taker"))
        if any(found["count"] for found in one["mark_outs"][side].values())
    ]
    ends = [f"after {secs} s, bps (fills)" for secs in HORIZONS_SECS]
    return table(["strategy, instrument", "as", *ends], body)


def _mark_out(found: dict[str, Any]) -> str:
    unknown = f", {found['unknown']} not known" if found["unknown"] else ""
    return f"{_mean(found)} ({found['count']}{unknown})"


def unit_of(one: dict[str, Any]) -> str:
    """What a summary's row counts positions in; older runs tell no contract."""
    return unit_counted(one.get("contract", ""), one["base"])


def _has_mark_outs(told: dict[str, Any]) -> bool:
    return any(
        value["count"] for one in told["execution"] for value in one["mark_outs"]["all"].values()
    )


def _times(page: Page, told: dict[str, Any]) -> None:
    parts = table(
        ["strategy, instrument", "net", "realized", "unrealized", "fees", "position"],
        [
            [
                f"{one['strategy']}, {one['instrument'].rpartition('.')[0]}",
                _money(float(one["net"]), one["quote"]),
                *(number(float(one[name])) for name in ("realized", "unrealized", "fees_value")),
                f"{number(float(one['position']))} {escape(unit_of(one))}",
            ]
            for one in told["strategies"]
        ],
    )
    page.section("By strategy", parts)
    for title, rows in (("By hour", told["by_hour"]), ("By day", told["by_day"])):
        if len(rows) < 2:
            continue
        body = [
            [
                row["time"],
                ", ".join(_money(value, name) for name, value in row["pnl"].items()) or "-",
                f"{row['fills']:,}",
                ", ".join(_amount(value, name) for name, value in row["turnover"].items()) or "-",
            ]
            for row in rows[-HOURS_MAX:]
        ]
        listed = table([f"UTC, the last {len(body)}", "PnL", "fills", "turnover"], body)
        page.section(f"{title} (UTC)", page.chart(pictures.by_time(rows)), listed)


def _trades(told: dict[str, Any]) -> str:
    found = told["list"]
    if not found:
        return note("none was closed")
    heads = [_closed(name, one) for name, one in told["by_currency"].items()]
    rows = [
        [
            "before the run" if one["opened"] is None else _at(one["opened"]),
            f"{one['strategy']}, {one['instrument'].rpartition('.')[0]}",
            one["side"],
            number(one["largest"]),
            str(one["fills"]),
            "-" if one["opened"] is None else _lasting((one["closed"] - one["opened"]) / 1e9),
            _money(one["pnl"], one["currency"]),
        ]
        for one in found[-TRADES_MAX:]
    ]
    names = ["opened (UTC)", "strategy, instrument", "side", "largest", "fills", "lasted", "PnL"]
    cut = f"The last {TRADES_MAX}; all are in the JSON." if len(found) > TRADES_MAX else ""
    return f"{''.join(heads)}{table(names, rows)}{note(cut)}"


def _closed(currency: str, told: dict[str, Any]) -> str:
    pnl, factor = told["pnl"], told["profit_factor"]
    head = (
        f"{pnl['count']:,} closed, mean {_mean(pnl)} {currency}, {told['won']:.0%} gained, profit "
        f"factor {'-' if factor is None else f'{factor:.2f}'}, median "
        f"{_lasting(told['secs']['median'] or 0)}"
    )
    return f"<p>{escape(head)}</p>{_shuffled(currency, told['shuffled'])}"


def _shuffled(currency: str, told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    fall, half, most = (
        _amount(told[name], currency) for name in ("fall", "fall_median", "fall_p95")
    )
    return note(
        f"The deepest fall, trade by trade, was {fall}. In {told['times']:,} other orders of the "
        f"same trades it is {half} half of the times, and {most} or more in one of twenty. Drawn "
        f"anew from themselves, they lose in sum in {told['loses']:.0%}."
    )


def _gate(gate: dict[str, Any]) -> str:
    rows = [[f"denied: {code}", f"{count:,}"] for code, count in gate["denials"].items()]
    rows += [[f"rejected: {why}", f"{count:,}"] for why, count in gate["rejections"].items()]
    rows += [[f"never sent: {why}", f"{count:,}"] for why, count in gate["unsent"].items()]
    rows += [[f"never at the venue: {why}", f"{count:,}"] for why, count in gate["absent"].items()]
    rows += [["fault", escape(str(one.get("message", "")))] for one in gate["faults"]]
    return table(["what", "count"], rows) if rows else note("nothing was refused")


def _gaps(gaps: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            _at(one["from_ns"]),
            one["instrument"] or "all",
            one["kind"],
            one["reason"],
            f"{max(0, one['to_ns'] - one['from_ns']) / 1e9:.3f} s",
        ]
        for one in gaps[:GAPS_MAX]
    ]
    return table(["from (UTC)", "instrument", "kind", "reason", "lasted"], rows) if rows else ""


# -- forms


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are text, but for what `_money` has marked up."""
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{one if one.startswith(_SPAN) else escape(one)}</td>' for one in row)}"
        "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><tr>{top}</tr>{body}</table></div>"


def note(text: str) -> str:
    return f"<p class='note'>{escape(text)}</p>" if text else ""


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


_SPAN = "<span class="


def _money(value: float, currency: str) -> str:
    tone = "good" if value > 0 else "bad" if value < 0 else ""
    return f"{_SPAN}'{tone}'>{number(value, signed=True)} {escape(currency)}</span>"


def _amount(value: float, currency: str) -> str:
    return f"{number(value)} {currency}".rstrip()


def number(value: Any, signed: bool = False) -> str:
    """Six digits that count."""
    if value is None:
        return "-"
    value = value or 0  # which has no sign
    if isinstance(value, int):
        return f"{value:+,}" if signed else f"{value:,}"
    size = abs(value)
    places = 2 if size >= 1000 else 4 if size >= 1 else 6
    text = f"{value:+,.{places}f}" if signed and value else f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") or "0"


def _plain(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else str(value)


def _mean(told: dict[str, Any]) -> str:
    if told["mean"] is None:
        return "-"
    error = "" if told["error"] is None else f" ± {told['error']:.3g}"
    return f"{told['mean']:+.3g}{error}"


def _lasting(secs: float) -> str:
    if secs < 120:
        return f"{secs:,.1f} s".replace(".0 s", " s")
    if secs < 7200:
        return f"{secs / 60:.1f} min"
    return f"{secs / 3600:.1f} h" if secs < 172_800 else f"{secs / 86_400:.1f} d"


def short_hash(text: str | None) -> str:
    return "none" if text is None else f"<code title='{text}'>{text[:HASH_CHARS]}</code>"


def _at(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
