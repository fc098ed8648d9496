"""Pages of lists: cursors, the opaque page tokens made of them, and what a page holds."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from syncd.demo import wire
from syncd.demo.directory import Directory
from syncd.demo.errors import invalid_input

ListKind = Literal["users", "deleted", "groups", "members"]
FIRST = -1
_Items = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins, and where the page before it began."""

    start: int = FIRST
    previous: int | None = None

    def text(self, kind: ListKind, key: str) -> str:
        """Return the page token; it is good for the list `kind` of `key` only."""
        raw = f"{self.start}.{self.previous}".encode()
        mark = zlib.crc32(f"{kind}/{key}/".encode() + raw)
        return base64.urlsafe_b64encode(b"~!!~%08x." % mark + raw).decode()


def read_cursor(text: str, kind: ListKind, key: str) -> Cursor:
    """Return the cursor of page token `text`; raise ApiError 400 if it is not a good one."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii")
        _, start, previous = raw.split(".")
        cursor = Cursor(int(start), None if previous == "None" else int(previous))
    except (ValueError, binascii.Error):
        raise invalid_input("pageToken") from None
    if cursor.text(kind, key) != text:
        raise invalid_input("pageToken")
    return cursor


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the directory that is served in pages."""

    kind: ListKind
    directory: Directory
    key: str = ""
    """The group's id for members."""
    public: bool = False
    roles: frozenset[str] = frozenset()
    """Keep only members in these roles; none keeps all."""

    @property
    def items_key(self) -> str:
        """The name of the items in the page."""
        return "users" if self.kind == "deleted" else self.kind

    def slice(self, start: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return at most `limit` items from `start` on, and where the next page begins."""
        found: list[dict[str, Any]] = []
        for place, item in self._walk(start):
            if len(found) == limit:
                return found, place
            found.append(item)
        return found, None

    def page(self, cursor: Cursor, limit: int) -> dict[str, Any]:
        """Return the page at `cursor`."""
        items, after = self.slice(cursor.start, limit)
        tag = wire.page_tag(self.directory.seed + cursor.start, self.directory.epoch, len(items))
        page = wire.listing(self.items_key, self.items_key, items, tag)
        if after is not None:
            page["nextPageToken"] = Cursor(after, cursor.start).text(self.kind, self.key)
        return page

    def _walk(self, start: int) -> _Items:
        if self.kind == "users":
            return self._users(start)
        if self.kind == "deleted":
            return self._deleted(start)
        return self._groups(start) if self.kind == "groups" else self._members(start)

    def _users(self, start: int) -> _Items:
        for person in self.directory.walk_users(start):
            if self.public:
                yield person.place, wire.public_user(person)
            else:
                yield person.place, wire.user(person, self.directory.customer)

    def _deleted(self, start: int) -> _Items:
        for person in self.directory.people.walk_deleted(start):
            yield person.place, wire.user(person, self.directory.customer)

    def _groups(self, start: int) -> _Items:
        for team in self.directory.teams.walk(max(0, start)):
            yield team.place, wire.group(team)

    def _members(self, start: int) -> _Items:
        team = self.directory.teams.find(self.key)
        if team is None:
            return
        offset = max(0, start)
        for turn, item in enumerate(self.directory.teams.members(team.number, offset)):
            if not self.roles or item.role.upper() in self.roles:
                yield offset + turn, wire.member(item)
