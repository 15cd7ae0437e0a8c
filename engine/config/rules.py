"""Rules that hold between the keys of a config. Each reads the raw table and reports.

The rules run beside the walk over the types, also when that found something, so that a person
sees everything at once. A rule passes over what has the wrong type: the walk reports it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fairlead.engine.config import latency
from fairlead.engine.config.observed import PAGE_ADDRESS
from fairlead.engine.config.problems import (
    KeyPath,
    came_text,
    did_you_mean,
    near_market,
    nearest,
    some,
)
from fairlead.engine.config.walk import Report
from fairlead.engine.orders.files import PAPER
from fairlead.engine.orders.key_lock import is_loopback
from fairlead.engine.secrets import is_reference

RECORDED: Final = "recorded"
# What a beginner pays at large exchanges: an example for a config without fees.
SPOT_FEES: Final = '{ maker = "0.001", taker = "0.001" }'
MARGIN_FEES: Final = '{ maker = "0.0002", taker = "0.0005" }'

PORT_MAX: Final = 65_535
NAME_CHARS_MAX: Final = 100  # of what is a part of file names, with other parts beside
_PART_BYTES_MAX: Final = 255  # of a name in a folder, by Linux
_PATH_BYTES_MAX: Final = 3_500  # of a folder: what is in it has 4,095 with it
ENDPOINTS_MAX: Final = 16
ENDPOINT_NAME: Final = r"[A-Za-z0-9_-]{1,32}"  # a label of metrics, a word of log lines
OF_INSTRUMENTS: Final = ("max_order_quantity", "max_position", "min_position")  # keys of [risk]
OF_MONEY: Final = (  # keys of [risk], too
    "max_order_notional",
    "max_instrument_exposure",
    "max_venue_exposure",
    "max_account_exposure",
    "max_resting_notional",
    "max_daily_loss",
    "max_drawdown",
)

_VENUE_KEY = re.compile(r"[a-z][a-z0-9_]*")
_INSTRUMENT = re.compile(
    r"(?P<id>[A-Za-z0-9_/:-]+\.(?P<venue>[A-Za-z][A-Za-z0-9_]*))"
    r"(?:-[0-9]+-[A-Z_]+-(?:LAST|BID|ASK|MID|MARK)-(?:INTERNAL|EXTERNAL)(?:@.+)?)?"
)
_FOLDER_KEYS = (("run", "state_dir"), ("record", "dir"), ("backtest", "catalog"))
_INSTRUMENT_KEYS = ("instrument_id", "instrument_ids", "bar_type", "bar_types")


def check_rules(raw: Mapping[str, Any], adapters: tuple[str, ...], report: Report) -> None:
    """Run every rule; `adapters` are the names in the registry."""
    _length(raw.get("name"), ("name",), report)
    for name, venue in _tables(raw.get("venues")):
        path: KeyPath = ("venues", name)
        _length(name, path, report, at_value=False)
        _length(venue.get("account"), (*path, "account"), report)
        _venue_key(name, path, report)
        _account(venue, path, report)
        _adapter(venue, path, adapters, report)
        _credentials(venue, path, report)
        _instruments(name, venue, path, report)
    listed = _listed(raw)
    _strategy_ids(raw, report)
    for position, strategy in enumerate(_list(raw.get("strategies"))):
        params = strategy.get("params") if isinstance(strategy, dict) else None
        if isinstance(params, dict):
            _params(params, ("strategies", position, "params"), listed, report)
    risk = raw.get("risk")
    for option in OF_INSTRUMENTS:
        for instrument in _table(_table(risk).get(option)):
            _known_instrument(instrument, ("risk", option, instrument), listed, report)
    _prices_from(raw, listed, report)
    _limits(raw, report)
    _balances(_table(raw.get("simulated")).get("balances"), report)
    _latency(_table(raw.get("simulated")), report)
    _backtest(_table(raw.get("backtest")), report)
    observe = _table(raw.get("observe"))
    _page(observe, report)
    _alerts(_table(observe.get("alerts")), report)
    _telegram(_table(observe.get("telegram")), report)
    for section, key in _FOLDER_KEYS:
        _folder(_table(raw.get(section)).get(key), (section, key), report)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tables(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, inner in _table(value).items():
        if isinstance(inner, dict):
            yield name, inner


def _listed(raw: Mapping[str, Any]) -> dict[str, list[str]]:
    """Instrument ids by NautilusTrader venue name."""
    return {
        name.upper(): [text for text in _list(venue.get("instruments")) if isinstance(text, str)]
        for name, venue in _tables(raw.get("venues"))
    }


def _length(text: Any, path: KeyPath, report: Report, *, at_value: bool = True) -> None:
    """Files of the run are called by it: one that no file can have would be found by each of them,
    and results that can't be kept are lost."""
    if isinstance(text, str) and len(text) > NAME_CHARS_MAX:
        expected = f"a name of at most {NAME_CHARS_MAX} characters"
        came = f"one of {len(text)}"
        report(path, "E-CFG-025", expected, came, "files are called by it", at_value=at_value)


