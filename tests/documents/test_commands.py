"""Every command of README.md and docs/*.md runs as it is written there, from a clean folder.

A command that a document gains must be added here, with its exit code; one that takes hours, or
sets up the machine, with the reduced form in which it runs.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from fairlead.backtests.synthetic import perpetual, write_catalog
from tests.documents.extract import commands, documents
from tests.documents.session import DOCUMENTED_PORT, Session
from tests.support.own_venue import Own
from tests.support.people import Hook, open_people, secret_file
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

DEMO = "configs/demo.toml"
MAKER = "configs/btcusdt-backtest-maker.toml"
RECORDED = "configs/data"  # by the lines before
SAMPLE = str(ROOT / "tests" / "data" / "recording" / "binance_usdm_400.gz")
SPOT = str(ROOT / "tests" / "data" / "recording" / "binance_spot_400.gz")
FORMATS = ROOT / "tests" / "data" / "recording" / "formats"
EXCHANGE_INFO = str(ROOT / "tests" / "data" / "recording" / "exchange_info_spot.json")

Step = Callable[[Session, str], None]


def _ends(session: Session, command: str, code: int = 0, **fill: str) -> str:
    ended = session.run(command, **fill)
    assert ended.returncode == code, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    return ended.stdout


def written(code: int = 0, says: str = "", **fill: str) -> Step:
    """As it stands; `fill` gives what a reader fills in."""

    def step(session: Session, command: str) -> None:
        assert says in _ends(session, command, code, **fill)

    return step


def named(session: Session, command: str) -> None:
    """A verb that the text names, no command of its own: it is there, and explains itself."""
    assert "Usage: fairlead" in _ends(session, f"{command} --help")


def up(*signs: str, trades: bool = False) -> Step:
    """It never ends: until it is up (and has traded, for the backtest), then Ctrl-C."""

    def step(session: Session, command: str) -> None:
        def is_up(told: str) -> bool:
            return all(sign in told for sign in signs) and (not trades or session.has_traded())

        code, told = session.until(command, is_up)
        assert code == 0, told[-3000:]

    return step


def watches(session: Session, command: str) -> None:
    """It never ends: until Ctrl-C, and then with the last look's code."""
    looked = command.replace("CONFIG", DEMO)
    code, told = session.until(looked, lambda told: told.count("NOT WELL") > 1)
    assert code == 4, told[-2000:]


def serves(session: Session, command: str) -> None:
    assert f"--port {DOCUMENTED_PORT}" in command
    line = session.serve(command)
    assert line["rest"] == f"http://127.0.0.1:{session.port}/v1"


def unlisted(session: Session, command: str) -> None:
    fill = {"...": "--config run.toml"} if "..." in command else {}
    told = _ends(session, command, 11, **fill)
    assert "STOPS-UNLISTED" in told


def explains(session: Session, command: str) -> None:
    order = session.order_id()
    assert order in _ends(session, command, ORDER_ID=order, CONFIG=DEMO)


def compares(session: Session, command: str) -> None:
    """What the venue did is not the same each time: alike (0) or not (16), of the live run."""
    ended = session.run(command)
    assert ended.returncode in (0, 16), ended.stdout[-2000:] + ended.stderr[-2000:]
    assert re.search(r"^run +\S+-live-demo: [1-9]", ended.stdout), ended.stdout[-2000:]
    assert re.search(r"^parity +(NOT )?alike", ended.stdout, re.MULTILINE), ended.stdout[-2000:]


def journals(session: Session, command: str) -> None:
    """Of the account whose journal the session's lines before have left, where there is one."""
    ended = session.run(command, CONFIG=DEMO)
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0 or "JOURNAL-NONE" in told, told[-2000:]


def settled(session: Session, command: str) -> None:
    """The venue of this session forgets nothing: of an order that has ended, it says just that."""
    _ends(session, command, 2, ORDER=session.order_id(), CONFIG=DEMO)


def screens(session: Session, command: str) -> None:
    """The crossing's study, on a minute of its market."""
    folder = session.folder / "crossing"
    catalog = write_catalog(folder / "catalog", perpetual("BTCUSDT-PERP.BINANCE"), seconds=60)
    file = catalog.parent / "study.toml"
    file.write_text((ROOT / "backtests" / "crossing_study.toml").read_text())
    assert "35 variants screened" in (told := _ends(session, command, CONFIG=str(file)))
    assert "the best 10 by screened_net ran exactly" in told


