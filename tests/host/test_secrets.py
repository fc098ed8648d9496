"""A secret is found where it should be, and gets out by nothing but reveal."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import string
import traceback
from pathlib import Path

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import CredentialError, ExitCode
from syncd.host.log import configure
from syncd.host.secrets import LARGEST_SECRET, Secret, resolve

HIDDEN = "hunter2-and-more"


def test_nothing_that_shows_a_value_shows_a_secret() -> None:
    secret = Secret(HIDDEN)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>40}",
        "%s %r" % (secret, secret),  # noqa: UP031  this way of formatting is what is tested
        "{}".format(secret),  # noqa: UP032  as above
        repr([secret]),
        repr({"a": secret}),
        string.Template("$a").substitute(a=secret),
    ]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == HIDDEN
    assert secret.reveal_bytes() == HIDDEN.encode()


def test_a_secret_is_not_encoded_by_accident() -> None:
    secret = Secret(HIDDEN)
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            encode({"password": secret})
        assert "hunter2" not in str(caught.value)
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError):
        b"".join([secret])  # type: ignore[list-item]


def test_a_copy_of_a_secret_is_itself() -> None:
    secret = Secret(HIDDEN)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secrets_are_compared_by_value_with_secrets_only() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_secret_that_is_no_text_says_so_without_showing_it() -> None:
    secret = Secret(HIDDEN.encode() + b"\xff")
    with pytest.raises(CredentialError) as caught:
        secret.reveal()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_traceback_with_locals_does_not_show_a_secret() -> None:
    def fail(secret: Secret) -> None:
        raise RuntimeError(f"refused: {secret}")

    with pytest.raises(RuntimeError) as caught:
        fail(Secret(HIDDEN))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "hunter2" not in "".join(told.format())


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_logged_secret_is_hidden(format: str) -> None:
    stream = io.StringIO()
    configure("debug", format, stream)
    secret = Secret(HIDDEN)
    structlog.get_logger().info("done", a=secret, b=[secret], c={"d": (secret,)}, e=f"x{secret}")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 4


def write(path: Path, data: bytes = b"key", mode: int = 0o400) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_credential_is_looked_for_in_three_places(tmp_path: Path) -> None:
    given_dir, default_dir = tmp_path / "given", tmp_path / "default"
    environ = {"CREDENTIALS_DIRECTORY": str(given_dir)}

    def found() -> str:
        return resolve("credential:acme", environ=environ, default_dir=default_dir).reveal()

    write(default_dir / "acme", b"third")
    assert found() == "third"
    write(given_dir / "syncd_acme", b"second")
    assert found() == "second"
    write(given_dir / "acme", b"first")
    assert found() == "first"
    without = resolve("credential:acme", environ={}, default_dir=default_dir)
    assert without.reveal() == "third"


def test_a_missing_credential_says_where_it_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": "/run/nowhere"}
    with pytest.raises(CredentialError) as caught:
        resolve("credential:acme", environ=environ, default_dir=tmp_path)
    assert caught.value.exit_code == ExitCode.NO_PERMISSION
    text = str(caught.value)
    for place in ("/run/nowhere/acme", "/run/nowhere/syncd_acme", f"{tmp_path}/acme"):
        assert place in text
    assert f"put the secret into {tmp_path}/acme" in text
    assert "restart" not in text
    with pytest.raises(CredentialError, match="put the secret into /run/nowhere/x"):
        resolve("file:/run/nowhere/x", environ={})


def test_a_file_is_read_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for data, secret in ((b"k", b"k"), (b"k\n", b"k"), (b"k\r\n", b"k"), (b"k\n\n", b"k\n")):
        path.write_bytes(data)
        path.chmod(0o600)
        assert resolve(f"file:{path}", environ={}).reveal_bytes() == secret


def test_an_environment_variable_is_read() -> None:
    assert resolve("env:KEY", environ={"KEY": "x"}).reveal() == "x"
    # As os.environ has a byte that is not UTF-8.
    assert resolve("env:KEY", environ={"KEY": "\udcff"}).reveal_bytes() == b"\xff"
    with pytest.raises(CredentialError, match="KEY is not set"):
        resolve("env:KEY", environ={})
    with pytest.raises(CredentialError, match="KEY is empty"):
        resolve("env:KEY", environ={"KEY": ""})


@pytest.mark.parametrize("spec", ["hunter2", "env:hunter2-x", "file:hunter2", "credential:../x"])
def test_a_spec_that_is_none_is_refused_without_being_repeated(spec: str) -> None:
    with pytest.raises(CredentialError) as caught:
        resolve(spec, environ={})
    assert spec not in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_what_is_no_file_or_holds_no_credential_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="is not a file"):
        resolve(f"file:{tmp_path}", environ={})
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(CredentialError, match="is not a file"):
        resolve(f"file:{fifo}", environ={})
    for data, what in ((b"", "is empty"), (b"\n", "is empty")):
        with pytest.raises(CredentialError, match=what):
            resolve(f"file:{write(tmp_path / 'k', data, 0o600)}", environ={})
    big = write(tmp_path / "big", b"hunter2" + b"x" * LARGEST_SECRET)
    with pytest.raises(CredentialError, match="more than 1 MiB") as caught:
        resolve(f"file:{big}", environ={})
    assert "hunter2" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "key", mode=0)
    user = os.geteuid()
    if user == 0:  # root may read everything: be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(CredentialError, match="Permission denied; syncd has to run as a user"):
            resolve(f"file:{path}", environ={})
    finally:
        os.seteuid(user)


def test_a_file_that_everybody_can_read_is_read_with_a_warning(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    path = write(tmp_path / "key", mode=0o640)
    assert resolve(f"file:{path}", environ={}) == Secret("key")
    assert stream.getvalue() == ""
    path.chmod(0o644)
    assert resolve(f"file:{path}", environ={}) == Secret("key")
    event = json.loads(stream.getvalue())
    assert (event["level"], event["event"]) == ("warning", "credential_exposed")
    assert (event["path"], event["mode"]) == (str(path), "0644")


@given(st.binary())
def test_any_bytes_are_kept_and_hidden(data: bytes) -> None:
    secret = Secret(data)
    assert secret.reveal_bytes() == data
    assert repr(secret) == "***"
