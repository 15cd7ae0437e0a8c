"""The oracle's own reader of stream files, and that it shares nothing with what it judges."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

from tests.parity.tape import Told, of_lines

MS = 1_000_000


def test_a_stream_file_that_stops_telling_of_the_book_is_silent_then() -> None:
    def line(ms: int, data: str) -> bytes:
        return b"%d %s" % (ms * MS, f'{{"stream":"x","data":{data}}}'.encode())

    def depth(ms: int, update: int) -> bytes:
        data = f'"E":{ms},"s":"AAA","U":{update},"u":{update},"b":[["1","1"]],"a":[]'
        return line(ms, f'{{"e":"depthUpdate",{data}}}')

    def quote(ms: int, update: int) -> bytes:
        return line(ms, f'{{"s":"AAA","u":{update},"b":"1","B":"1","a":"2","A":"1"}}')

    def silences(*lines: bytes) -> list[int]:
        tape = of_lines([depth(100, 1), depth(200, 2), *lines])["AAA.BINANCE"]
        return [one.ts for one in tape if isinstance(one, Told) and one.kind == "silence"]

    assert silences(quote(10_300, 3), depth(10_400, 3)) == [200 * MS + 1]
    assert silences(quote(9000, 3), quote(12_300, 4)) == [200 * MS + 1]
    assert silences(quote(9000, 3), quote(10_100, 4), depth(10_300, 4)) == []
    assert silences(quote(10_300, 2), depth(10_400, 3)) == []  # it tells of nothing later
    assert silences(depth(10_300, 3)) == []


def test_a_stream_file_is_read_with_its_gaps() -> None:
    def line(ms: int, body: str) -> bytes:
        return b"%d %s" % (ms * MS, body.encode())

    def depth(ms: int, first: int, last: int, bids: str) -> bytes:
        data = f'{{"e":"depthUpdate","E":{ms},"s":"AAA","U":{first},"u":{last},"b":{bids},"a":[]}}'
        return line(ms, f'{{"stream":"aaa@depth","data":{data}}}')

    tape = of_lines(
        [
            depth(1, 10, 11, '[["1","1"]]'),
            depth(2, 12, 13, '[["2","1"]]'),
            line(3, '{"lastUpdateId":11,"bids":[["5","1"],["6","0"]],"asks":[["7","1"]]}'),
            depth(4, 14, 14, '[["3","1"]]'),
            depth(5, 16, 17, '[["4","1"]]'),
            line(6, '{"lastUpdateId":16,"bids":[["9","1"]],"asks":[]}'),
        ]
    )["AAA.BINANCE"]
    books = [one for one in tape if isinstance(one, Told)]
    assert [one.kind for one in books] == ["snapshot", "levels", "silence", "clear", "snapshot"]
    assert books[2].ts == 4 * MS + 1  # what was lost came since
    assert books[0].bids == {Decimal(5): 1, Decimal(2): 1}
    assert books[4].bids == {Decimal(9): 1, Decimal(4): 1}


def test_the_oracle_stands_apart_from_what_it_judges() -> None:
    folder = Path(__file__).parent
    for name in ("tape", "standing", "resting", "unfilled", "orders", "oracle"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            tops = {one.split(".")[0] for one in names}
            assert not tops & {"fairlead"}, (name, names)