def collects(session: Session, command: str) -> None:
    """Those tests run in the suite itself: here that the line names some, and only what exists."""
    code, told = _together(session)[command]
    assert code == 0, told[-2000:]
    assert re.search(r"^tests/\S+\.py: \d+$", told, re.M), told[-500:]


def loads(session: Session, command: str) -> None:
    """Minutes to hours, on an idle machine: that it is there, and its imports and arguments."""
    code, told = _together(session)[command]
    assert code == 0, told[-2000:]


@cache
def _together(session: Session) -> dict[str, tuple[int, str]]:
    """What `collects` and `loads` look at, of all commands at once: the imports take the time."""
    wanted = [command for command, step in COMMANDS.items() if step in (collects, loads)]
    base = session.folder / "together"
    base.mkdir()
    line = shlex.join(["python", "-m", "tests.documents.together", str(base), json.dumps(wanted)])
    ended = session.run(line, ROOT)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found: dict[str, tuple[int, str]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def extra(name: str, *packages: str) -> Step:
    """It is there, with what the document says."""

    def step(session: Session, command: str) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        found = {one.partition(">")[0] for one in project["optional-dependencies"][name]}
        assert found == set(packages)

    return step


def dry(session: Session, command: str) -> None:
    """Sets up the machine and runs all there is: what it would run."""
    assert re.search(r"\.venv/bin|\.ci/", _ends(session, f"{command} -n"))


def written_own(session: Session, command: str) -> None:
    """A venue of one's own, or a strategy for it, in the session's folder."""
    Own(session.folder).fairlead(command.removeprefix("fairlead "))


def installed_own(session: Session, command: str) -> None:
    """Beside the environment, not into it."""
    assert command == "pip install --no-build-isolation --no-deps -e toy"
    Own(session.folder).install("toy")


def conforms(session: Session, command: str) -> None:
    assert "--seeds 20" in command
    told = Own(session.folder).fairlead(
        command.removeprefix("fairlead ").replace("--seeds 20", "--seeds 2")
    )
    assert "FAILED" not in told


def serves_own(session: Session, command: str) -> None:
    """With the run of the line after it, while it is served."""
    own, mine = Own(session.folder), session.folder / "mine"
    with own.serving(command.removeprefix("fairlead "), mine / "mine.toml"):
        assert "MARKET 2" in own.trade(
            "live mine/mine.toml", mine / "state" / "toy-main.journal.sqlite", 2
        )


def conforms_named(session: Session, command: str) -> None:
    """The whole of it is a test of its own for each of our venues."""
    named = command.replace("NAME", "oceanex") + " --cards orders.lost-answer"
    assert "1 passed" in _ends(session, named)


def with_the_line_before(session: Session, command: str) -> None:
    assert (session.folder / "mine" / "state" / "toy-main.journal.sqlite").exists()


def fewer(seeds: str, to: str, code: int = 0, says: str = "") -> Step:
    """The same with less of it."""

    def step(session: Session, command: str) -> None:
        assert seeds in command
        assert says in _ends(session, command.replace(seeds, to), code)

    return step


def traces(session: Session, command: str) -> None:
    """What it prints are the session's frames, with the simulated account's key id: not kept."""
    assert session.run(command, is_kept=False).returncode == 0


def first(says: str) -> Step:
    """On the files that the page has the reader write."""

    def step(session: Session, command: str) -> None:
        page = (ROOT / "docs" / "strategies.md").read_text()
        (session.folder / "mine").mkdir(exist_ok=True)
        for language, suffix in (("python", "py"), ("toml", "toml")):
            (block,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)
            (session.folder / "mine" / f"first.{suffix}").write_text(block)
        told = _ends(session, command)
        assert says in told, told

    return step


def other_python(session: Session, command: str) -> None:
    """By another interpreter, which few machines have: by this one, to the same hashes."""
    prefix = ".venv-3.14/bin/"
    assert command.startswith(prefix)
    before = (session.folder / "hashes.json").read_text()
    _ends(session, command.removeprefix(prefix).replace("1..100", "1..2"))
    assert (session.folder / "hashes.json").read_text() == before


def imports(session: Session, command: str) -> None:
    """The synopsis of the reference: every option of it at once."""
    options = {"[": "", "]...": "", "]": "", "DIR": "data/all", "--instrument ID": ""}
    options |= {"RATE": "0.001", "--tick-size N": "--tick-size 0.01", "LEVELS": "10"}
    options |= {"--instruments RULES": f"--instruments {EXCHANGE_INFO}"}
    options |= {"--step-size N": "--step-size 0.00001", "--min-notional N": "--min-notional 5"}
    text = command.replace("FILE...", SPOT, 1)
    for name, value in options.items():
        assert name in text, name
        text = text.replace(name, value)
    assert '"instruments"' in _ends(session, text)


def formatted(name: str, file: str = "") -> Step:
    """On a small file of the format."""
    return written(says="rules", **{name: str(FORMATS / (file or name))})


def named_import(session: Session, command: str) -> None:
    """Its options are those of the lines before."""
    assert "--format" in _ends(session, "fairlead import --help")


def lacks_keys(session: Session, command: str) -> None:
    """Without a store it says what it wants; tests/unit/research/test_remote.py has one."""
    ended = session.run(command, FOLDER=RECORDED)
    assert ended.returncode == 5
    assert "AWS_ACCESS_KEY_ID" in ended.stderr


def downloads(session: Session, command: str) -> None:
    """From the served venue, of the last hours."""
    today = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M}"
    command = command.replace("2026-11-01", today).replace("--end 2026-11-02 ", "")
    fill = {"VENUE": "oceanex", "INSTRUMENT": "BTC_USDT.OCEANEX", "DIR": "data/told"}
    _ends(session, f"{command} --config {DEMO}", **fill)