def _venue_key(name: str, path: KeyPath, report: Report) -> None:
    if _VENUE_KEY.fullmatch(name):
        return
    lower = re.sub(r"[^a-z0-9_]", "_", name.lower())
    hint = f"write [venues.{lower}]" if _VENUE_KEY.fullmatch(lower) else ""
    expected = "a lower-case name; in upper case it is NautilusTrader's venue"
    report(path, "E-CFG-037", expected, came_text(name), hint, at_value=False)


def _account(venue: Mapping[str, Any], path: KeyPath, report: Report) -> None:
    """Its files would be those of paper runs, which send nothing, or lie in another folder."""
    account = venue.get("account")
    if not isinstance(account, str):
        return
    lower = account.lower()
    if lower == PAPER or lower.endswith(f"-{PAPER}"):
        expected = f'a name other than "{PAPER}", and not ending in "-{PAPER}": paper runs have it'
    elif not account.strip() or "/" in account or "\0" in account:
        expected = "a name that can be part of a file's"
    else:
        return
    hint = 'account = "main" is what it is without a name'
    report((*path, "account"), "E-CFG-039", expected, came_text(account), hint)


def _adapter(
    venue: Mapping[str, Any], path: KeyPath, adapters: tuple[str, ...], report: Report
) -> None:
    adapter = venue.get("adapter")
    if not isinstance(adapter, str):
        return
    if adapter == RECORDED:
        if "fees" not in venue:
            rates = MARGIN_FEES if venue.get("account_type") == "margin" else SPOT_FEES
            hint = f'add fees = {rates} with the true rates, or fees = "none" for no fees'
            where: KeyPath = (*path, "fees")
            report(where, "E-CFG-034", "the maker and taker rates", "nothing", hint)
        return
    choices = [*adapters, RECORDED]
    if adapter not in choices:
        theirs = f"nautilus:{adapter}"
        near = theirs if theirs in choices else nearest(adapter, choices)
        hint = f'did you mean "{near}"?' if near else ""
        if not adapter.rpartition(":")[2].strip():  # all are as near
            hint = "`fairlead venues` lists them"
        named = sorted(
            {one if ":" not in one else f"{one.partition(':')[0]}:NAME" for one in choices}
        )
        expected = f"one of {', '.join(named)}"
        report((*path, "adapter"), "E-CFG-035", expected, came_text(adapter), hint)


def _credentials(venue: Mapping[str, Any], path: KeyPath, report: Report) -> None:
    for name, reference in _table(venue.get("credentials")).items():
        _reference(reference, (*path, "credentials", name), "at the venue", report)


