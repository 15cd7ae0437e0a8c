"""The search that ends the suite finds what it has to find, in every format that is written."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.adapters.oceanex.signing import Signer, load_key
from fairlead.adapters.oceanex.simulator_auth import generated_key_pair
from fairlead.adapters.poloniex.signing import sign
from fairlead.engine.recording.raw import RawRecorder
from fairlead.engine.recording.redact import Redactor
from fairlead.engine.secrets import Secret
from tests.support.canaries import Canaries, Found, scan
from tests.support.patience import PATIENCE_SECS
from tests.support.spy import sitecustomize as spy
from tests.support.tls_front import certificates

CANARY = "Kx9vQ2mZr7TbLw4n"
ROOT = Path(__file__).resolve().parents[2]


def plain(path: Path, text: str) -> None:
    path.write_text(f"2026-11-21 [ERROR] the venue said {text}, try again\n")


def json_text(path: Path, text: str) -> None:
    path.write_text(json.dumps({"message": json.dumps({"key": text})}))


def gzipped(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(b"x" * 100_000 + text.encode()))


def zstd_frames(path: Path, text: str) -> None:
    pack = zstandard.ZstdCompressor().compress
    path.write_bytes(b"head" + pack(b"first") + b"between" + pack(b"y" * 5_000 + text.encode()))


def torn_zstd(path: Path, text: str) -> None:
    """A frame without its end: what a killed process leaves."""
    packer = zstandard.ZstdCompressor().compressobj()
    data = packer.compress(text.encode()) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    path.write_bytes(data)


def long_row(path: Path, text: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a TEXT, b BLOB)")
        db.execute("INSERT INTO t VALUES (?, ?)", ("z" * 4_085, b"q" * 9_000 + text.encode()))
    db.close()


def freed_page(path: Path, text: str) -> None:
    """A row that was deleted is in the file until its page is used again."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA secure_delete = OFF")
    db.execute("CREATE TABLE t (a TEXT)")
    db.execute("INSERT INTO t VALUES (?)", (text,))
    db.commit()
    db.execute("DELETE FROM t")
    db.commit()
    db.close()


def base64_text(path: Path, text: str) -> None:
    path.write_bytes(base64.b64encode(b"p" * 60 + text.encode() + b"s" * 30))


WRITERS = [plain, json_text, gzipped, zstd_frames, torn_zstd, long_row, freed_page, base64_text]


def found_in(folder: Path, *texts: str) -> list[Found]:
    known = Canaries()
    for text in texts:
        known.add(text, "a credential")
    return list(scan(sorted(p for p in folder.rglob("*") if p.is_file()), known))


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_planted_credential_is_found(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    write(tmp_path / "artefact", CANARY)
    (found, *_) = found_in(tmp_path, CANARY)
    assert found.path.endswith("artefact")
    assert CANARY not in str(found)
    write(tmp_path / "artefact2", "nothing of this kind")
    (tmp_path / "artefact").unlink()
    assert not found_in(tmp_path, CANARY)


def test_a_recording_and_a_catalog_are_read(tmp_path: Path) -> None:
    tap = RawRecorder(tmp_path, "X", redactor=Redactor())
    tap.frame("public#1", "in", f'{{"told":"{CANARY}"}}', 1_700_000_000_000_000_000)
    assert tap.close()
    instrument = InstrumentId.from_str("BTC_USDT.OCEANEX")
    side = AggressorSide.BUY
    tick = TradeTick(instrument, Price(1, 0), Quantity(1, 0), side, TradeId(CANARY), 1, 1)
    (tmp_path / "catalog").mkdir()
    ParquetDataCatalog(str(tmp_path / "catalog")).write_trade_ticks([tick])
    names = {Path(found.path).suffix for found in found_in(tmp_path, CANARY)}
    assert names == {".zst", ".parquet"}


def test_a_part_of_a_long_one_is_found() -> None:
    private, _ = generated_key_pair()
    token = Signer("ID1", None, load_key(Secret(private, "test")), lambda: 1).token({"a": 1})
    known = Canaries()
    known.add(private, "a key")
    known.add(token, "a signature")
    line = private.splitlines()[9]
    for text, what in ((line[7:31], "a key"), (token[-40:-10], "a signature")):
        assert [found for _, found in known.find(f"<{text}>".encode())] == [what]
    assert not list(known.find(b"sha256 " + b"0123456789abcdef" * 4))


def test_whole_signatures_are_found_whoever_made_them() -> None:
    private, _ = generated_key_pair()
    token = Signer("ID1", None, load_key(Secret(private, "test")), lambda: 1).token({"a": 1})
    signature = sign("secret", "text")
    quoted = signature.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")
    texts = {
        f"GET /v1/members/me?user_jwt={token}": "a token",
        f'{{"signature": "{signature}"}}': "an HMAC-SHA256",
        f"signature={quoted}&x=1": "an HMAC-SHA256",
        private: "a private key",
        json.dumps(private): "a private key",
    }
    for text, what in texts.items():
        assert [found for _, found in Canaries().find(text.encode())] == [what]


def test_child_processes_tell_what_they_have(tmp_path: Path) -> None:
    private, _ = generated_key_pair()
    (tmp_path / "private_key").write_text(private)
    (tmp_path / "private_key").chmod(0o600)
    code = (
        "import sys; from pathlib import Path; from fairlead.engine.secrets import read_secret\n"
        "from fairlead.adapters.poloniex.signing import sign\n"
        "from fairlead.adapters.oceanex import signing\n"
        "pem = read_secret('file:private_key', Path(sys.argv[1]), kind='pem')\n"
        "signing.Signer('ID1', None, signing.load_key(pem), lambda: 1).token({})\n"
        "sign('secret', 'text')\n"
    )
    told = tmp_path / "told"
    told.mkdir()
    environment = os.environ | {spy.FOLDER: str(told)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=PATIENCE_SECS)
    (path,) = told.iterdir()
    texts = {json.loads(line) for line in path.read_bytes().splitlines()}
    path.unlink()  # else the search of this very session finds it
    assert {private.strip(), sign("secret", "text")} < texts
    assert any(text.startswith("eyJ") for text in texts)


LEAK = """
import os
from fairlead.engine.secrets import read_secret

def test_leak(tmp_path):
    (tmp_path / "key").write_text("{canary}")
    (tmp_path / "key").chmod(0o600)
    secret = read_secret("file:key", tmp_path)
    (tmp_path / "run.log").write_text(f"key {{secret.{shown}}}")
"""


@pytest.mark.parametrize(("shown", "code"), [("reveal()", 1), ("source", 0)])
def test_a_session_that_leaks_fails(tmp_path: Path, shown: str, code: int) -> None:
    (tmp_path / "test_leak.py").write_text(LEAK.format(canary=CANARY, shown=shown))
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}"]
    ended = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'inner'}", str(tmp_path / "test_leak.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECS,
    )
    shutil.rmtree(tmp_path)  # else the search of this very session finds it
    assert "1 passed" in ended.stdout
    assert ended.returncode == code, ended.stdout
    assert ("run.log" in ended.stdout) == bool(code)
    assert "looked for in" in ended.stdout
    assert CANARY not in ended.stdout


def test_a_certificate_is_public(tmp_path: Path) -> None:
    """Of two that one algorithm signed, parts are alike."""
    authority, _ = certificates(tmp_path, ["venue.test"])
    known = Canaries()
    known.add(authority.read_text(), "a file where a key belongs")
    other, _ = certificates(tmp_path, ["other.test"])
    assert len(known) == 0
    assert list(scan([other], known)) == []
