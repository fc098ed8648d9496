"""The demo organization's groups and their members."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Literal, NamedTuple

from syncd.demo import names
from syncd.demo.chance import draw, tag
from syncd.demo.conveyor import Conveyor
from syncd.demo.people import DOMAIN, People

SubjectKind = Literal["user", "group", "external", "everyone"]
Role = Literal["member", "manager", "owner"]

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_DIGITS = 13
_ID_SPACE = 36**_ID_DIGITS
_BIG = 230
_PLAIN_SIZES = 30


class Team(NamedTuple):
    """One group."""

    number: int
    place: int
    id: str
    email: str
    name: str
    description: str
    admin_created: bool
    member_count: int
    etag: str


class Membership(NamedTuple):
    """One direct member of a group."""

    kind: SubjectKind
    id: str
    email: str | None
    role: Role
    active: bool
    etag: str


class Teams:
    """All groups at one epoch."""

    def __init__(self, people: People, groups: int, epoch: int, customer: str) -> None:
        """Prepare `groups` groups of the given people; nothing is listed yet."""
        self._people = people
        self._customer = customer
        self.belt = Conveyor(groups, epoch, people.seed, 40)
        self._combos = names.Combos(names.TEAM, names.PURPOSE, self.belt.places)
        low, high, shift, *_ = draw(people.seed, 41, 0)
        self._id_mul = _coprime((high << 32 | low) + 1)
        self._id_add = shift << 35
        self._id_inverse = pow(self._id_mul, -1, _ID_SPACE)
        self._renamed = self.belt.mark(0.8)
        self._joined = self.belt.mark(0.6)
        self._left = self.belt.mark(0.4)
        self._promoted = self.belt.mark(0.3)
        self._stride = _stride(people.belt.size)

    @property
    def end(self) -> int:
        """The number of places in the listing."""
        return self.belt.places if self.belt.size else 0

    def number_at(self, place: int) -> int | None:
        """Return the number of the group living at `place` of the listing, if any does."""
        number = self.belt.last_at(place)
        return number if number >= self.belt.start else None

    def walk(self, place: int) -> Iterator[Team]:
        """Yield the groups from `place` on in the order of the listing."""
        for here in range(place, self.end):
            number = self.number_at(here)
            if number is not None:
                yield self.living(number)

    def living(self, number: int) -> Team:
        """Return group `number`, which must be living."""
        place = self.belt.place(number)
        email, name = self._names(place, number)
        chance = draw(self._people.seed, 42, number)
        count = self.member_count(number)
        return Team(
            number=number,
            place=place,
            id=self.id_of(number),
            email=email,
            name=name,
            description=f"Mail to {name}" if chance[0] % 3 else "",
            admin_created=chance[1] % 4 != 0,
            member_count=count,
            etag=tag(self._people.seed, 43, number, count * 64 + len(name)),
        )

    def find(self, key: str) -> Team | None:
        """Return the group with this id or e-mail (in any case), or None."""
        number = self._number_of_email(key.lower()) if "@" in key else self._number_of_id(key)
        return None if number is None else self.living(number)

    def id_of(self, number: int) -> str:
        """Return the group's immutable id, 15 lower-case letters and digits."""
        value = (number * self._id_mul + self._id_add) % _ID_SPACE
        digits = []
        for _ in range(_ID_DIGITS):
            value, digit = divmod(value, 36)
            digits.append(_ALPHABET[digit])
        return "0" + "".join(reversed(digits)) + "z"

    def _number_of_id(self, key: str) -> int | None:
        if len(key) != _ID_DIGITS + 2 or not (key.isascii() and key.isalnum()):
            return None
        if key != key.lower() or key[0] != "0" or key[-1] != "z":
            return None
        value = int(key[1:-1], 36)
        number = (value - self._id_add) * self._id_inverse % _ID_SPACE
        return number if self.belt.lives(number) else None

    def _number_of_email(self, email: str) -> int | None:
        low, high = 0, self.end
        while low < high:
            middle = (low + high) // 2
            if self._email_at(middle) < email:
                low = middle + 1
            else:
                high = middle
        if low >= self.end or self._email_at(low) != email:
            return None
        return self.number_at(low)

    def _email_at(self, place: int) -> str:
        return self._names(place, self.belt.last_at(place))[0]

    def _names(self, place: int, number: int) -> tuple[str, str]:
        """Return (e-mail, name); a rename changes the name and, of every other, the e-mail."""
        one, two, digits = self._combos.at(place, draw(self._people.seed, 44, place)[0])
        team, purpose = names.TEAM[one], names.PURPOSE[two]
        name, suffix = f"{team[1]} {purpose[1]} {digits}".rstrip(), ""
        if number >= 0 and self.belt.passed(number, self._renamed):
            name += " (renamed)"
            suffix = "hub" if number % 2 else ""
        return f"{team[0]}.{purpose[0]}{digits}{suffix}@{DOMAIN}", name

    # -- members ---------------------------------------------------------------------------

    def _users_of(self, number: int) -> tuple[int, int, int]:
        """Return (first residue, first step, step after the last) of the group's users."""
        size = self._people.belt.size
        chance = draw(self._people.seed, 45, number)
        wanted = 4 + chance[0] % _PLAIN_SIZES
        residue = number % self.belt.size
        if residue == 0:
            wanted = max(_BIG, min(1200, size // 4))
        elif residue == 1 and size >= 10 * _BIG:
            wanted = 3 * _BIG
        # One place is kept free for the user who joins later.
        count = max(0, min(wanted, size - 1))
        low = int(self.belt.passed(number, self._left) and count > 1)
        high = count + int(self.belt.passed(number, self._joined) and size > 0)
        return chance[1] % size if size else 0, low, high

    def _others(self, number: int) -> tuple[int, int, bool]:
        """Return (nested groups, external members, whether everyone is a member)."""
        chance = draw(self._people.seed, 46, number)
        residue = number % self.belt.size
        later = self.belt.size - residue - 1
        nested = min(later, 1 + chance[0] % 3) if residue == 0 or chance[1] % 3 == 0 else 0
        external = 1 + chance[2] % 3 if residue == 0 or chance[3] % 5 < 2 else 0
        return nested, external, residue % 15 == 2

    def member_count(self, number: int) -> int:
        """Return how many direct members group `number` has."""
        _, low, high = self._users_of(number)
        nested, external, everyone = self._others(number)
        return high - low + nested + external + int(everyone)

    def members(self, number: int, offset: int = 0) -> Iterator[Membership]:
        """Yield the direct members of group `number` from the `offset`-th on."""
        first, low, high = self._users_of(number)
        users = high - low
        for step in range(low + min(offset, users), high):
            yield self._user(number, first, step)
        rest = max(0, offset - users)
        for turn, member in enumerate(self._other_members(number)):
            if turn >= rest:
                yield member

    def member(self, number: int, key: str) -> Membership | None:
        """Return the direct member of group `number` with this id or e-mail, or None."""
        wanted = key.lower()
        for member in self.members(number):
            if member.id == key or (member.email or "") == wanted:
                return member
        return None

    def _user(self, number: int, first: int, step: int) -> Membership:
        belt = self._people.belt
        residue = (first + step * self._stride) % belt.size
        person = self._people.living(belt.holder(residue))
        role = self._role(number, residue)
        if step == 2 and self.belt.passed(number, self._promoted):
            role = "manager" if role == "member" else "member"
        return Membership(
            kind="user",
            id=person.id,
            email=person.email,
            role=role,
            active=person.status == "active",
            etag=person.etag[:16] + role[:2],
        )

    def _role(self, number: int, residue: int) -> Role:
        chance = (residue * 2_654_435_761 + number * 40_503) >> 7 & 31
        if chance == 0:
            return "owner"
        return "manager" if chance < 3 else "member"

    def _other_members(self, number: int) -> Iterator[Membership]:
        nested, external, everyone = self._others(number)
        residue = number % self.belt.size
        later = self.belt.size - residue - 1
        chance = draw(self._people.seed, 47, number)
        # Only a later residue can be nested, so that no group ever contains itself.
        for turn in range(nested):
            inner = self.belt.holder(residue + 1 + (chance[0] + turn) % later)
            email, _ = self._names(self.belt.place(inner), inner)
            yield _membership("group", self.id_of(inner), email)
        for turn in range(external):
            yield self._outsider(chance[1 + turn])
        if everyone:
            yield _membership("everyone", self._customer, None)

    def _outsider(self, chance: int) -> Membership:
        given = names.GIVEN[chance % len(names.GIVEN)][0]
        family = names.FAMILY[(chance >> 8) % len(names.FAMILY)][0]
        domain = names.PARTNER_DOMAINS[(chance >> 16) % len(names.PARTNER_DOMAINS)]
        identity = str(11 * 10**19 + chance * 9_999_999_967)
        return _membership("external", identity, f"{given}.{family}@{domain}")


def _membership(kind: SubjectKind, identity: str, email: str | None) -> Membership:
    return Membership(
        kind=kind, id=identity, email=email, role="member", active=True, etag=f"m-{identity}"
    )


def _coprime(value: int) -> int:
    while gcd(value, _ID_SPACE) != 1:
        value += 1
    return value


def _stride(size: int) -> int:
    """Return a step that visits all residues of `size` before it repeats one."""
    stride = max(1, int(size * 0.381966))
    while size and gcd(stride, size) != 1:
        stride += 1
    return stride
