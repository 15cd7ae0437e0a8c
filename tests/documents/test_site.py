"""`make docs`: pages of docs/, each in the navigation, no link that leads nowhere, no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT

pytest.importorskip("sphinx", reason="the pages' builder is not installed")
pytest.importorskip("furo")
DOCS = ROOT / "docs"
_LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")


def built(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """As the Makefile does."""
    line = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if "-m sphinx" in line
    )
    words = line.split("-m sphinx", 1)[1].replace(" docs ", f" {source} ").split()
    assert words[-1] == "out/docs"
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-d", str(out.parent / "cache"), *words[:-1], str(out)],
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )


def test_the_pages_are_built_whole_and_need_no_network(tmp_path: Path) -> None:
    ended = built(DOCS, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr[-3000:]
    pages = {path.stem: path.read_text() for path in (tmp_path / "out").glob("*.html")}
    assert pages.keys() >= {path.stem for path in DOCS.glob("*.md")}
    for name, page in pages.items():
        loaded = [one for one in _LOADED.findall(page) if re.match(r"(?:https?:)?//", one)]
        assert loaded == [], f"{name} loads from elsewhere"
    assert "error-codes.html" in pages["index"]
    assert 'id="repair"' in pages["journal"]
    assert "searchindex.js" in pages["search"]


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("[a](nowhere.md)", "nowhere.md"),
        ("[a](other.md#no-such-heading)", "no-such-heading"),
        ("![a](no-picture.png)", "no-picture.png"),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path, link: str, told: str) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copy(DOCS / "conf.py", source)
    shutil.copytree(DOCS / "_static", source / "_static")
    (source / "other.md").write_text("---\norphan: true\n---\n# Other\n")
    (source / "index.md").write_text(f"# A page\n\n{link}\n")
    ended = built(source, tmp_path / "out")
    assert ended.returncode != 0
    assert told in ended.stderr


def test_a_page_that_is_in_no_navigation_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copy(DOCS / "conf.py", source)
    shutil.copytree(DOCS / "_static", source / "_static")
    (source / "index.md").write_text("# A page\n")
    (source / "lost.md").write_text("# Lost\n")
    ended = built(source, tmp_path / "out")
    assert ended.returncode != 0
    assert "lost.md" in ended.stderr
