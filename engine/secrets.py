"""Credentials: read by reference, never printed.

A reference is `env:NAME` or `file:PATH` (relative to the config file). Every secret that is read
is also remembered, so that `RedactingFilter` keeps it out of the logs.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import stat
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from fairlead.engine.errors import Exit, FairleadError

SECRET_BYTES_MAX = 64 * 1024
REDACTED: Final = "[secret]"

_REFERENCE = re.compile(r"(?P<kind>env|file):(?P<where>.+)")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A shorter value (a one-letter uid) would take ordinary words with it: it is hidden where it
# stands in the field that is named like its credential, and nowhere else.
LITERAL_CHARS_MIN: Final = 8


class Secret:
    """A credential's text. It has no repr, is not comparable, picklable or iterable."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self.source = source  # the reference it came from, safe to print

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


class SecretError(FairleadError):
    """A credential that can't be used. The message never holds a part of it."""

    exit_code = int(Exit.VENUE)


class CredentialSpec(Protocol):
    """What an adapter says of one credential key (`fairlead.adapters.base.venue.Credential`)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def required(self) -> bool: ...


def is_reference(text: str) -> bool:
    """Whether the text names where a secret is, and is not a secret itself."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return False
    return match["kind"] == "file" or _ENV_NAME.fullmatch(match["where"]) is not None


def read_secret(
    reference: str,
    base: Path,
    *,
    kind: str = "text",
    name: str = "",
    environ: Mapping[str, str] | None = None,
) -> Secret:
    """Read one credential and remember it for redaction.

    `base` is the config file's folder. `kind` is `text` (one line) or `pem` (an unencrypted
    private key, which must parse). `name` is the credential's, for values too short to be found
    wherever they are. Raises SecretError.
    """
    match = _REFERENCE.fullmatch(reference) if is_reference(reference) else None
    if match is None:
        raise SecretError(
            "E-SEC-001", "expected env:NAME or file:PATH; inline secrets are refused (not shown)"
        )
    if match["kind"] == "env":
        text = _from_env(match["where"], os.environ if environ is None else environ)
    else:
        text = _from_file(base, match["where"])
    secret = Secret(text.strip(), reference)
    remember(secret, name)
    if not secret.reveal():
        raise SecretError("E-SEC-003", f"{reference} is empty; put the credential there")
    if kind == "pem":
        check_pem(secret)
    elif not secret.reveal().isprintable():
        raise SecretError(
            "E-SEC-007", f"{reference}: expected one line of text; came several, or binary data"
        )
    return secret


def read_credentials(
    references: Mapping[str, str],
    wanted: Iterable[CredentialSpec],
    base: Path,
    *,
    environ: Mapping[str, str] | None = None,
) -> tuple[dict[str, Secret], dict[str, SecretError]]:
    """Read what an adapter wants; secrets by name, and what failed by name."""
    secrets: dict[str, Secret] = {}
    failed: dict[str, SecretError] = {}
    for credential in wanted:
        reference = references.get(credential.name)
        try:
            if reference is not None:
                secrets[credential.name] = read_secret(
                    reference,
                    base,
                    kind=credential.kind,
                    name=credential.name,
                    environ=environ,
                )
            elif credential.required:
                detail = f"credential {credential.name} is not named; add env:NAME or file:PATH"
                raise SecretError("E-CFG-042", detail)
        except SecretError as e:
            failed[credential.name] = e
    return secrets, failed


