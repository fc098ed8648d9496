"""The demo directory: a made-up organization, computed when it is looked at.

The same (seed, users, ...) always gives the same organization. `Directory.at(epoch)` gives it
after it moved on: with each step about 1 % of the users, tokens, groups and memberships change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from syncd.demo.apps import Catalogue
from syncd.demo.grants import Grants
from syncd.demo.people import ADMIN, ADMIN_EMAIL, People, Person, Status
from syncd.demo.teams import Role, SubjectKind, Teams

DEFAULT_CUSTOMER = "C0demo1x2"


class UserRow(NamedTuple):
    """One living user."""

    id: str
    email: str
    name: str
    status: Status
    is_admin: bool
    org_unit: str


class TokenRow(NamedTuple):
    """One token; the scopes are sorted and distinct."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]


class GroupRow(NamedTuple):
    """One group."""

    id: str
    email: str
    name: str


class MemberRow(NamedTuple):
    """One direct membership."""

    group_id: str
    subject_kind: SubjectKind
    subject_id: str
    role: Role


class DeletedRow(NamedTuple):
    """One user deleted lately."""

    id: str
    email: str
    deletion_time: str
    """RFC 3339, UTC."""


@dataclass(frozen=True)
class Directory:
    """An organization of `users` users at `epoch`.

    `users` (the administrator included) and `groups` are the numbers of living ones at any
    epoch. `groups` None means one for every 20 users, 3 at least. `suspended_percent` is
    0..100. `tokens_per_user` is a mean. `customer` is the customer's immutable id.
    """

    seed: int = 1
    users: int = 500
    epoch: int = 0
    suspended_percent: float = 5.0
    groups: int | None = None
    tokens_per_user: float = 12.0
    customer: str = DEFAULT_CUSTOMER

    def __post_init__(self) -> None:
        """Refuse what no organization can be (ValueError)."""
        if self.users < 1 or self.epoch < 0 or (self.groups or 0) < 0:
            msg = "users must be at least 1, epoch and groups at least 0"
            raise ValueError(msg)
        if not 0 <= self.suspended_percent <= 100:
            msg = "suspended_percent must be between 0 and 100"
            raise ValueError(msg)

    def at(self, epoch: int) -> Directory:
        """Return the same organization after `epoch` steps from its beginning."""
        return replace(self, epoch=epoch)

    @property
    def admin_email(self) -> str:
        """The address of the administrator, who exists at any epoch."""
        return ADMIN_EMAIL

    @property
    def group_count(self) -> int:
        """The number of groups."""
        return max(3, self.users // 20) if self.groups is None else self.groups

    @cached_property
    def people(self) -> People:
        """The users."""
        return People(self.seed, self.users, self.epoch, self.suspended_percent)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The applications."""
        return Catalogue(self.seed)

    @cached_property
    def grants(self) -> Grants:
        """The tokens."""
        return Grants(self.people, self.catalogue, self.tokens_per_user)

    @cached_property
    def teams(self) -> Teams:
        """The groups."""
        return Teams(self.people, self.group_count, self.epoch, self.customer)

    @cached_property
    def app_names(self) -> tuple[str, ...]:
        """The display names of the applications, in the order of the catalogue."""
        return tuple(self.catalogue.name(turn, self.epoch) for turn in range(len(self.catalogue)))

    def walk_users(self, place: int = ADMIN) -> Iterator[Person]:
        """Yield the living users from `place` on, the administrator first."""
        return self.people.walk(place)

    def iter_users(self) -> Iterator[UserRow]:
        """Yield every living user, in the order of the e-mail addresses."""
        for person in self.walk_users():
            yield UserRow(
                person.id,
                person.email,
                person.full_name,
                person.status,
                person.is_admin,
                person.org_unit,
            )

    def iter_tokens(self, *, readable_only: bool = False) -> Iterator[TokenRow]:
        """Yield every token of every living user; with `readable_only`, of the active ones.

        The API refuses to list the tokens of suspended and archived users.
        """
        for person in self.walk_users():
            if readable_only and person.status != "active":
                continue
            for grant in self.grants.of(person.number, person.life):
                yield TokenRow(person.id, grant.app.client_id, tuple(sorted(set(grant.scopes))))

    def iter_groups(self) -> Iterator[GroupRow]:
        """Yield every group, in the order of the e-mail addresses."""
        for team in self.teams.walk(0):
            yield GroupRow(team.id, team.email, team.name)

    def iter_members(self) -> Iterator[MemberRow]:
        """Yield every direct membership of every group."""
        for team in self.teams.walk(0):
            for member in self.teams.members(team.number):
                yield MemberRow(team.id, member.kind, member.id, member.role)

    def iter_deleted_users(self) -> Iterator[DeletedRow]:
        """Yield every user deleted during the last 20 steps."""
        for person in self.people.walk_deleted(0):
            if person.deleted is not None:
                stamp = person.deleted.strftime("%Y-%m-%dT%H:%M:%S.000Z")
                yield DeletedRow(person.id, person.email, stamp)

    def iter_applications(self) -> Iterator[tuple[str, str]]:
        """Yield (client id, display name) of every application, the most popular one first."""
        for app, name in zip(self.catalogue.apps, self.app_names, strict=True):
            yield app.client_id, name