def _reference(reference: Any, path: KeyPath, where: str, report: Report) -> None:
    """Refuse everything that is not a reference. The value is never shown, nor a part of it."""
    if isinstance(reference, str) and is_reference(reference):
        return
    report(
        path,
        "E-SEC-001",
        "a reference, env:NAME or file:PATH",
        "something else (not shown)",
        "inline secrets are refused: keep it in an environment variable, or in a file of "
        f"mode 0600; if it was a real one, replace it {where}",
    )


def _instruments(name: str, venue: Mapping[str, Any], path: KeyPath, report: Report) -> None:
    seen: set[str] = set()
    for position, text in enumerate(_list(venue.get("instruments"))):
        if not isinstance(text, str):
            continue
        where = (*path, "instruments", position)
        symbol, dot, suffix = text.rpartition(".")
        if not dot:
            symbol, suffix = text, ""
        if suffix != name.upper() or not symbol or not text.isprintable() or " " in text:
            expected = f"an instrument id that ends with .{name.upper()}"
            known = suffix.upper() == name.upper() or nearest(suffix, [name.upper()]) or not dot
            right = f"{symbol.strip()}.{name.upper()}"
            hint = f'did you mean "{right}"?' if known and symbol.strip() else ""
            report(where, "E-CFG-030", expected, came_text(text), hint)
        elif text in seen:
            report(where, "E-CFG-036", "each instrument once", came_text(text), "remove this one")
        seen.add(text)


def _strategy_ids(raw: Mapping[str, Any], report: Report) -> None:
    """NautilusTrader takes the part after the last dash as the order id tag, unique per run."""
    ids: dict[str, int] = {}
    tags: dict[str, str] = {}
    for position, strategy in enumerate(_list(raw.get("strategies"))):
        text = _table(strategy).get("id")
        if not isinstance(text, str) or "-" not in text:
            continue
        name, _, tag = text.rpartition("-")
        where: KeyPath = ("strategies", position, "id")
        free = next(number for number in range(1, len(tags) + 2) if str(number) not in tags)
        hint = f'write "{name}-{free}"'
        if text in ids:
            expected = f"a name that strategies[{ids[text]}] does not have"
            report(where, "E-CFG-031", expected, came_text(text), hint)
        elif tag in tags:
            expected = f"a tag after the last dash that {tags[tag]} does not have"
            report(where, "E-CFG-031", expected, came_text(text), hint)
        ids.setdefault(text, position)
        tags.setdefault(tag, text)


def _params(value: Any, path: KeyPath, listed: Mapping[str, list[str]], report: Report) -> None:
    """Refuse floats, and instrument ids that the config does not list, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _params(inner, (*path, name), listed, report)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _params(inner, (*path, position), listed, report)
    elif isinstance(value, float):
        hint = f'write it as a string, "{value:.15g}"'
        report(path, "E-CFG-021", "an exact decimal as a string", came_text(value), hint)
    elif isinstance(value, str) and (match := _INSTRUMENT.fullmatch(value)):
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        named = key.endswith(_INSTRUMENT_KEYS)
        if named or nearest(match["venue"], list(listed)):
            _known_instrument(match["id"], path, listed, report)


def _known_instrument(
    text: str, path: KeyPath, listed: Mapping[str, list[str]], report: Report
) -> None:
    if not listed:
        return
    symbol, _, venue = text.rpartition(".")
    every = [instrument for instruments in listed.values() for instrument in instruments]
    if text in every:
        return
    if venue in listed:
        expected = f"an instrument of venues.{venue.lower()}.instruments"
        report(path, "E-CFG-032", expected, came_text(text), _or_add(text, listed[venue]))
        return
    near = nearest(venue, list(listed)) if venue else None
    hint = _meant(f"{symbol}.{near}", listed[near]) if near else did_you_mean(text, every)
    expected = f"an instrument id that ends with {' or '.join(f'.{name}' for name in listed)}"
    report(path, "E-CFG-030", expected, came_text(text), hint)


def _meant(text: str, listed: Sequence[str]) -> str:
    """Of an id whose venue's name was written otherwise."""
    return f"did you mean {text}?" if text in listed else _or_add(text, listed)


