"""Every module that decodes bytes is reached by a fuzz target, or stands here with a reason."""

from __future__ import annotations

import re

from tests.property.fuzzing import ROOT
from tests.property.test_fuzz import NAMES

_DECODES = re.compile(
    r"Decoder\(|(?:json|msgpack)\.decode\(|json\.loads?\(|tomllib\.loads?\(|b64decode|unpack\("
    r"|from_bytes\(|load_pem_|gzip\."
)
TARGETS = {
    "adapters/base/decode.py": "poloniex-rest",
    "adapters/oceanex/parse.py": "oceanex-stream",
    "adapters/oceanex/signing.py": "secret-file",
    "adapters/piexgo/parse.py": "piexgo-frame",
    "adapters/poloniex/errors.py": "poloniex-rest",
    "adapters/poloniex/private_websocket.py": "poloniex-private",
    "adapters/poloniex/websocket.py": "poloniex-public",
    "adapters/zerocap/errors.py": "zerocap",
    "adapters/zerocap/parse.py": "zerocap",
    "engine/cli/explain.py": "explain-config",
    "engine/cli/killing.py": "kill-config",
    "engine/cli/simulate.py": "plan",
    "engine/config/changes.py": "set",
    "engine/config/loader.py": "config",
    "engine/config/toml_lines.py": "toml-lines",
    "engine/files.py": "own-file",
    "engine/observe/backtest_story.py": "backtest-order",
    "engine/observe/explain.py": "explain",
    "engine/observe/alerts/updates.py": "telegram",
    "engine/observe/page/api.py": "page-words",
    "engine/run/log_lines.py": "log-line",
    "engine/orders/journal_reads.py": "journal",
    "engine/orders/journal_check.py": "journal-check",
    "engine/recording/gaps.py": "gaps",
    "engine/recording/importers/binance_wire.py": "binance-wire",
    "engine/recording/importers/bybit.py": "import-bybit-book",
    "engine/recording/importers/hft.py": "import-hftbacktest",
    "engine/recording/importers/lines.py": "lines",
    "engine/recording/importers/listing.py": "exchange-info",
    "engine/recording/parquet_rows.py": "parquet-footer",
    "engine/recording/rawformat.py": "raw-file",
    "engine/recording/raw.py": "raw-file",
    "engine/kill/state.py": "kill-file",
    "engine/risk/state.py": "risk-state",
    "engine/research/runs.py": "kept-run",
    "engine/secrets.py": "secret-file",
}
REASONS = {
    "adapters/simulation/": "a simulated venue: tests/simulation sends it anything",
    "adapters/binance/simulator": "a simulated venue: tests/venues/binance/test_simulator_total.py",
    "adapters/mudawyl/simulator": "a simulated venue: tests/venues/mudawyl/test_simulator_total.py",
    "adapters/oceanex/simulator": "a simulated venue: tests/simulation/test_oceanex_total.py",
    "adapters/piexgo/simulator": "a simulated venue: tests/venues/piexgo/test_simulator_total.py",
    "adapters/poloniex/simulator": "a simulated venue: tests/simulation/test_poloniex_*.py",
    "adapters/zerocap/simulator": "a simulated venue: tests/simulation/test_zerocap_total.py",
    "engine/sessions/": "reads what the same process has just written",
    "engine/observe/alerts/courier.py": "reads the run that has started it",
    "engine/run/demo.py": "reads its own child processes",
    "engine/observe/gone.py": "reads a file without a name that the same process has written",
    "engine/recording/importers/binance_reading.py": "reads its own child process",
    "engine/research/trials.py": "decodes entries whose hashes it has checked",
    "engine/orders/journal_stops.py": "moves of a position in a journal that is checked before",
    "engine/orders/taken_over.py": "one record of a journal: tests/unit/orders/test_taken_over.py",
    "engine/run/taken.py": "one record of a journal that its run has checked",
    "engine/observe/journaled.py": "sums up a journal that the run's start has checked",
}


def test_every_module_that_decodes_is_a_target() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("adapters", "engine")
        for path in (ROOT / folder).rglob("*.py")
        if _DECODES.search(path.read_text())
    }
    left = {path for path in found - TARGETS.keys() if not path.startswith(tuple(REASONS))}
    assert not left, f"no fuzz target reads what these decode: {sorted(left)}"
    assert set(TARGETS.values()) <= set(NAMES)
