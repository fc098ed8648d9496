"""Secrets: where they are found, and a wrapper that shows them to nobody by accident."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import structlog

from syncd.config import Refused, parse_credential
from syncd.errors import CredentialError

DEFAULT_DIRECTORY = Path("/etc/syncd/credentials")
"""Where a ``credential:NAME`` is looked for last."""

LARGEST_SECRET = 1 << 20
"""Bytes. The largest credential file that is read."""

_HIDDEN = "***"

_log = structlog.get_logger(__name__)


class Secret:
    """A secret that only :meth:`reveal` shows.

    ``repr``, ``str`` and ``format`` give ``***``. It cannot be pickled, hashed or encoded as JSON.
    Two secrets are compared in a time that does not tell how much of them is alike.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        # Environment variables bring bytes that are not UTF-8 as lone surrogates.
        self._value = (
            value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        )

    def reveal(self) -> str:
        """The secret as text. Raises :class:`~syncd.errors.CredentialError` if it is not UTF-8."""
        try:
            return self._value.decode("utf-8")
        except UnicodeDecodeError:
            # The original error holds the secret itself.
            raise CredentialError("the credential is not UTF-8 text") from None

    def reveal_bytes(self) -> bytes:
        """The secret as bytes."""
        return self._value

    def __repr__(self) -> str:
        return _HIDDEN

    def __str__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other.reveal_bytes())

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def resolve(
    spec: str, *, environ: Mapping[str, str], default_dir: Path = DEFAULT_DIRECTORY
) -> Secret:
    """The secret that ``credential:NAME``, ``file:/absolute/path`` or ``env:NAME`` names.

    ``credential:NAME`` is ``$CREDENTIALS_DIRECTORY/NAME``, else
    ``$CREDENTIALS_DIRECTORY/syncd_NAME``, else ``default_dir/NAME``. One line end at the end of a
    file is not part of the secret. Raises :class:`~syncd.errors.CredentialError`, which says what
    was looked for where, and never holds any of the secret.
    """
    try:
        kind, name = parse_credential(spec)
    except Refused as refused:
        raise CredentialError(f"credentials: {refused}") from None
    if kind == "env":
        return _from_environment(name, environ)
    places = [Path(name)] if kind == "file" else _places(name, environ, default_dir)
    return _from_files(spec, places)


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    value = environ.get(name)
    if not value:
        state = "is not set" if value is None else "is empty"
        raise CredentialError(f"env:{name}: the environment variable {name} {state}; set it")
    return Secret(value)


def _places(name: str, environ: Mapping[str, str], default_dir: Path) -> list[Path]:
    given = environ.get("CREDENTIALS_DIRECTORY", "")
    by_systemd = [Path(given, name), Path(given, f"syncd_{name}")] if given else []
    return [*by_systemd, default_dir / name]


def _from_files(spec: str, places: list[Path]) -> Secret:
    for place in places:
        try:
            return Secret(_read(spec, place))
        except FileNotFoundError:
            continue
        except OSError as error:
            hint = "syncd has to run as a user who may read it"
            raise CredentialError(f"{spec}: {place}: {error.strerror}; {hint}") from None
    looked = ", ".join(str(place) for place in places)
    hint = f"put the secret into {places[-1]}, readable by syncd alone (mode 0600)"
    raise CredentialError(f"{spec}: no such file: {looked}; {hint}")


def _read(spec: str, place: Path) -> bytes:
    # Without O_NONBLOCK, opening a named pipe waits for whoever writes to it.
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialError(f"{spec}: {place} is not a file; name a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST_SECRET + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_SECRET:
        raise CredentialError(f"{spec}: {place} holds more than 1 MiB; that is no credential")
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise CredentialError(f"{spec}: {place} is empty; put the secret into it")
    if status.st_mode & stat.S_IROTH:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        hint = f"everybody on this machine can read it: chmod o= {place}"
        _log.warning("credential_exposed", path=str(place), mode=mode, hint=hint)
    return data
