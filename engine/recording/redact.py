"""Takes credentials out of what is recorded.

Three nets, one behind the other: names (headers, form and query fields, JSON keys), literal
values (every configured secret, also as it looks URL-encoded, base64 or JSON-escaped), and shapes
(a JWT, a PEM block). What is found becomes `<redacted>`; everything else stays byte for byte.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping

from fairlead.engine.secrets import LITERAL_CHARS_MIN, Secret

MARK = "<redacted>"
HINT_CHARS = 3  # of an added name, which may be spelled with `-` or `_` after them
AMBIGUOUS_CHARS_MIN = 12  # `key` and `token` also name harmless short things

# Names are compared in lower case without `-` and `_`.
_NAMES = (
    *("authorization", "proxyauthorization", "cookie", "setcookie", "signature", "sign", "sig"),
    *("apikey", "apikeyid", "accesskey", "xapikey", "xmbxapikey", "apisecret", "apisecretkey"),
    *("secret", "secretkey", "clientsecret", "consumersecret", "privatekey", "userjwt", "jwt"),
    *("accesstoken", "refreshtoken", "idtoken", "sessiontoken", "csrftoken", "bearer", "password"),
    *("recaptchatokenv3", "listenkey", "passphrase", "passwd", "otp", "totp", "pin", "mnemonic"),
)
_AMBIGUOUS = frozenset(
    ("key", "token", "auth", "session", "sessionid", "credential", "credentials")
)
_HEADER_ENDS = ("signature", "apikey", "secret", "token", "passphrase")
# A payload with none of these has no name of a credential in it.
_PREFILTER = (
    *(b"sig", b"key", b"jwt", b"tok", b"sec", b"pass", b"auth", b"cook", b"cred", b"otp"),
    *(b"bearer", b"basic", b"pin", b"mnem", b"session", b"-----b", b"eyj"),
)
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9_-]{1,40})"
# "name": "value" or a number; the value may be cut off by the end of a torn frame.
_JSON = re.compile(
    rf'"{_NAME}"\s*:\s*(?:"(?P<value>(?:[^"\\]|\\.)*)(?:"|\\?\Z)|(?P<number>-?\d[\d.eE+-]*))',
    re.DOTALL,
)
# The same in a JSON text that is a string of another one: \"name\":\"value\".
_JSON_INNER = re.compile(
    rf'\\"{_NAME}\\"\s*:\s*\\"(?P<value>(?:\\\\\\"|\\\\\\\\|(?!\\").)*)(?:\\"|\Z)', re.DOTALL
)
_FORM = re.compile(rf"(?<![A-Za-z0-9_-]){_NAME}=(?P<value>[^&;\s\"'<>\\]+)")
# A part has few and short headers: without a bound, hostile text would take quadratic time.
_MULTIPART = re.compile(
    rf'name="{_NAME}"[^\r\n]{{0,300}}\r\n(?:[^\r\n]{{1,300}}\r\n){{0,5}}\r\n'
    r"(?P<value>.*?)(?=\r\n--|\Z)",
    re.DOTALL,
)
_PAIRS = (_JSON, _JSON_INNER, _FORM, _MULTIPART)
_BEARER = re.compile(r"(?P<head>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# The look ahead, once per run of such letters, keeps the search linear.
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{5,}\.)(?P<head>(?:[A-Za-z0-9_-]*?-)?)"
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)


class Redactor:
    """Redacts headers, text and bytes. `secrets` are values to find literally wherever they are."""

    def __init__(self, secrets: Iterable[Secret | str] = (), names: Iterable[str] = ()) -> None:
        self.found = 0
        added = {_plain(name) for name in names}
        self._names = frozenset(_NAMES) | added
        self._hints = (*_PREFILTER, *(name[:HINT_CHARS].encode() for name in sorted(added)))
        literals: set[str] = set()
        for secret in secrets:
            literals.update(forms(secret.reveal() if isinstance(secret, Secret) else secret))
        self._literals = sorted(literals, key=len, reverse=True)
        self._literal_bytes = [text.encode("utf-8", "surrogateescape") for text in self._literals]

    def __repr__(self) -> str:
        return f"Redactor({len(self._literals)} literals)"

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers by name; the values of the others are searched like any text."""
        out = {}
        for name, value in headers.items():
            plain = _plain(name)
            hide = plain in self._names or plain in _AMBIGUOUS or plain.endswith(_HEADER_ENDS)
            self.found += hide
            out[name] = MARK if hide else self.text(value)
        return out

    def text(self, text: str) -> str:
        """A URL, form, JSON or any other text."""
        for literal in self._literals:
            if literal in text:
                text = text.replace(literal, MARK)
                self.found += 1
        text = self._sub(_PEM, MARK, text)
        text = self._sub(_JWT, rf"\g<head>{MARK}", text)
        text = self._sub(_BEARER, rf"\g<head>{MARK}", text)
        for pattern in _PAIRS:
            text = pattern.sub(self._pair, text)
        return text

    def payload(self, payload: bytes) -> bytes:
        """A frame or body. Bytes that are not UTF-8 are kept as they are."""
        lower = payload.lower()
        named = any(hint in lower for hint in self._hints)
        if not named and not any(literal in payload for literal in self._literal_bytes):
            return payload
        text = payload.decode("utf-8", "surrogateescape")
        clean = self.text(text)
        return payload if clean == text else clean.encode("utf-8", "surrogateescape")

    def _pair(self, match: re.Match[str]) -> str:
        """One name and value; the value goes if the name is a credential's."""
        name = _plain(match["name"])
        value, number = match["value"], match.groupdict().get("number")
        is_sure = name in self._names and bool(value or number)
        if not is_sure and not (name in _AMBIGUOUS and len(value or "") >= AMBIGUOUS_CHARS_MIN):
            return match[0]
        if value == MARK:
            return match[0]
        self.found += 1
        start, end = match.span("number" if value is None else "value")
        mark = f'"{MARK}"' if value is None else MARK
        whole, at = match[0], match.start()
        return whole[: start - at] + mark + whole[end - at :]

    def _sub(self, pattern: re.Pattern[str], replacement: str, text: str) -> str:
        text, count = pattern.subn(replacement, text)
        self.found += count
        return text


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def forms(text: str) -> set[str]:
    """The ways a secret's text can look on the wire."""
    stripped = text.strip()
    if len(stripped) < LITERAL_CHARS_MIN:
        return set()
    raw = stripped.encode("utf-8", "surrogateescape")
    forms = {
        stripped,
        urllib.parse.quote(raw, safe=""),
        urllib.parse.quote_plus(raw),
        json.dumps(stripped)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }
    lines = stripped.splitlines()
    if len(lines) > 1:  # a PEM: each line of its body is secret too
        forms.update(line for line in lines if len(line) >= 24 and not line.startswith("-----"))
    return forms
