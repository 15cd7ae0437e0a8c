"""A catalog in an object store, against a real S3 server on loopback (moto's)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog
from typer.testing import CliRunner

from fairlead.engine.cli.data import command
from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.research import remote
from fairlead.engine.research.remote import fetch, kernel_options, push
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT
from tests.unit.recording.test_import_binance import DATA, USDM

pytest.importorskip("pyarrow.fs")
MAKER = ROOT / "configs" / "btcusdt-backtest-maker.toml"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Another process: NautilusTrader holds the interpreter's lock while it waits for the store."""
    pytest.importorskip("moto.server")
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    served = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert served.stderr is not None
        for line in served.stderr:
            if found := re.search(r"Running on (http://127\.0\.0\.1:[0-9]+)", line):
                break
        assert found, "it says where it serves"
        threading.Thread(target=served.stderr.read, daemon=True).start()
        yield found[1]
    finally:
        served.terminate()
        served.wait(PATIENCE_SECS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "catalog"
    import_binance(DATA / "binance_usdm_400.gz", root)
    return root


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """One of its own for each test."""
    name = f"b{abs(hash(request.node.name))}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT"))
    for key, value in (
        ("AWS_ENDPOINT_URL", address),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test-secret"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(key, value)
    remote._fetched.clear()
    return f"s3://{name}/catalog"


def files(root: Path) -> dict[str, bytes]:
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*.parquet")}


def test_a_catalog_goes_there_and_back(bucket, made, tmp_path):
    sent = push(made, bucket)
    assert (sent.files, sent.same) == (4, 0)
    assert push(made, bucket).same == 4
    came = fetch(bucket, tmp_path / "copy")
    assert (came.files, came.bytes) == (4, sent.bytes)
    assert files(tmp_path / "copy") == files(made)
    again = fetch(bucket, tmp_path / "copy")
    assert (again.files, again.same) == (0, 4)


def test_the_kernel_s_own_catalog_reads_what_was_written(bucket, made):
    """And the other way round: NautilusTrader speaks to the same store."""
    push(made, bucket)
    there = ParquetDataCatalog(bucket, storage_options=kernel_options())
    here = ParquetDataCatalog(str(made))
    assert there.query_trade_ticks([USDM]) == here.query_trade_ticks([USDM])
    assert len(there.query_order_book_deltas([USDM])) == len(here.query_order_book_deltas([USDM]))
    other = f"{bucket}-kernel"
    kernel = ParquetDataCatalog(other, storage_options=kernel_options())
    kernel.write_instruments(here.instruments())
    kernel.write_trade_ticks(here.query_trade_ticks([USDM]))
    assert len(kernel.query_trade_ticks([USDM])) == len(here.query_trade_ticks([USDM]))


def test_a_backtest_of_it_is_that_of_the_folder(bucket, made, tmp_path):
    push(made, bucket)
    shutil.copytree(made, tmp_path / "catalog")
    results = []
    for place in (bucket, str(tmp_path / "catalog")):
        changes = {"backtest.catalog": place, "run.state_dir": str(tmp_path / "state")}
        result = run_backtest(load(MAKER, changes), marks=False)
        assumptions = result.summary.assumptions
        assert assumptions is not None
        results.append((result.summary.orders_digest, assumptions.data.sha256, result.exit_code))
        result.dispose()
    assert results[0] == results[1]
    assert results[0][2] == 0


def test_what_is_gone_or_another_there_is_so_here(bucket, made, tmp_path):
    push(made, bucket)
    copy = tmp_path / "copy"
    fetch(bucket, copy)
    (stray,) = copy.glob("data/trades/*/*.parquet")
    (copy / "data" / "trades" / USDM / "2001-01-01T00-00-00-0Z_x.parquet").write_bytes(b"x")
    stray.write_bytes(b"damaged")
    done = fetch(bucket, copy)
    assert (done.files, done.removed) == (1, 1)
    assert files(copy) == files(made)


def test_another_file_of_the_same_name_is_never_written_over(bucket, made, tmp_path):
    push(made, bucket)
    shutil.copytree(made, tmp_path / "other")
    (path,) = (tmp_path / "other").glob("data/trades/*/*.parquet")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FairleadError, match="nothing of it is written over") as failed:
        push(tmp_path / "other", bucket)
    assert failed.value.code == "STORE-DIFFERS"
    fetch(bucket, tmp_path / "copy")
    assert files(tmp_path / "copy") == files(made)


def test_what_cannot_be_is_said(bucket, made, tmp_path, monkeypatch):
    for url, code in (
        (f"{bucket}-none", "CATALOG-MISSING"),
        ("s3://no-such-bucket-here/x", "CATALOG-MISSING"),
        ("s3:///x", "STORE-URL"),
    ):
        with pytest.raises(FairleadError) as failed:
            fetch(url, tmp_path / "copy")
        assert failed.value.code == code
        assert url in str(failed.value)
        assert "test-secret" not in str(failed.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(FairleadError) as failed:
        fetch(bucket, tmp_path / "copy")
    assert (failed.value.code, failed.value.exit_code) == ("STORE-FAILED", 5)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(FairleadError, match="AWS_ACCESS_KEY_ID") as failed:
        fetch(bucket, tmp_path / "copy")
    assert failed.value.code == "STORE-KEYS"


def test_the_command_copies_both_ways(bucket, made, tmp_path):
    sent = CliRunner().invoke(command, ["copy", str(made), bucket])
    assert sent.exit_code == 0
    assert "4 files" in sent.stdout
    came = CliRunner().invoke(command, ["copy", bucket, str(tmp_path / "copy"), "--json"])
    assert '"files": 4' in came.stdout
    assert CliRunner().invoke(command, ["copy", str(made), str(tmp_path)]).exit_code == 2