def _or_add(text: str, listed: Sequence[str]) -> str:
    """ETH_USDT is no misspelled BTC_USDT, as like as they look: it is not in the list."""
    venue = text.rpartition(".")[2].lower()
    add = f"{came_text(text)} to venues.{venue}.instruments"
    if near := near_market(text, listed):
        return f"did you mean {near}? If not, add {add}"
    return f"add {add}, or name one of it: {some(listed)}" if listed else f"add {add}"


def _prices_from(raw: Mapping[str, Any], listed: Mapping[str, list[str]], report: Report) -> None:
    """Both are of the config, and a source has prices of its own."""
    table = _table(raw.get("prices_from"))
    for name, source in table.items():
        path: KeyPath = ("prices_from", name)
        _known_instrument(name, path, listed, report)
        if not isinstance(source, str):
            continue
        _known_instrument(source, path, listed, report)
        if source == name or source in table:
            expected = "an instrument with market data of its own"
            hint = "" if source == name else f"name {table[source]} here"
            report(path, "E-CFG-047", expected, came_text(source), hint)


def _limits(raw: Mapping[str, Any], report: Report) -> None:
    """Where a recorded venue is named, or one of NautilusTrader's own (whose names tell no
    currency), a run knows its instruments, and checks it itself."""
    venues = [venue for _, venue in _tables(raw.get("venues"))]
    listed = [name for names in _listed(raw).values() for name in names]
    adapters = [str(venue.get("adapter")) for venue in venues]
    if not listed or any(name == RECORDED or ":" in name for name in adapters):
        return
    symbols = [name.rpartition(".")[0] for name in listed]
    risk = _table(raw.get("risk"))
    for path, text in money_limits(risk):
        currency = text.rpartition(" ")[2]
        if not any(is_priced_in(symbol, currency) for symbol in symbols):
            quotes = {symbol.rpartition("_")[2] for symbol in symbols}
            report(path, "E-CFG-040", priced_in(quotes), came_text(text))


def priced_in(currencies: Collection[str]) -> str:
    """What is expected of a limit's currency, in words."""
    return f"a currency that an instrument is priced in ({', '.join(sorted(currencies))})"


