"""No credential survives redaction; nothing else is touched."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse

import pytest

from fairlead.engine.recording.raw import read
from fairlead.engine.recording.redact import MARK, Redactor
from fairlead.engine.recording.session import Recording
from fairlead.engine.run.config import load
from fairlead.engine.secrets import Secret
from fairlead.engine.status import RunStatus

CANARY = 'cAnArY+/="secret"&%21'
PEM = """-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDcanaryline1xx
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDcanaryline2yy
-----END PRIVATE KEY-----"""


@pytest.mark.parametrize(
    "text",
    [
        '{"signature":"LEAK"}',
        '{"apiKey" : "LEAK"}',
        '{"api-secret-key":"LEAK"}',
        '{"secret":"a\\"LEAK\\\\"}',
        '{"secret":"torn LEAK',
        '{"data":"{\\"user_jwt\\":\\"LEAK\\"}"}',
        '{"data":"{\\"secret\\":\\"x\\\\\\"LEAK\\",\\"a\\":1}"}',
        '{"params":{"key":"LEAK-longer-than-12","signTimestamp":1}}',
        '{"listenKey":"LEAK"}',
        '{"password":"LEAK"}',
        "user_jwt=LEAK&symbol=BTC",
        "https://h/v1?user_jwt=LEAK",
        "https://h/v1?a=1&API_KEY=LEAK&b=2",
        "Authorization: Bearer LEAKLEAKLEAK",
        "x eyJhbGciOiJLEAK.eyJ1aWQiOiJLEAK.c2lnLEAK y",
        'form-data; name="user_jwt"\r\n\r\nLEAK\r\n--b--',
        "-----BEGIN RSA PRIVATE KEY-----\nLEAK\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nLEAK torn",
    ],
)
def test_credentials_by_name_and_shape(text):
    redactor = Redactor()
    assert "LEAK" not in redactor.text(text)
    assert b"LEAK" not in redactor.payload(text.encode())
    assert MARK in redactor.text(text)
    assert redactor.found > 0


def test_numbers_of_a_credential_stay_valid_json():
    assert json.loads(Redactor().text('{"otp": 123456, "n": 5}')) == {"otp": MARK, "n": 5}


@pytest.mark.parametrize(
    "text",
    [
        '{"key":"BTC","token":"USDT","keys":["a"],"n":1}',
        '{"design":"x","assign":"y","monkey":"z","pinned":"1"}',
        '{"signTimestamp":"1700000000000"}',
        '{"b":[["61800.10","1.5"]],"a":[["61800.20","2"]],"u":5123107832006}',
        "https://h/v1/key?symbol=BTC_USDT&limit=5",
        '{"message":"signature is wrong"}',
        '{"secret":""}',
    ],
)
def test_everything_else_is_untouched(text):
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.payload(text.encode()) == text.encode()
    assert redactor.found == 0


def test_a_known_secret_is_found_in_every_dress():
    redactor = Redactor([Secret(CANARY, "env:X")])
    dressed = [
        CANARY,
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote_plus(CANARY),
        json.dumps({"harmless": CANARY}),
        base64.b64encode(CANARY.encode()).decode(),
    ]
    for text in dressed:
        assert MARK in redactor.text(f"before {text} after"), text
        assert "cAnArY" not in redactor.text(text)
    assert CANARY not in repr(redactor)


def test_each_line_of_a_pem_is_secret():
    redactor = Redactor([Secret(PEM, "file:key.pem")])
    one_line = PEM.splitlines()[2]
    assert redactor.text(f"traceback: {one_line}") == f"traceback: {MARK}"
    escaped = json.dumps({"x": PEM})
    assert "canaryline" not in redactor.text(escaped)


@pytest.mark.parametrize("value", ["1", "e", "1234567"])
def test_a_short_secret_takes_its_own_field_and_no_ordinary_text(value):
    redactor = Redactor([Secret(value, "env:X")], names=["uid"])
    other = f'{{"n":"{value}","price":{value!r},"symbol":"vet1234567e"}}'
    assert redactor.text(other) == other
    assert redactor.payload(other.encode()) == other.encode()
    sent = f'{{"uid":"{value}","n":"{value}"}}'.encode()
    assert redactor.payload(sent) == f'{{"uid":"{MARK}","n":"{value}"}}'.encode()
    assert redactor.payload(f"uid={value}&n={value}".encode()) == f"uid={MARK}&n={value}".encode()
    assert redactor.headers({"UID": value, "n": value}) == {"UID": MARK, "n": value}


def test_a_recording_hides_the_field_of_a_short_secret(tmp_path):
    path = tmp_path / "run.toml"
    venue = 'adapter = "oceanex"\ninstruments = ["A_B.OCEANEX"]\n'
    path.write_text(f'name = "x"\n[venues.oceanex]\n{venue}')
    secrets = {"oceanex": {"uid": Secret("e", "env:X"), "word": Secret("longer-than-8", "env:Y")}}
    recording = Recording(load(path), secrets, RunStatus())
    tap = recording.tap("oceanex")
    tap.frame("private#1", "out", '{"uid":"e","note":"the longer-than-8 here"}', 1)
    recording.close()
    (record,) = read(recording.root)
    assert record.payload == f'{{"uid":"{MARK}","note":"the {MARK} here"}}'.encode()


def test_headers():
    redactor = Redactor([Secret(CANARY, "env:X")], names=["customer-id"])
    headers = redactor.headers(
        {
            "KEY": "abc",
            "signature": "x",
            "Authorization": "token",
            "recaptcha-token-v3": "z",
            "X-MBX-APIKEY": "q",
            "Customer-Id": "77",
            "Content-Type": "application/json",
            "signTimestamp": "1700",
            "X-Note": f"has {CANARY}",
        }
    )
    assert {name for name, value in headers.items() if value == MARK} == {
        "KEY",
        "signature",
        "Authorization",
        "recaptcha-token-v3",
        "X-MBX-APIKEY",
        "Customer-Id",
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Note"] == f"has {MARK}"


def test_added_names_are_redacted_in_bodies_too():
    redactor = Redactor(names=["customer_id"])
    assert redactor.payload(b'{"customerId":"LEAK"}') == f'{{"customerId":"{MARK}"}}'.encode()
    assert redactor.payload(b"customer-id=LEAK") == f"customer-id={MARK}".encode()


def test_bytes_that_are_no_text_are_kept():
    rng = random.Random(7)
    redactor = Redactor([Secret(CANARY, "env:X")])
    for _ in range(300):
        data = rng.randbytes(rng.randrange(0, 200))
        assert redactor.payload(data) == data
    mixed = b"\xff\xfe" + CANARY.encode() + b"\x80"
    assert redactor.payload(mixed) == b"\xff\xfe" + MARK.encode() + b"\x80"


def test_long_hostile_text_takes_no_long_time():
    redactor = Redactor()
    for text in ('"secret":"' * 20_000, '\\"key\\":' * 20_000, "a=" * 50_000, '"' * 100_000):
        assert isinstance(redactor.text(text), str)
