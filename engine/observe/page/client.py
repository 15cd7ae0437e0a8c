"""A run's page asked from another process: the same answers as a browser's, as the shapes told."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import decoded, open_private
from fairlead.engine.observe.page.access import LOOK_FILE, LOOPBACK, TOKEN_CHARS_MAX
from fairlead.engine.observe.page.openapi import PREFIX
from fairlead.engine.secrets import Secret, remember

ANSWER_SECS = 5.0  # a run whose loop stands still answers nothing
ANSWER_BYTES_MAX = 64 * 1024 * 1024
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - an address that is served on all


class Asked:
    """The page of one run. Every question raises FairleadError `PAGE-NO-ANSWER`."""

    def __init__(self, address: str, folder: Path) -> None:
        """`folder` is the state folder, where the token is."""
        found = urlsplit(address)
        host = found.hostname or LOOPBACK[0]
        self._host = LOOPBACK[1] if host in EVERYWHERE else host
        self._port = found.port or 80
        self.address = address
        self._token = _token(folder / LOOK_FILE)

    def get[T](self, what: str, kind: type[T]) -> T:
        """An answer of the API, as `kind`."""
        try:
            status, body = self._get(f"{PREFIX}/{what}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._refused(str(error) or type(error).__name__) from error
        found = decoded(body, kind) if status == 200 else None
        if found is None:
            raise self._refused(f"it answers {status}: {body[:200].decode(errors='replace')}")
        return found

    def _get(self, path: str) -> tuple[int, bytes]:
        # Past every proxy that the environment names: the token is nobody else's.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECS)
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
        finally:
            connection.close()

    def _refused(self, why: str) -> FairleadError:
        return FairleadError(
            "PAGE-NO-ANSWER",
            f"the run's page at {self.address} does not answer: {why}. A run that hangs is ended "
            "with `fairlead kill all --config CONFIG`, then kill -9; what its files tell comes all "
            "the same with --files",
            int(Exit.TIMED_OUT),
        )


def _token(path: Path) -> str:
    try:
        with open(open_private(path, os.O_RDONLY), "rb") as file:
            text = file.read(TOKEN_CHARS_MAX + 2).decode("ascii", "replace").strip()
    except OSError as error:
        raise FairleadError(
            "PAGE-TOKEN",
            f"{path} can't be read: {error.strerror}; it is made with the page, for the user of "
            "the run alone",
            int(Exit.FAILED),
        ) from error
    remember(Secret(text, f"file:{path}"))
    return text
