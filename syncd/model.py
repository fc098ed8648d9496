"""The words of syncd: entities, collections, pages, runs and proofs.

Everything here is a plain immutable value. An entity's fields are what a provider can tell; what
the store adds (when it was first seen, when it changed) is not here.
"""

from __future__ import annotations

import enum
from typing import NewType

import msgspec

ENDPOINTS = ("users", "tokens", "relations")
"""The kinds of work of a run, in the order in which they are started."""


class Frozen(msgspec.Struct, frozen=True, gc=False, omit_defaults=False):
    """Base of the values here: immutable, compared by value, not tracked by the collector."""


class User(Frozen, frozen=True):
    """A person, guest or service account of the organization."""

    id: str
    email: str = ""
    name: str = ""
    kind: str = "human"
    """``human``, ``guest`` or ``service``."""
    status: str = "active"
    """``active``, ``suspended`` or ``archived``."""
    is_admin: bool = False
    org_unit: str = ""
    created_at: str = ""
    last_login_at: str = ""
    """Stored, and no change of the user: it moves with every login."""


class Application(Frozen, frozen=True):
    """Something that users gave access to."""

    id: str
    name: str = ""


class Token(Frozen, frozen=True):
    """Access that a principal gave to an application."""

    principal_id: str
    application_id: str
    scopes: tuple[str, ...] = ()
    """Sorted, each once: see :func:`canonical_scopes`."""
    principal_kind: str = "user"
    """``user``, ``organization``, ``group`` or ``service``."""
    id: str = ""
    """The provider's own id of the grant; empty where it has none."""
    kind: str = "oauth"
    native: bool = False
    anonymous: bool = False
    application_name: str = ""
    """The application's name as this grant shows it; stored, and no change of the token."""


class Group(Frozen, frozen=True):
    """A group of users, groups and outsiders."""

    id: str
    email: str = ""
    name: str = ""
    description: str = ""


class Relation(Frozen, frozen=True):
    """Somebody's place in a group, or assignment to an application."""

    object_id: str
    subject_kind: str
    """``user``, ``group``, ``service``, ``external`` or ``everyone``."""
    subject_id: str
    role: str = "member"
    kind: str = "member"
    """``member`` or ``assignment``."""
    object_kind: str = "group"
    """``group`` or ``application``."""
    role_id: str = ""
    subject_email: str = ""
    """As the listing shows it; stored, and no change: it is the subject's, not the relation's."""


Entity = User | Token | Group | Relation


class Kind(enum.StrEnum):
    """The kinds of rows that a provider's listings bring."""

    USER = "user"
    TOKEN = "token"
    GROUP = "group"
    RELATION = "relation"


def canonical_scopes(scopes: list[str]) -> tuple[str, ...]:
    """Scopes sorted and each once, so that a server's order never looks like a change."""
    return tuple(sorted(set(scopes)))


class CollectionKind(enum.StrEnum):
    """What a collection lists."""

    USERS = "users"
    DELETED_USERS = "deleted_users"
    """Tombstones: a second witness for users that a listing no longer shows."""
    TOKENS = "tokens"
    GROUPS = "groups"
    MEMBERS = "members"


ENTITY_OF = {
    CollectionKind.USERS: Kind.USER,
    CollectionKind.TOKENS: Kind.TOKEN,
    CollectionKind.GROUPS: Kind.GROUP,
    CollectionKind.MEMBERS: Kind.RELATION,
}


ENDPOINT_OF = {
    CollectionKind.USERS: "users",
    CollectionKind.DELETED_USERS: "users",
    CollectionKind.TOKENS: "tokens",
    CollectionKind.GROUPS: "relations",
    CollectionKind.MEMBERS: "relations",
}
"""The endpoint whose work a collection is."""


class Collection(Frozen, frozen=True):
    """The smallest listing that is either completely read or not."""

    kind: CollectionKind
    parent: str = ""
    """The user whose tokens, or the group whose members; empty for an organization's own."""

    def __str__(self) -> str:
        words = {
            CollectionKind.TOKENS: "tokens of user",
            CollectionKind.MEMBERS: "members of group",
        }
        name = words.get(self.kind, str(self.kind))
        return f"{name} {self.parent!r}" if self.parent else name


class BadRecord(Frozen, frozen=True):
    """A record that could not be decoded. ``id`` is empty when not even that was readable."""

    id: str
    reason: str


class Page(Frozen, frozen=True):
    """What one request returned, mapped to entities."""

    entities: tuple[Entity, ...] = ()
    bad: tuple[BadRecord, ...] = ()
    next: str | None = None
    """The cursor of the next page; None when the provider says that this is the last."""
    marked: bool = True
    """The response bears the provider's own mark of such a listing."""
    customer: str = ""
    """The provider's id of the customer whose rows these are, where a page tells it."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Identities of what the page shows, bad records with a readable id included."""
        return tuple(identity(e) for e in self.entities) + tuple(b.id for b in self.bad if b.id)


def identity(entity: Entity) -> str:
    """The provider's immutable id of an entity within its collection."""
    match entity:
        case User(id=id) | Group(id=id):
            return id
        case Token(application_id=application, id=id):
            return f"{application}\n{id}" if id else application
        case Relation(subject_kind=kind, subject_id=id, role_id=role):
            return f"{kind}\n{id}\n{role}" if role else f"{kind}\n{id}"


class RunState(enum.StrEnum):
    """How far a run, or one of its endpoints, has come."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Finished, and something in it was unreadable."""
    FAILED = "failed"
    ABORTED = "aborted"
    """Ended by the emergency brake."""
    INTERRUPTED = "interrupted"
    """Stopped before its end; resumed by the next start unless it has grown too old."""


class CollectionState(enum.StrEnum):
    """Why a collection is an exception among the many that were simply read."""

    UNREADABLE = "unreadable"
    NOT_APPLICABLE = "not_applicable"
    READING = "reading"
    """Half read: some of its pages are committed."""


Key = NewType("Key", int)
"""The store's own number of a row."""


class CompleteListing(Frozen, frozen=True):
    """Proof that what a collection's one response does not show is gone.

    Built by ``sync/ledger.py`` and nowhere else; a check in ``make check`` sees to it.
    """

    collection: Collection


class Gone(Frozen, frozen=True):
    """Proof that these rows are gone: each is missing from a complete pass and has a witness.

    Built by ``sync/ledger.py`` and nowhere else; a check in ``make check`` sees to it.
    """

    kind: Kind
    keys: tuple[Key, ...]
    witness: str
    """``tombstone``, ``own_get``, ``two_passes``, ``parent_gone`` or ``released``."""


Proof = CompleteListing | Gone
