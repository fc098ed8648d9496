"""What a provider does: it turns requests into pages of entities, and nothing else.

A new provider is one file here with a subclass of :class:`Provider`, and a line in
``registry.py``.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar
from urllib.parse import quote

from syncd.config import OrganizationConfig, ProviderSchema
from syncd.errors import Action, UpstreamError, Verdict
from syncd.host.secrets import Secret
from syncd.model import Collection, CollectionKind, Kind, Page
from syncd.timing import Clock
from syncd.upstream.auth import Auth
from syncd.upstream.client import HttpClient, Request, Response

LONGEST_ID = 1024
"""Characters; a longer id is a bad record."""

Send = Callable[[Request], Awaitable[Response]]
"""Sends a request through the run's gates; raises UpstreamError for all but a 200."""

Decoding = Callable[[Collection], contextlib.AbstractContextManager[None]]
"""Marks the time in which a collection's response is decoded, so that a crash in it is known."""


class Fetch:
    """What a provider reads with."""

    def __init__(self, send: Send, decoding: Decoding) -> None:
        self.send = send
        self.decoding = decoding


@contextlib.contextmanager
def unmarked(_: Collection) -> Iterator[None]:
    """A :data:`Decoding` that marks nothing."""
    yield


class Provider(ABC):
    """One organization at one kind of identity provider."""

    schema: ClassVar[ProviderSchema]
    """Its name, and its keys in an ``[[organization]]`` table."""

    atomic: ClassVar[frozenset[CollectionKind]] = frozenset()
    """Collections that one response brings whole, with the provider's own mark."""

    tombstones: ClassVar[bool] = False
    """It lists deleted users (:attr:`CollectionKind.DELETED_USERS`)."""

    def __init__(
        self, config: OrganizationConfig, credential: Secret, client: HttpClient, clock: Clock
    ) -> None:
        """Raises CredentialError when the credential cannot be what the provider needs."""
        self.config = config
        self.clock = clock
        self.auth = self.authenticate(credential, client)

    @abstractmethod
    def authenticate(self, credential: Secret, client: HttpClient) -> Auth:
        """Where the Authorization headers come from."""

    @abstractmethod
    def request(self, collection: Collection, cursor: str | None) -> Request:
        """What asks for the first page of a collection, or for the one behind ``cursor``."""

    @abstractmethod
    def parse(self, collection: Collection, response: Response) -> Page:
        """The entities in a response. Raises UpstreamError when it cannot be that listing."""

    @abstractmethod
    def classify(self, request: Request, response: Response) -> Verdict:
        """What to do about a response whose status is not 200."""

    @abstractmethod
    async def is_gone(
        self, fetch: Fetch, kind: Kind, parent: str, id: str, subject_kind: str = ""
    ) -> bool:
        """Ask for one thing by itself: True only when the provider says that it does not exist.

        A relation whose subject is there as another kind than ``subject_kind`` is another relation.
        Raises UpstreamError when it says neither.
        """

    @abstractmethod
    async def customer(self, fetch: Fetch) -> str:
        """The provider's own id of the customer; empty if it cannot be told."""

    @abstractmethod
    def permission(self, endpoint: str) -> str:
        """The permission that an endpoint needs, in the provider's words."""

    def has_tokens(self, status: str) -> bool:
        """Whether the tokens of a user of this status can be asked for at all."""
        return True

    async def page(self, fetch: Fetch, collection: Collection, cursor: str | None) -> Page:
        """One page of a collection."""
        response = await fetch.send(self.request(collection, cursor))
        with fetch.decoding(collection):
            return self.parse(collection, response)


def segment(id: str) -> str:
    """An id as one segment of a URL's path. Raises UpstreamError when it can be none."""
    if not usable_id(id):
        verdict = Verdict(Action.UNREADABLE, "unusable_id")
        raise UpstreamError(verdict, "an id that no address can hold")
    return quote(id, safe="")


def usable_id(id: str) -> bool:
    """Whether an id can be an identity at all.

    A dot or two, percent-encoded or not, mean another place in any URL; behind a NUL a database's
    JSON functions see nothing.
    """
    return 0 < len(id) <= LONGEST_ID and "\0" not in id and id not in {".", ".."}
