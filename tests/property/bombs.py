"""Inputs made to exhaust time or memory, each a few kilobytes to a few megabytes."""

from __future__ import annotations

import gzip
import json
import zlib

import zstandard

from fairlead.engine.recording.rawformat import pack_block

MIB = 1 << 20
_BOOK = b'{"event":"update","channel":"market-ocevet-8-global","data":'
_LV2 = b'{"channel":"book_lv2","data":'


def _levels(count: int) -> bytes:
    return json.dumps([[f"0.{n:08}", "1"] for n in range(count)]).encode()


def _json() -> dict[str, bytes]:
    lots = _levels(60_000)
    return {
        "lists in lists": b"[" * 10_000 + b"]" * 10_000,
        "tables in tables": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        "unclosed": b"[" * MIB,
        "nested data": _BOOK + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "nested data of poloniex": _LV2 + b'[{"a":' * 10_000 + b"1" + b"}]" * 10_000 + b"}",
        "a million digits": b'{"code":' + b"9" * MIB + b"}",
        "a million decimals": b'{"code":0,"data":[1,"0.' + b"0" * MIB + b'1"]}',
        "a huge exponent": b'{"code":0,"data":{"at":1e999999999,"x":"1e999999999"}}',
        "a long text": b'{"event":"' + b"a" * (2 * MIB) + b'"}',
        "escapes": b'{"event":"' + b"\\u0041" * (MIB // 3) + b'"}',
        "many levels": _BOOK + b'{"asks":' + lots + b',"bids":[]}}',
        "many levels of poloniex": _LV2
        + b'[{"symbol":"BTC_USDT","createTime":1,"id":1,"lastId":0,"ts":1,"asks":'
        + lots
        + b',"bids":[]}],"action":"snapshot"}',
        "many keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(100_000)) + b"}",
        "one key often": b"{" + b",".join([b'"code":1'] * 100_000) + b"}",
        "text in text": json.dumps(json.dumps(json.dumps("[" * 10_000))).encode(),
        "beyond the limit": b'{"event":"x","data":"' + b"a" * (5 * MIB) + b'"}',
        "not utf-8": b'{"event":"' + b"\xff" * MIB + b'"}',
    }


def _text() -> dict[str, bytes]:
    return {
        "names without values": b'name="key"\r\n' * 20_000,
        "heads of tokens": b"-eyJaaaaa" * 30_000,
        "forms": b"key=" * 60_000,
        "an open string": b'"secret":"' + b"\\" * 200_000,
        "backslashes": b'\\"key\\":\\"' * 30_000,
        "names": b'"' + b"key" * 80_000,
        "blanks": b'"key"' + b" " * 200_000 + b"x",
        "keys and blanks": b'"key" ' * 40_000,
        "key blocks": b"-----BEGIN PRIVATE KEY-----" * 10_000,
        "bearers": b"bearer " * 30_000,
    }


def _raw() -> dict[str, bytes]:
    compressor = zstandard.ZstdCompressor(level=3)
    zeros = bytes(256 * MIB)
    bomb = compressor.compress(zeros)
    told = pack_block(b"", 1, 0, 0, compressor)
    small = bytearray(told[: len(told) - len(compressor.compress(b""))])
    # A header that is sound, tells a few bytes, and stands before a frame of 256 MiB.
    small[24:28] = len(bomb).to_bytes(4, "little")
    small[28:32] = zlib.crc32(bomb).to_bytes(4, "little")
    small[48:52] = zlib.crc32(bytes(small[:48])).to_bytes(4, "little")
    return {
        "a block of 256 MiB of zeros": pack_block(zeros, 1, 0, 0, compressor),
        "a frame larger than its header says": bytes(small) + bomb,
        "records that are not there": pack_block(b"", 4_000_000_000, 0, 0, compressor),
        "magics": told[:12] * 100_000,
    }


def _lines() -> dict[str, bytes]:
    return {
        "one line of 30 MiB, packed": gzip.compress(b"a" * (30 * MIB)),
        "empty lines, packed": gzip.compress(b"\n" * (3 * MIB)),
        "empty members": gzip.compress(b"") * 10_000,
        "nothing but zeros after a member": gzip.compress(b"a\n") + bytes(3 * MIB),
    }


def _toml() -> dict[str, bytes]:
    return {
        "brackets": b"a = " + b"[" * 10_000 + b"]" * 10_000,
        "inline tables": b"a = " + b"{a=" * 10_000 + b"1" + b"}" * 10_000,
        "a dotted key": b".".join([b"a"] * 2_000) + b" = 1",
        "an integer of 5000 digits": b"[risk]\nmax_open_orders = " + b"9" * 5_000,
        "a hexadecimal integer of 40000 bits": b"[risk]\nmax_open_orders = 0x" + b"f" * 10_000,
        "a float beyond": b"[run]\nstop_timeout_secs = 1e999999",
        "a text of 1 MiB": b'a = "' + b"x" * MIB + b'"',
        "beyond the limit": b"#" * (2 * MIB),
        "many tables": b"".join(b"[t%d]\n" % n for n in range(3_000)),
    }


def bombs(target: str) -> dict[str, bytes]:
    """What to try on one target, by what it is."""
    if target == "raw-file":
        return _raw()
    if target == "lines":
        return _lines() | _text()
    if target in ("config", "toml-lines", "kill-config", "explain-config"):
        return _toml() | {"lists in lists": _json()["lists in lists"]}
    if target in ("redact", "poloniex-id", "secret-file"):
        return _text() | {k: v for k, v in _json().items() if len(v) < 400_000}
    if target.endswith("-rest"):
        return {name: b"%d " % (n % 20) + body for n, (name, body) in enumerate(_json().items())}
    if target == "binance-wire":
        return {name: b"1700000000000000000 " + body for name, body in _json().items()}
    return _json()
