"""The kinds of values that say where something is: a URL, a database, a credential."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from syncd.config.keys import Kind, Refused, described, described_kind, quoted
from syncd.config.kinds import nearest

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/\[\]%@!$&'()*+,;=?#]*")
_CREDENTIAL_PATTERNS = {
    "credential": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"),
    "file": re.compile(r"/[^\x00-\x1f\x7f]{1,4000}"),
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}"),
}
_CREDENTIAL_HINTS = {
    "credential": "a file name of letters, digits, dots, dashes and underscores",
    "file": "an absolute path, such as file:/etc/syncd/credentials/acme.json",
    "env": "the name of an environment variable, such as env:ACME_KEY",
}


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.ip_network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")


@dataclass(frozen=True, slots=True)
class HttpsUrl(Kind[str]):
    """A URL that a secret may be sent to: https, or http to this machine alone.

    Read without its last slashes. Providers use :meth:`read` for URLs from other places too, such
    as the ``token_uri`` of a key file.
    """

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return "an https:// URL without user, query and fragment (http:// only to this machine)"

    def read(self, value: object) -> str:
        """See :class:`Kind`."""
        if not isinstance(value, str):
            raise Refused(described(value))
        if len(value) > 2000 or not _URL_CHARACTERS.fullmatch(value):
            raise Refused(described_kind(value), "it holds a character that no URL has")
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise Refused(described_kind(value), "its host or port is malformed") from None
        if "@" in parts.netloc:
            # What stands before the @ may be a password: it is not shown.
            raise Refused("a URL with a user or password in it", "remove what is before the @")
        if "?" in value or "#" in value:
            raise Refused("a URL with a query or fragment", "remove what is from the ? or # on")
        self._check_target(value, parts)
        if port == 0:
            raise Refused(described(value), "port 0 cannot be connected to")
        return value.rstrip("/")

    @staticmethod
    def _check_target(value: str, parts: SplitResult) -> None:
        if parts.scheme not in ("http", "https"):
            hint = "" if "://" in value else "such as https://admin.googleapis.com"
            raise Refused(described(value), hint)
        if not parts.hostname:
            raise Refused(described(value), "it names no host")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise Refused(described(value), "use https: credentials would go out in the clear")


@dataclass(frozen=True, slots=True)
class StoreUrl(Kind[str]):
    """Where the database is. ``sqlite:///a/b`` and ``sqlite:////a/b`` are both the path /a/b."""

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return '"sqlite:///absolute/path.db", or "sqlite:path.db" beside the configuration file'

    def read(self, value: object) -> str:
        """See :class:`Kind`. An absolute path is read as ``sqlite:///path``."""
        if not isinstance(value, str):
            raise Refused(described(value))
        scheme, colon, path = value.partition(":")
        if not colon or "/" in scheme:
            raise Refused(described_kind(value), f"such as sqlite://{_absolute_example(value)}")
        if scheme != "sqlite":
            # A URL of a database server may hold a password: only its scheme is shown.
            hint = nearest(scheme, ["sqlite"]) or "SQLite is the only database so far"
            raise Refused(f"a URL with the scheme {quoted(scheme)}", hint)
        self._check_path(value, path)
        if path.startswith("///"):
            return "sqlite:///" + path.lstrip("/")
        return f"sqlite://{path}" if path.startswith("/") else value

    @staticmethod
    def _check_path(value: str, path: str) -> None:
        if not path.isprintable() or len(path) > 4000:
            raise Refused(described_kind(value), "the path is too long or has a control character")
        if "?" in path or "#" in path:
            raise Refused(described(value), "options after ? or # are not supported")
        if path.startswith("//") and not path.startswith("///"):
            raise Refused(described(value), "three slashes come before an absolute path")
        if path.startswith("~"):
            raise Refused(described(value), "write the whole path: ~ is not expanded")
        if path == ":memory:":
            raise Refused(described(value), "the database has to outlive the process")
        if path.rstrip("/") != path or not path:
            raise Refused(described(value), "it names no file")


def _absolute_example(value: str) -> str:
    return value if value.startswith("/") and value.isprintable() else "/var/lib/syncd/syncd.db"


def store_path(url: str, base: Path = Path()) -> Path:
    """The file of a database URL that :class:`StoreUrl` read; a relative one is below ``base``."""
    path = url.removeprefix("sqlite:")
    return Path(path[2:]) if path.startswith("///") else base / path


def parse_credential(spec: str) -> tuple[str, str]:
    """The kind (``credential``, ``file`` or ``env``) and name of a credential spec.

    Raises :class:`Refused`, which never repeats the spec: it may be a secret pasted by mistake.
    """
    kind, colon, name = spec.partition(":")
    pattern = _CREDENTIAL_PATTERNS.get(kind) if colon else None
    if pattern is None:
        raise Refused(
            "a text that names no credential",
            "if it is the secret itself, put that into a file and name the file here",
        )
    if not pattern.fullmatch(name):
        raise Refused(f"{kind}: with a name that does not fit", _CREDENTIAL_HINTS[kind])
    return kind, name


@dataclass(frozen=True, slots=True)
class CredentialSpec(Kind[str]):
    """Where a secret is found: never the secret itself."""

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return '"credential:NAME", "file:/absolute/path" or "env:NAME"'

    def read(self, value: object) -> str:
        """See :class:`Kind`."""
        if not isinstance(value, str):
            raise Refused(described_kind(value))
        parse_credential(value)
        return value
