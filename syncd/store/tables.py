"""How entities lie in the tables: their columns, their identity, and the hash of a row.

A row's hash has three parts: one byte of version, 11 bytes over the fields whose change is a
change of the entity, and 4 bytes over the fields that are stored along (such as the last login).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from syncd.model import CollectionKind, Entity, Kind

Row = tuple[Any, ...]

ADDED, CHANGED, REMOVED = 1, 2, 3
"""``t_change.kind``"""

APPLICATION_CODE = 5
"""``t_change.entity`` of applications, which are derived from tokens."""

_encode = msgspec.json.Encoder().encode


def _as_stored(value: Any) -> Any:
    """A field's value in SQLite: text, an integer, or JSON text for the scopes."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return _encode(value).decode()
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One entity's table."""

    kind: Kind
    name: str
    code: int
    """``t_change.entity``"""
    collection: CollectionKind
    scope: tuple[str, ...]
    """Columns that, with the organization, say to which collection a row belongs."""
    identity: tuple[str, ...]
    """The other columns of the entity's identity."""
    id_column: str
    """The one of them that a bad record's id stands for."""
    fields: tuple[str, ...]
    """Columns whose change is a change of the entity."""
    volatile: tuple[str, ...] = ()
    """Columns that are stored and whose change is no change of the entity."""
    version: int = 1
    """Raised when ``fields`` grows: then stored rows are rewritten without a change record."""
    since: dict[str, int] = field(default_factory=dict)
    """field -> version that added it, where that is not 1."""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """All columns of the identity, in the order of the unique index."""
        return self.scope + self.identity

    @property
    def data_columns(self) -> tuple[str, ...]:
        """All other columns that come from the entity."""
        return self.fields + self.volatile

    def data(self, entity: Entity) -> Row:
        """Values of :attr:`data_columns`."""
        return tuple(_as_stored(getattr(entity, name)) for name in self.data_columns)

    def hash(self, data: Row) -> bytes:
        """The hash of a row from the values of :attr:`data_columns`."""
        split = len(self.fields)
        core = blake2b(_encode(data[:split]), digest_size=11).digest()
        along = blake2b(_encode(data[split:]), digest_size=4).digest()
        return bytes((self.version,)) + core + along

    def known_to(self, version: int) -> tuple[str, ...]:
        """Fields that rows of an older hash version already had."""
        return tuple(name for name in self.fields if self.since.get(name, 1) <= version)


USER = Table(
    kind=Kind.USER,
    name="t_user",
    code=1,
    collection=CollectionKind.USERS,
    scope=(),
    identity=("id",),
    id_column="id",
    fields=("kind", "email", "name", "status", "is_admin", "org_unit", "created_at"),
    volatile=("last_login_at",),
)
TOKEN = Table(
    kind=Kind.TOKEN,
    name="t_token",
    code=2,
    collection=CollectionKind.TOKENS,
    scope=("principal_kind", "principal_id"),
    identity=("application", "id"),
    id_column="application",
    fields=("kind", "scopes", "native", "anonymous"),
    volatile=("application_name",),
)
GROUP = Table(
    kind=Kind.GROUP,
    name="t_group",
    code=3,
    collection=CollectionKind.GROUPS,
    scope=(),
    identity=("id",),
    id_column="id",
    fields=("email", "name", "description"),
)
RELATION = Table(
    kind=Kind.RELATION,
    name="t_relation",
    code=4,
    collection=CollectionKind.MEMBERS,
    scope=("object_kind", "object_id"),
    identity=("kind", "subject_kind", "subject_id", "role_id"),
    id_column="subject_id",
    fields=("role",),
    volatile=("subject_email",),
)

TABLES: dict[Kind, Table] = {table.kind: table for table in (USER, TOKEN, GROUP, RELATION)}
BY_COLLECTION: dict[CollectionKind, Table] = {t.collection: t for t in TABLES.values()}

PARENT_KIND: dict[CollectionKind, str] = {
    CollectionKind.TOKENS: "user",
    CollectionKind.MEMBERS: "group",
}
"""The first column of :attr:`Table.scope` for the collections that have a parent."""


def identity_of(table: Table, applications: dict[str, int]) -> Callable[[Any], Row]:
    """A function from an entity to the values of :attr:`Table.key_columns`."""
    if table is TOKEN:
        return lambda e: (e.principal_kind, e.principal_id, applications[e.application_id], e.id)
    names = table.key_columns
    return lambda e: tuple(getattr(e, name) for name in names)


def feed_values(table: Table, data: Row) -> dict[str, Any]:
    """The fields of a row as the change feed shows them."""
    values = dict(zip(table.fields, data, strict=False))
    if "scopes" in values:
        values["scopes"] = msgspec.json.decode(values["scopes"])
    return values


def to_json(values: dict[str, Any]) -> str:
    """JSON text for the change feed."""
    return _encode(values).decode()
