"""Secrets: by reference only, from files nobody else can read, and in no message."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from fairlead.engine import secrets
from fairlead.engine.secrets import Secret, SecretError, read_credentials, read_secret, redact
from tests.unit.config_stub import STUB

WORD = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_known_fields", {})


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey, encryption: KeySerializationEncryption | None = None) -> str:
    form = PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def key_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "key file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refused(reference: str, base: Path, **more: object) -> SecretError:
    with pytest.raises(SecretError) as caught:
        read_secret(reference, base, **more)  # type: ignore[arg-type]
    error = caught.value
    assert error.exit_code == 5
    assert error.__cause__ is None
    return error


def test_from_the_environment(tmp_path: Path) -> None:
    secret = read_secret("env:KEY", tmp_path, environ={"KEY": f"{WORD}\n"})
    assert secret.reveal() == WORD


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_from_a_file_beside_the_config(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path, f"{WORD}\n", mode)
    assert read_secret("file:key file", tmp_path).reveal() == WORD


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o777])
def test_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, WORD, mode)
    error = refused("file:key file", tmp_path)
    assert error.code == "E-SEC-006"
    assert f"mode {mode:04o}" in error.message
    assert f"chmod 600 '{path}'" in error.message


def test_no_file_of_others_is_to_be_made_unreadable(tmp_path: Path) -> None:
    """`chmod 600 /etc/passwd` would take it from everyone."""
    system = refused("file:/etc/passwd", tmp_path)
    assert system.code == "E-SEC-006"
    assert "chmod" not in system.message
    (tmp_path / "config").mkdir()
    key_file(tmp_path, "never read", 0o644)
    for where in ("file:../key file", f"file:{tmp_path}/key file"):
        outside = refused(where, tmp_path / "config")
        assert "outside the config's folder: put the credential into a file of its own" in str(
            outside
        )
        assert "chmod" not in outside.message


def test_a_file_of_another_user_is_not_to_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file(tmp_path, "never read", 0o644)
    monkeypatch.setattr("os.geteuid", lambda: 65_533)
    told = refused("file:key file", tmp_path).message
    assert "another user's: put the credential into a file of your own" in told
    assert "chmod" not in told


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    error = refused("env:KEY", tmp_path, environ={})
    assert error.code == "E-SEC-002"
    assert "KEY is not set" in error.message


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_secret(tmp_path: Path, text: str) -> None:
    assert refused("env:KEY", tmp_path, environ={"KEY": text}).code == "E-SEC-003"
    key_file(tmp_path, text)
    assert refused("file:key file", tmp_path).code == "E-SEC-003"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = refused("file:none.pem", tmp_path)
    assert error.code == "E-SEC-004"
    assert str(tmp_path / "none.pem") in error.message


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    assert refused("file:pipe", tmp_path).code == "E-SEC-005"
    assert refused("file:folder", tmp_path).code == "E-SEC-005"
    assert refused("file:/dev/null", tmp_path).code == "E-SEC-005"


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    assert refused("file:a\0b", tmp_path).code == "E-SEC-004"
    assert refused("file:~nobody-of-this-name/key", tmp_path).code == "E-SEC-004"


def test_a_file_too_large_or_binary(tmp_path: Path) -> None:
    key_file(tmp_path, "x" * (secrets.SECRET_BYTES_MAX + 1))
    assert refused("file:key file", tmp_path).code == "E-SEC-007"
    key_file(tmp_path, b"\xff\xfe\x00")
    assert refused("file:key file", tmp_path).code == "E-SEC-007"
    key_file(tmp_path, "two\nlines")
    assert refused("file:key file", tmp_path).code == "E-SEC-007"


@pytest.mark.parametrize(
    "text",
    [WORD, "", "env:", "file:", f"env:{WORD} x", f"vault:{WORD}", f"ENV:{WORD}"],
    ids=range(7),  # the names of tests are written to files
)
def test_an_inline_secret_is_not_echoed(tmp_path: Path, text: str) -> None:
    error = refused(text, tmp_path)
    assert error.code == "E-SEC-001"
    assert WORD not in str(error)


def test_a_pem_private_key(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    pem = pem_of(rsa_key)
    key_file(tmp_path, pem)
    assert read_secret("file:key file", tmp_path, kind="pem").reveal() == pem.strip()
    old = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert read_secret("env:K", tmp_path, kind="pem", environ={"K": old.decode()})


def test_a_pem_that_is_encrypted(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pem = rsa_key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"pass"))
        error = refused("env:K", tmp_path, kind="pem", environ={"K": pem.decode()})
        assert error.code == "E-SEC-009"
        assert "openssl pkey" in error.message


def test_a_public_key_in_place_of_the_private_one(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    public = rsa_key.public_key()
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        pem = public.public_bytes(Encoding.PEM, form).decode()
        error = refused("env:K", tmp_path, kind="pem", environ={"K": pem})
        assert error.code == "E-SEC-010"
        assert "came a public key" in error.message


def test_a_certificate_in_place_of_the_key(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2021, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    error = refused("env:K", tmp_path, kind="pem", environ={"K": pem})
    assert error.code == "E-SEC-010"
    assert "came a certificate" in error.message


@pytest.mark.parametrize("cut", [40, 200, 800, -60])
def test_a_pem_that_is_damaged_is_refused_without_its_text(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey, cut: int
) -> None:
    pem = pem_of(rsa_key)
    error = refused("env:K", tmp_path, kind="pem", environ={"K": pem[:cut]})
    assert error.code == "E-SEC-008"
    body = [line for line in pem.splitlines() if not line.startswith("-----")]
    assert not any(line[:8] in str(error) for line in body)
    assert error.__suppress_context__


def test_what_an_adapter_wants(tmp_path: Path) -> None:
    references = {"key": "env:K", "private_key": "file:none"}
    found, failed = read_credentials(references, STUB.credentials, tmp_path, environ={"K": WORD})
    assert {name: secret.reveal() for name, secret in found.items()} == {"key": WORD}
    assert {name: error.code for name, error in failed.items()} == {"private_key": "E-SEC-004"}
    found, failed = read_credentials({}, STUB.credentials, tmp_path, environ={})
    assert found == {}
    assert {name: error.code for name, error in failed.items()} == {"key": "E-CFG-042"}


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(WORD, "env:KEY")
    assert WORD not in f"{secret} {secret!r} {[secret]} {vars(type(secret))}"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)


def test_redaction_of_every_spelling(rsa_key: rsa.RSAPrivateKey) -> None:
    odd = Secret('a"b/c=d&e+f', "env:ODD")
    pem = Secret(pem_of(rsa_key), "env:PEM")
    body = [line for line in pem.reveal().splitlines() if not line.startswith("-----")]
    texts = [
        odd.reveal(),
        'a\\"b/c=d&e+f',
        "key=a%22b%2Fc%3Dd%26e%2Bf&x=1",
        pem.reveal(),
        repr(pem.reveal()),
        "\n".join(f"> {line}" for line in body),
    ]
    for text in texts:
        clean = redact(f"before {text} after", [odd, pem])
        assert clean.startswith("before ")
        assert clean.endswith(" after")
        for part in ["a%22b", "b/c=d&e+f", *(line for line in body if len(line) >= 8)]:
            assert part not in clean
    assert redact("nothing here", [odd, pem]) == "nothing here"


def test_a_secret_that_was_read_stays_out_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_secret("env:KEY", tmp_path, environ={"KEY": WORD})
    logger = logging.getLogger("tests.secrets")
    redacting = secrets.RedactingFilter()
    logger.addFilter(redacting)
    try:
        logger.warning("request %s failed: %r", f"https://x/?key={WORD}", {"key": WORD})
        try:
            raise RuntimeError(f"refused {WORD}")
        except RuntimeError:
            logger.exception("sent %s", WORD)
    finally:
        logger.removeFilter(redacting)
    assert "[secret]" in caplog.text
    assert WORD not in caplog.text


@pytest.mark.parametrize("short", ["e", "42", "seven77"])
def test_a_short_secret_hides_its_field_and_leaves_every_message_readable(
    tmp_path: Path, short: str
) -> None:
    read_credentials({"key": "env:K"}, STUB.credentials, tmp_path, environ={"K": short})
    plain = f"the order 42e of seven7777 is open: {short} of 42"
    assert redact(plain) == plain
    for text in (
        f"https://x/v1?key={short}&n=1",
        f'{{"key": "{short}", "n": 1}}',
        f'{{"key":{short},"n":1}}',
        f'{{"data":"{{\\"key\\":\\"{short}\\"}}"}}',
        f"KEY: {short}",
        f"{{'key': '{short}'}}",
    ):
        clean = redact(f"before {text} after")
        assert secrets.REDACTED in clean
        assert short not in clean.replace("before", "").replace("after", "").replace(
            secrets.REDACTED, ""
        ).replace("key", "").replace("KEY", "")
        assert clean.endswith(" after")


def test_a_secret_of_eight_characters_is_hidden_wherever_it_is(tmp_path: Path) -> None:
    read_credentials({"key": "env:K"}, STUB.credentials, tmp_path, environ={"K": "eightchr"})
    assert redact("xeightchry") == "x[secret]y"
