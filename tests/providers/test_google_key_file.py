"""Key files that are none: a sentence that helps, and nothing of what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from syncd.demo.auth import demo_key
from syncd.errors import CredentialError
from syncd.host.secrets import Secret
from syncd.providers.google_workspace import TOKEN_URL, GoogleWorkspace, read_key_file
from syncd.upstream.client import HttpClient
from tests.providers.google import configuration, key_text
from tests.upstream.clocks import VirtualClock, everything_said


def refused(credential: str | bytes) -> str:
    """The message of a credential's refusal."""
    with pytest.raises(CredentialError) as caught:
        GoogleWorkspace(
            configuration(), Secret(credential), HttpClient("http://127.0.0.1:1"), VirtualClock()
        )
    said = everything_said(caught.value)
    for secret in ("s3cr3t", "PRIVATE KEY", "PUBLIC KEY", "MII"):
        assert secret not in said
    return str(caught.value)


def changed(**changes: Any) -> str:
    key = {**json.loads(key_text()), **changes}
    return json.dumps({name: value for name, value in key.items() if value is not None})


def test_a_good_key_file() -> None:
    key = read_key_file(Secret(changed(token_uri=None)))
    assert key.token_uri == TOKEN_URL
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize(
    "credential",
    [
        "s3cr3t",
        b"s3cr3t\xff\xfe",
        "",
        "[]",
        '"s3cr3t"',
        "{}",
        '{"type": "s3cr3t"',
        "[" * 100_000,
        '{"web": {"client_id": "x", "client_secret": "s3cr3t"}}',
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_key_file(credential: str | bytes) -> None:
    message = refused(credential)
    assert "is no service account key file" in message
    assert "download one as JSON" in message


@pytest.mark.parametrize("field", ["type", "client_email", "private_key"])
def test_a_field_that_is_missing_or_of_another_kind_is_named(field: str) -> None:
    assert f"`{field}`" in refused(changed(**{field: None}))
    for value in (5, ["s3cr3t"], {"s3cr3t": 1}):
        assert f"$.{field}" in refused(changed(**{field: value}))


def test_a_key_file_of_another_type() -> None:
    assert "service account" in refused(changed(type="authorized_user"))


@pytest.mark.parametrize(
    "url",
    [
        "https://oauth2.example.com/token",
        "https://oauth2.googleapis.com.s3cr3t.example/token",
        "https://oauth2.googleapis.com@s3cr3t.example/token",
        "http://oauth2.googleapis.com/token",
        "https://accounts.google.com/s3cr3t",
        "http://127.0.0.1@s3cr3t.example/token",
        "http://127.0.0.1.s3cr3t.example/token",
        "file:///etc/s3cr3t",
        "ftp://127.0.0.1/token",
        "http://[::1",
        "//127.0.0.1/token",
        "",
    ],
)
def test_an_assertion_goes_to_google_only(url: str) -> None:
    assert "token_uri points elsewhere than to Google" in refused(changed(token_uri=url))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_or_to_this_machine(host: str) -> None:
    assert read_key_file(Secret(changed(token_uri=f"http://{host}/token"))).client_email


def pem(key: Any, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return data.decode()


def public_pem() -> str:
    key = demo_key().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


GOOD = pem(demo_key())
UNUSABLE: dict[str, Callable[[], str]] = {
    "ec": lambda: pem(ec.generate_private_key(ec.SECP256R1())),
    "ed25519": lambda: pem(ed25519.Ed25519PrivateKey.generate()),
    "dsa": lambda: pem(dsa.generate_private_key(2048)),
    "short": lambda: pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505  it is to be refused
    "encrypted": lambda: pem(demo_key(), b"s3cr3t"),
    "public": public_pem,
    "empty": lambda: "",
    "text": lambda: "s3cr3t",
    "cut": lambda: GOOD[:-300],
    "garbled": lambda: GOOD[:200] + "!!!!" + GOOD[204:],
    "other-bytes": lambda: GOOD[:400] + GOOD[400:800].swapcase() + GOOD[800:],
    "no-lines": lambda: GOOD.replace("\n", "\\n"),
    "bad-base64": lambda: "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n",
    "unknown-algorithm": lambda: (
        GOOD.splitlines()[0] + "\nMBECAQAwBwYDKgMEBQAEAwQBAA==\n" + GOOD.splitlines()[-1]
    ),
    "nul": lambda: "\0" * 99,
    "certificate": lambda: GOOD.replace("PRIVATE KEY", "CERTIFICATE"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_cannot_sign(name: str) -> None:
    message = refused(changed(private_key=UNUSABLE[name]()))
    assert "no usable RSA private key" in message
    assert "download it again" in message