def check_pem(secret: Secret) -> None:
    """Prove that a PEM is an unencrypted private key. Raises SecretError without its text."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = secret.reveal()
    if "PRIVATE KEY-----" not in text and ("PUBLIC KEY-----" in text or "CERTIFICATE" in text):
        came = "a public key" if "PUBLIC KEY-----" in text else "a certificate"
        raise SecretError("E-SEC-010", f"{secret.source}: expected a PEM private key; came {came}")
    if "ENCRYPTED" in text:
        raise _encrypted(secret)
    try:
        # That it parses is proof enough here: checking an RSA key's primes costs 30 ms.
        load_pem_private_key(text.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise _encrypted(secret) from None
    except (ValueError, UnsupportedAlgorithm):
        # the cause may quote the key's text, so it is not chained
        detail = f"{secret.source}: expected a PEM private key; came something that does not parse"
        raise SecretError("E-SEC-008", detail) from None


def _encrypted(secret: Secret) -> SecretError:
    detail = (
        f"{secret.source}: the PEM private key is encrypted; decrypt it with "
        "openssl pkey -in KEY -out KEY.plain, and give that file mode 0600"
    )
    return SecretError("E-SEC-009", detail)


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    text = environ.get(name)
    if text is None:
        raise SecretError(
            "E-SEC-002", f"the environment variable {name} is not set; export it before the start"
        )
    return text


def _from_file(base: Path, where: str) -> str:
    path = base / where
    try:
        path = base / Path(where).expanduser()
        # O_NONBLOCK: opening a pipe must not wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as e:  # the last of a ~ without a home
        reason = (getattr(e, "strerror", None) or str(e)).lower()
        raise SecretError("E-SEC-004", f"the key file {path} can't be read: {reason}") from None
    try:
        _check_file(path, os.fstat(descriptor), base)
    except SecretError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(SECRET_BYTES_MAX + 1)
    if len(data) > SECRET_BYTES_MAX:
        raise SecretError(
            "E-SEC-007", f"the key file {path} is larger than {SECRET_BYTES_MAX} bytes"
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SecretError("E-SEC-007", f"the key file {path} is not text") from None


def _check_file(path: Path, found: os.stat_result, base: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SecretError("E-SEC-005", f"the key file {path} is not a regular file")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        remedy = f"run: chmod 600 {shlex.quote(str(path))}"
        if found.st_uid != os.geteuid():
            remedy = "it is another user's: put the credential into a file of your own, mode 0600"
        elif not path.resolve().is_relative_to(base.resolve()):  # others may need to read it
            remedy = (
                "it is outside the config's folder: put the credential into a file of its own, "
                "mode 0600; if it is one already, make it yours alone"
            )
        raise SecretError(
            "E-SEC-006",
            f"the key file {path} has mode {mode:04o}; expected 0600 or 0400, so that nobody else "
            f"reads it; {remedy}",
        )


_known: set[str] = set()
_known_fields: dict[str, re.Pattern[str]] = {}  # by name: where the short ones are
_known_lock = threading.Lock()


def remember(secret: Secret, name: str = "") -> None:
    """Have `redact` replace this secret from now on.

    Of a value shorter than LITERAL_CHARS_MIN, the field called `name` is replaced, whole.
    """
    text = secret.reveal()
    with _known_lock:
        _known.update(_spellings(text))
        if name and len(text) < LITERAL_CHARS_MIN:
            _known_fields[name] = _field(name)


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Replace every occurrence of these secrets, and of all remembered ones, by `[secret]`.

    The lines of a PEM, and the JSON and URL spellings of a secret, are replaced too.
    """
    words = {word for secret in secrets for word in _spellings(secret.reveal())}
    with _known_lock:
        words |= _known
        fields = list(_known_fields.values())
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, REDACTED)
    for field in fields:
        text = field.sub(rf"\g<head>{REDACTED}", text)
    return text


def _field(name: str) -> re.Pattern[str]:
    """`name` and its value in a form, a URL, a header or JSON (also JSON within JSON)."""
    spelled = "[-_]?".join(re.escape(part) for part in re.split("[-_]", name))
    return re.compile(
        rf"(?P<head>(?<![A-Za-z0-9]){spelled}[\\\"']{{0,4}}\s*[=:]\s*[\\\"']{{0,4}})"
        r"[^\s\"'\\&;,)}\]]+",
        re.IGNORECASE,
    )


def _spellings(text: str) -> set[str]:
    """How a secret may stand in a text: whole, escaped, and line by line."""
    if len(text) < LITERAL_CHARS_MIN:
        return set()
    found = {text, json.dumps(text)[1:-1], quote(text, safe=""), quote(text)}
    lines = text.splitlines()
    if len(lines) > 1:
        found |= {
            line.strip()
            for line in lines
            if len(line.strip()) >= LITERAL_CHARS_MIN and not line.startswith("-----")
        }
    return found


class RedactingFilter(logging.Filter):
    """Keeps every remembered secret out of log records, tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