def copies(session: Session, command: str) -> None:
    needs_sqlite3()
    _ends(session, command, FILE=str(session.journal), COPY=str(session.folder / "copy.sqlite"))
    assert (session.folder / "copy.sqlite").stat().st_size > 0


def dumps(session: Session, command: str) -> None:
    needs_sqlite3()
    assert "CREATE TABLE" in _ends(session, command, DAMAGED=str(session.journal))


def needs_sqlite3() -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed on this machine")


def alerts(session: Session, command: str) -> None:
    """To an endpoint that the reader has; the demo's config names none."""
    with open_people(hook := Hook()):
        secret_file(session.folder, "hook.url", hook.url)
        text = (session.folder / DEMO).read_text()
        text += '\n[observe.alerts]\nendpoints = { hook = "file:../hook.url" }\n'
        (session.folder / "configs" / "told.toml").write_text(text)
        assert _ends(session, command, CONFIG="configs/told.toml") == "hook: sent\n"
        assert hook.titles == ["demo: TEST"]


# In the order in which they run: README first, as a reader would.
COMMANDS: dict[str, Step] = {
    "fairlead venue oceanex --port 8610 --account-dir configs/venue": serves,
    "fairlead check configs/demo.toml --mode live": written(says="ok: demo"),
    "fairlead live configs/demo.toml": up("connected to OCEANEX", trades=True),
    "fairlead parity last": compares,  # the live run: later ones send no order, or are removed
    "fairlead paper configs/demo.toml": up("connected to OCEANEX"),
    "fairlead record configs/demo.toml": up("connected to OCEANEX"),
    # No run is up by now; the venue is.
    "fairlead status configs/demo.toml": written(4, says="NOT-RUNNING"),
    "fairlead status CONFIG": written(4, says="NOT WELL: demo", CONFIG=DEMO),
    "fairlead status CONFIG --watch": watches,
    "fairlead orders CONFIG": written(CONFIG=DEMO),
    "fairlead positions CONFIG": written(says="BTC_USDT.OCEANEX", CONFIG=DEMO),
    "fairlead fills CONFIG --last 20": written(says="USDT", CONFIG=DEMO),
    "fairlead logs CONFIG --last 20 --level warning": written(CONFIG=DEMO),
    "fairlead reconcile CONFIG": written(says="no difference", CONFIG=DEMO),
    "fairlead doctor CONFIG": written(says="nothing is wrong", CONFIG=DEMO),
    "fairlead backtest configs/demo.toml": written(says="net PnL"),
    "fairlead data ls FOLDER": written(says="trades", FOLDER=RECORDED),
    "fairlead data verify FOLDER": written(says="rows read", FOLDER=RECORDED),
    "fairlead data verify FOLDER --write": written(says="written now", FOLDER=RECORDED),
    "fairlead data gaps FOLDER": written(FOLDER=RECORDED),
    "fairlead data replay FOLDER": written(says="frames", FOLDER=RECORDED),
    "fairlead data convert FOLDER --out tables": written(says=".csv", FOLDER=RECORDED),
    "fairlead explain ORDER_ID --config CONFIG": explains,
    "fairlead check CONFIG": written(says="ok", CONFIG=DEMO),
    "fairlead journal ls CONFIG": journals,
    "fairlead journal compact CONFIG --older-than 90": journals,
    "fairlead journal upgrade CONFIG": journals,
    "fairlead check CONFIG --journals": written(says="ok", CONFIG=DEMO),
    'sqlite3 FILE ".backup COPY"': copies,
    "sqlite3 DAMAGED .dump": dumps,
    "fairlead import FILE.gz --catalog data/binance": written(**{"FILE.gz": SAMPLE}),
    "fairlead backtest configs/btcusdt-backtest-maker.toml": written(says="net PnL"),
    "fairlead backtest configs/btcusdt-backtest-maker.toml --set simulated.latency_ms=20": written(
        says="latency 20 ms"
    ),
    "fairlead runs ls": written(says="backtest-btcusdt-maker"),
    "fairlead runs show last": written(says="--set simulated.latency_ms=20"),
    "fairlead report last": written(says="report.html"),
    "fairlead report last --compare RUN2": written(says="report.html", RUN2="last"),
    "fairlead runs rm --but-last 20": written(),
    "fairlead sweep configs/btcusdt-backtest-maker.toml --param half_spread_bps=2..4:0.5 "
    "--param skew_bps=0,2 --metric net --jobs 2": written(says="10 trials, 0 failed"),
    "fairlead sweep CONFIG --param fast=2..6:1 --param slow=8..20:2 --screen 10": screens,
    f"fairlead backtest {MAKER} --sensitivity": written(says="fees up by half"),
    f"fairlead check {MAKER} --lookahead": written(says="ok: the same orders"),
    # The sample that was imported is two seconds of the whole recording.
    f"fairlead study hold spread {MAKER} --from 2024-08-08T23:59:00": fewer(
        "23:59:00", "23:54:17", says="study spread holds 2024-08-08T23:54:17Z"
    ),
    f"fairlead sweep {MAKER} --study spread --param half_spread_bps=2..4:1": written(
        says="study spread: 3 trials in all"
    ),
    f"fairlead sweep {MAKER} --study spread --param half_spread_bps=2..4:1 "
    "--walk-forward 10s/5s --embargo 1s": fewer(
        "10s/5s --embargo 1s", "500ms/300ms --embargo 10ms", says="net out of sample"
    ),
    f"fairlead study ls {MAKER}": written(says="closed until it is spent"),
    f"fairlead study show spread {MAKER}": written(says="trials, whole"),
    "fairlead study require STUDY CONFIG --latency-times 2 --fees-times 1.5": written(
        says="requires: latency times 2, fees times 1.5", STUDY="stressed", CONFIG=MAKER
    ),
    "pip install 'fairlead[search]'": extra("search", "fairlead[research]", "optuna", "trialgate"),
    "pip install 'fairlead[ray]'": extra("ray", "ray"),
    f"fairlead study spend spread {MAKER} --set strategies[0].params.half_spread_bps=3": written(
        says="net PnL"
    ),
    "pip install 'fairlead[research]'": extra("research", "pandas", "plotly", "pyarrow"),
    "pip install 'fairlead[observe]'": extra("observe", "apprise", "prometheus-client"),
    "fairlead alert test CONFIG": alerts,
    "fairlead check mine/first.toml --mode backtest": first("ok: first"),
    "fairlead backtest mine/first.toml": first("MARKET 1, STOP_LIMIT 1"),
    "fairlead import ADABTC-1m-2021-11-27.csv --catalog data/archive "
    "--format binance-archive": formatted("ADABTC-1m-2021-11-27.csv"),
    "fairlead import trades.csv.gz --catalog data/tardis --format tardis": formatted(
        "trades.csv.gz", "tardis_trades.csv"
    ),
    "fairlead import ob500.data.zip --catalog data/bybit --format bybit-book": formatted(
        "ob500.data.zip", "bybit_book.data"
    ),
    "fairlead import events.npz --catalog data/npz --format hftbacktest "
    "--id BTCUSDT-PERP.X --symbol BTC/USDT": formatted("events.npz", "hftbacktest_usdm.npz"),
    "fairlead import any.csv --catalog data/any --format table --id BTCUSDT.X --symbol BTC/USDT "
    "--map time=when,price=px,size=amount,side=taker": formatted("any.csv", "table_trades.csv"),
    "fairlead import FILE... --format NAME": named_import,
    "fairlead import FILE... --catalog DIR [--instrument ID]... [--format binance] "
    "[--instruments RULES] [--maker-fee RATE] [--taker-fee RATE] "
    "[--tick-size N] [--step-size N] [--min-notional N] "
    "[--depth LEVELS] [--no-fold-quotes] [--json]": imports,
    "fairlead kill all --config CONFIG": written(CONFIG=DEMO),
    'fairlead kill all --config configs/demo.toml --reason "to see it"': written(),
    "fairlead kill --status --config configs/demo.toml": written(8),
    'fairlead kill all --clear --reason "seen" --config configs/demo.toml': written(says="removed"),
    # This account has never traded, so no journal names its stops, and there is nothing to close.
    'fairlead kill all --config run.toml --reason "what you saw"': unlisted,
    "fairlead kill all --action flatten --config run.toml": written(11, says="NOTHING WAS CLOSED"),
    "fairlead kill all --action halt --config run.toml": written(),
    "fairlead kill strategy maker-1 --config run.toml": written(),
    "fairlead kill venue oceanex ...": unlisted,
    "fairlead kill account main ...": unlisted,
    "fairlead kill --status --config run.toml": written(8),
    # Those of a strategy, a venue and an account, from the lines before, stay in force.
    'fairlead kill all --clear --reason "why" --config run.toml': written(8, says="removed"),
    'fairlead resolve ORDER --gone --reason "the venue was reset" --config CONFIG': settled,
    'fairlead resolve ORDER --filled 0.5@27010 --fee "0.0005 BTC" '
    '--reason "statement of 3 May" --config CONFIG': settled,
    "fairlead simulate --seeds 1..200": fewer("1..200", "1..2"),
    "fairlead simulate --seeds 7119 --venues oceanex --trace": traces,
    "fairlead simulate --seeds 7119 --venues oceanex --shrink": written(),
    "fairlead simulate --plan tests/data/seeds/"
    "oceanex_7119_late_order_over_the_position_limit.json": written(),
    "fairlead simulate --seeds 1..100 --hashes hashes.json": fewer("1..100", "1..2"),
    ".venv-3.14/bin/fairlead simulate --seeds 1..100 --hashes hashes.json": other_python,
    "fairlead new venue toy toy": written_own,
    "pip install --no-build-isolation --no-deps -e toy": installed_own,
    "fairlead conformance toy --seeds 20": conforms,
    "fairlead new strategy mine mine --venue toy": written_own,
    "fairlead venue toy --port 8610 --account-dir mine/venue": serves_own,
    "fairlead live mine/mine.toml": with_the_line_before,
    "fairlead conformance NAME": conforms_named,
    "fairlead venues": written(says="held by the engine"),
    "fairlead venues nautilus:binance": written(says="market data"),
    "fairlead venues --json": written(says='"time_in_force"'),
    "fairlead --help": written(says="Exit codes"),
    "fairlead download VENUE INSTRUMENT --catalog DIR --start 2026-11-01 --end 2026-11-02 "
    "--bar 1-MINUTE": downloads,
    "fairlead download VENUE INSTRUMENT --catalog DIR --start 2026-11-01": downloads,
    "fairlead data": named,
    "fairlead data copy": named,
    "fairlead data copy FOLDER s3://BUCKET/PATH": lacks_keys,
    "fairlead data copy s3://BUCKET/PATH FOLDER": lacks_keys,
    "fairlead logs": named,
    "fairlead record": named,
    "fairlead config": written(says="max_position"),
    "fairlead config --explain risk.price_collar_bps": written(says="price_collar_bps"),
    "fairlead config --schema": written(says='"$schema"'),
    "fairlead": named,
    ".venv/bin/fairlead": named,
    "fairlead alert": named,
    "fairlead backtest": named,
    "fairlead check": named,
    "fairlead explain": named,
    "fairlead kill": named,
    "fairlead live": named,
    "fairlead new": named,
    "fairlead paper": named,
    "fairlead resolve": named,
    "fairlead simulate": named,
    "make": written(says="make demo"),
    "make demo": dry,
    "make test": dry,
    "make test-long": dry,
    "make lint": dry,
    "make bench": dry,
    "make docs": dry,
    "pytest tests/parity": collects,
    "pytest tests/unit/risk/test_gate_modes.py tests/unit/guard/test_guarded.py "
    "tests/unit/guard/test_breach.py tests/live": collects,
    "pytest tests/crash tests/unit/orders": collects,
    "pytest tests/venues": collects,
    "pytest tests/unit/recording": collects,
    "pytest tests/venues -k public_clients": collects,
    "pytest tests/live/test_kill.py": collects,
    "pytest tests/live/test_restart.py": collects,
    "pytest tests/simulation -k python": collects,
    "python -m pytest tests/live/test_kill.py tests/unit/kill/test_switch.py "
    "tests/unit/orders/test_kill.py": collects,
    "python -m tests.crash.steps": loads,
    "python -m tests.crash.brackets": loads,
    "python -m tests.mutants.run": loads,
    "python -m tests.parity.markets --seeds 1..200": loads,
    "python -m tests.parity.papers --seeds 1..5": loads,
    "python -m benchmarks.gate": loads,
    "python -m benchmarks.wire": loads,
    "python benchmarks/backtest_memory.py": loads,
    "python benchmarks/screen.py": loads,
    "python benchmarks/kill.py": loads,
    "python benchmarks/journal.py": loads,
    "python benchmarks/page.py": loads,
    "python benchmarks/page_load.py": loads,
    "python benchmarks/recording_soak.py --minutes N": loads,
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path)
    yield made
    if made.venue is not None:
        assert made.end() == 0, "the venue ends in order"