def money_limits(risk: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Each amount of the limits that are held against orders, and where it stands."""
    for option in OF_MONEY:
        value = risk.get(option)
        if isinstance(value, str):
            yield ("risk", option), value
        for position, text in enumerate(_list(value)):
            if isinstance(text, str):
                yield ("risk", option, position), text


def is_priced_in(symbol: str, currency: str) -> bool:
    """`BTC_USDT` says it; of another form it may be any that the name ends with."""
    base, _, quote = symbol.upper().rpartition("_")
    return quote == currency if base else quote.endswith(currency)


def _balances(balances: Any, report: Report) -> None:
    seen: set[str] = set()
    for position, text in enumerate(_list(balances)):
        if not isinstance(text, str):
            continue
        currency = text.rpartition(" ")[2]
        if currency in seen:
            where = ("simulated", "balances", position)
            report(where, "E-CFG-043", "each currency once", came_text(text), "remove one of them")
        seen.add(currency)


def _latency(simulated: Mapping[str, Any], report: Report) -> None:
    text, path = simulated.get("latency"), ("simulated", "latency")
    if not isinstance(text, str) or re.search(latency.FORM, text) is None:
        return
    try:
        spec = latency.parsed(text)
    except ValueError as error:
        report(path, "E-CFG-065", str(error), came_text(text))
        return
    if spec.kind != latency.FIXED and "latency_ms" in simulated:
        hint = "remove one of them"
        report(path, "E-CFG-065", "a latency, or a latency_ms, not both", came_text(text), hint)


def _backtest(backtest: Mapping[str, Any], report: Report) -> None:
    start, end = backtest.get("start"), backtest.get("end")
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return
    if start.tzinfo is None or end.tzinfo is None:
        return
    if start >= end:
        expected = f"a moment before backtest.end, {end}"
        report(("backtest", "start"), "E-CFG-033", expected, came_text(start))


def _page(observe: Mapping[str, Any], report: Report) -> None:
    """It has a token and no TLS: what other machines can reach is a person's decision."""
    page = observe.get("page")
    if not isinstance(page, str) or re.search(PAGE_ADDRESS, page) is None:
        return
    host, _, port = page.rpartition(":")
    path: KeyPath = ("observe", "page")
    if int(port) > PORT_MAX:
        report(path, "E-CFG-048", f"a port of at most {PORT_MAX}", came_text(page))
    elif observe.get("remote") is not True and not is_loopback(host.strip("[]")):
        hint = "reach it through ssh -L, or set observe.remote = true"
        report(path, "E-CFG-048", "an address of this machine alone", came_text(page), hint)


def _alerts(alerts: Mapping[str, Any], report: Report) -> None:
    path: KeyPath = ("observe", "alerts")
    endpoints = _table(alerts.get("endpoints"))
    for name, reference in endpoints.items():
        _reference(reference, (*path, "endpoints", name), "where it is from", report)
        if re.fullmatch(ENDPOINT_NAME, name) is None:
            expected = "a name of letters, digits, - and _, at most 32"
            report((*path, "endpoints", name), "E-CFG-071", expected, "another", at_value=False)
    if len(endpoints) > ENDPOINTS_MAX:
        expected = f"at most {ENDPOINTS_MAX} endpoints"
        report((*path, "endpoints"), "E-CFG-071", expected, str(len(endpoints)))
    for number, rule in enumerate(_list(alerts.get("rules"))):
        for place, name in enumerate(_list(_table(rule).get("to"))):
            if isinstance(name, str) and name not in endpoints:
                where = (*path, "rules", number, "to", place)
                expected = f"one of observe.alerts.endpoints ({', '.join(endpoints) or 'none'})"
                hint = did_you_mean(name, list(endpoints))
                report(where, "E-CFG-071", expected, came_text(name), hint)


def _telegram(telegram: Mapping[str, Any], report: Report) -> None:
    path: KeyPath = ("observe", "telegram")
    if "token" in telegram:
        _reference(telegram["token"], (*path, "token"), "with BotFather", report)
    api = telegram.get("api")
    if not isinstance(api, str) or not api.startswith("http://"):
        return
    host = re.split(r"[/?#]", api.removeprefix("http://"), maxsplit=1)[0]
    if not is_loopback(re.sub(r":[0-9]*$", "", host).strip("[]")):
        hint = "the bot's token is in every request: write https://"
        report((*path, "api"), "E-CFG-072", "https, or an address of this machine", "http", hint)


def _folder(text: Any, path: KeyPath, report: Report) -> None:
    """That `LoadedConfig.resolve` makes a path of it; the folder itself need not be there."""
    if not isinstance(text, str):
        return
    hint = "a path can't hold a NUL" if "\0" in text else ""
    parts = [len(part.encode(errors="replace")) for part in text.split("/")]
    if max(parts) > _PART_BYTES_MAX or sum(parts) + len(parts) > _PATH_BYTES_MAX:
        hint = f"at most {_PART_BYTES_MAX} bytes a name, {_PATH_BYTES_MAX} in all"
    if text.startswith("~"):
        try:
            Path(text).expanduser()
        except RuntimeError:  # so Python says of a ~ without a home
            user = text.partition("/")[0]
            hint = f"this machine knows no home folder for {user}: write the whole path"
    if hint:
        report(path, "E-CFG-027", "a folder", came_text(text), hint)