def test_every_command_of_the_documents_is_run_here() -> None:
    found: dict[str, list[str]] = {}
    for path in documents(ROOT):
        for command in commands(path.read_text()):
            found.setdefault(command, []).append(path.name)
    missing = {text: where for text, where in found.items() if text not in COMMANDS}
    assert not missing, "add it to COMMANDS, with its exit code or its reduced form"
    assert not COMMANDS.keys() - found.keys(), "no document has these any more"


def test_every_command_of_the_readme(session: Session, subtests: pytest.Subtests) -> None:
    """Those of the other documents are left out."""
    _run_all(session, commands((ROOT / "README.md").read_text()), subtests)


@pytest.mark.timeout(1800)  # a minute or two on two idle cores, and all of it is one test
def test_every_command(session: Session, subtests: pytest.Subtests) -> None:
    """One test, since each command finds what those before it have left."""
    _run_all(session, COMMANDS, subtests)


def _run_all(session: Session, wanted: Iterable[str], subtests: pytest.Subtests) -> None:
    found = {*wanted}
    for command, step in COMMANDS.items():  # in this order
        if command in found:
            with subtests.test(command):
                step(session, command)


def test_a_document_with_a_new_command_is_noticed(tmp_path: Path) -> None:
    text = "```\nfairlead new --thing   # why\n          --more\nno command\n```\n`fairlead old`\n"
    assert list(commands(text)) == ["fairlead new --thing --more", "fairlead old"]
    assert list(commands("```toml\nfairlead = 1\n```\n    python x.py\n")) == ["python x.py"]
