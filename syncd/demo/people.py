"""The demo organization's users: who they are and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from syncd.demo import names
from syncd.demo.chance import draw, tag
from syncd.demo.conveyor import TOMBSTONE_STEPS, Conveyor

DOMAIN = "acme.example"
ADMIN_EMAIL = f"admin@{DOMAIN}"
ADMIN = -1
"""The number of the administrator, who never changes."""

Status = Literal["active", "suspended", "archived"]

_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_ID_BASE = 10**20
_ID_SPACE = 18_446_744_073_709_551_557  # a prime: every factor below it can be undone
_STATUSES: tuple[Status, ...] = ("active", "suspended", "archived")


class Person(NamedTuple):
    """One living or deleted user with everything the directory tells about them."""

    number: int
    """The position on the belt; the administrator is -1."""
    life: int
    """0; 1 once the user was deleted and created anew under the same e-mail."""
    place: int
    """The position in the listing; the administrator is -1."""
    id: str
    email: str
    given_name: str
    family_name: str
    status: Status
    is_admin: bool
    is_delegated_admin: bool
    org_unit: str
    created: datetime
    last_login: datetime | None
    deleted: datetime | None
    etag: str
    chance: int

    @property
    def full_name(self) -> str:
        """Return the name as people write it."""
        return f"{self.given_name} {self.family_name}"


class People:
    """All users of the organization at one epoch."""

    def __init__(self, seed: int, users: int, epoch: int, suspended_percent: float) -> None:
        """Prepare `users` users (one of them the administrator); nothing is listed yet."""
        self.seed = seed
        self.belt = Conveyor(max(0, users - 1), epoch, seed, 10)
        self._combos = names.Combos(names.GIVEN, names.FAMILY, self.belt.places)
        low, high, shift, *_ = draw(seed, 11, 0)
        self._id_mul = 1 + (high << 32 | low) % (_ID_SPACE - 1)
        self._id_add = shift << 31
        self._id_inverse = pow(self._id_mul, -1, _ID_SPACE)
        self._set_marks(suspended_percent)

    def _set_marks(self, suspended_percent: float) -> None:
        """Lay out the belt; shares of it are spread so that events do not fall together."""
        belt = self.belt
        suspended = min(belt.size, round(belt.size * suspended_percent / 100))
        low = min(int(belt.size * 0.2), belt.size - suspended)
        self._suspended = (low, low + suspended)
        archive = belt.mark(0.1)
        self._archived = (archive, archive + max(1, belt.size // 100)) if belt.size > 20 else (0, 0)
        self._renamed = belt.mark(0.90)
        self._moved = belt.mark(0.85)
        self._reborn = belt.mark(0.13)
        self._reborn_each = max(1, belt.width // 5)

    @property
    def end(self) -> int:
        """The number of places in the listing."""
        return self.belt.places if self.belt.size else 0

    def status(self, number: int) -> Status:
        """Return the status of user `number`."""
        if number == ADMIN:
            return "active"
        if self.belt.within(number, *self._suspended):
            return "suspended"
        if self.belt.within(number, *self._archived):
            return "archived"
        return "active"

    def life(self, number: int) -> int:
        """Return 1 if user `number` was deleted and created anew by now, else 0."""
        return int(number >= 0 and self._is_reborn(number))

    def _is_reborn(self, number: int) -> bool:
        belt = self.belt
        if (number - self._reborn) % belt.width >= self._reborn_each:
            return False
        return belt.passed(number, self._reborn)

    def id_of(self, number: int, life: int) -> str:
        """Return the immutable id, 21 digits, in no order."""
        serial = 2 * (number + 1) + life
        return str(_ID_BASE + (serial * self._id_mul + self._id_add) % _ID_SPACE)

    def living(self, number: int) -> Person:
        """Return user `number`, who must be living."""
        return self._person(number, self.life(number), None)

    def number_at(self, place: int) -> int | None:
        """Return the number of the user living at `place` of the listing, if anybody does."""
        if place < 0:
            return ADMIN
        number = self.belt.last_at(place)
        return number if number >= self.belt.start else None

    def walk(self, place: int) -> Iterator[Person]:
        """Yield the living users from `place` on in the order of the listing."""
        for here in range(place, self.end):
            number = self.number_at(here)
            if number is not None:
                yield self.living(number)

    def walk_deleted(self, place: int) -> Iterator[Person]:
        """Yield the users deleted lately from `place` on in the order of the listing."""
        end = self.end if self.belt.epoch else 0
        for here in range(max(0, place), end):
            number = self.belt.last_at(here)
            if number < 0:
                continue
            if number < self.belt.start:
                gone = self.belt.passed_at(number, 0)
                if self.belt.epoch - gone < TOMBSTONE_STEPS:
                    yield self._person(number, self.life(number), gone)
            elif self.life(number):
                gone = self.belt.passed_at(number, self._reborn)
                if self.belt.epoch - gone < TOMBSTONE_STEPS:
                    yield self._person(number, 0, gone)

    def find(self, key: str) -> Person | None:
        """Return the living user with this id or primary e-mail (in any case), or None."""
        person = self._find_email(key.lower()) if "@" in key else self._find_id(key)
        return person if person is not None and person.deleted is None else None

    def find_deleted(self, key: str) -> Person | None:
        """Return the lately deleted user with this id, or None."""
        person = None if "@" in key else self._find_id(key)
        return person if person is not None and person.deleted is not None else None

    def _find_id(self, key: str) -> Person | None:
        if len(key) != 21 or not (key.isascii() and key.isdigit()):
            return None
        value = int(key) - _ID_BASE
        if not 0 <= value < _ID_SPACE:
            return None
        serial = (value - self._id_add) * self._id_inverse % _ID_SPACE
        number, life = serial // 2 - 1, serial % 2
        if number == ADMIN:
            return self.living(ADMIN) if life == 0 else None
        return self._existing(number, life)

    def _existing(self, number: int, life: int) -> Person | None:
        """Return user `number` in `life`, living or lately deleted, or None."""
        belt = self.belt
        if not 0 <= number < belt.end or life > self.life(number):
            return None
        if life == self.life(number):
            gone = None if number >= belt.start else belt.passed_at(number, 0)
        else:
            gone = belt.passed_at(number, self._reborn)
        if gone is not None and belt.epoch - gone >= TOMBSTONE_STEPS:
            return None
        return self._person(number, life, gone)

    def _find_email(self, email: str) -> Person | None:
        """Look `email` up by halving: the listing is in the order of the addresses."""
        if email == ADMIN_EMAIL:
            return self.living(ADMIN)
        low, high = 0, self.end
        while low < high:
            middle = (low + high) // 2
            if self._email_at(middle) < email:
                low = middle + 1
            else:
                high = middle
        if low >= self.end or self._email_at(low) != email:
            return None
        number = self.number_at(low)
        return None if number is None else self.living(number)

    def _email_at(self, place: int) -> str:
        """Return the address at `place`, of the one who lives there or would."""
        number = self.belt.last_at(place)
        return self._names(place, number)[0]

    def _names(self, place: int, number: int) -> tuple[str, str, str]:
        """Return (e-mail, given name, family name); renames keep the order of the listing."""
        noise, second, other, *_ = draw(self.seed, 12, place)
        one, two, digits = self._combos.at(place, noise)
        given, family = names.GIVEN[one], names.FAMILY[two]
        extra = names.FAMILY[(two + 1 + second % 50) % len(names.FAMILY)]
        shown, suffix = family[1], ""
        if number >= 0 and self.belt.passed(number, self._renamed):
            shown = f"{shown}-{names.FAMILY[other % len(names.FAMILY)][1]}"
        if number >= 0 and self.belt.passed(number, self._moved):
            suffix = extra[0]
        return f"{given[0]}.{family[0]}{digits}{suffix}@{DOMAIN}", given[1], shown

    def _person(self, number: int, life: int, gone: int | None) -> Person:
        belt = self.belt
        chance = draw(self.seed, 13, number, life)
        if number == ADMIN:
            place, email, given, family = -1, ADMIN_EMAIL, "Demo", "Administrator"
        else:
            place = belt.place(number)
            email, given, family = self._names(place, number)
        status = self.status(number) if gone is None else "active"
        state = (len(email) * 64 + len(family)) * 4 + _STATUSES.index(status)
        return Person(
            number=number,
            life=life,
            place=place,
            id=self.id_of(number, life),
            email=email,
            given_name=given,
            family_name=family,
            status=status,
            is_admin=number == ADMIN or chance[0] % 200 == 0,
            is_delegated_admin=number != ADMIN and chance[0] % 200 in (1, 2),
            org_unit=names.ORG_UNITS[chance[1] % len(names.ORG_UNITS)],
            created=self._created(number, life, chance[2]),
            last_login=self._last_login(chance[3], gone),
            deleted=None if gone is None else day(gone) + timedelta(seconds=chance[4] % 36000),
            etag=tag(self.seed, 14, 2 * number + life, state),
            chance=chance[5],
        )

    def _created(self, number: int, life: int, chance: int) -> datetime:
        if number == ADMIN:
            return _START - timedelta(days=3000)
        if life:
            return day(self.belt.passed_at(number, self._reborn)) + timedelta(hours=1)
        born = (number - self.belt.size) // self.belt.width + 1
        if born > 0:
            return day(born) + timedelta(seconds=chance % 7200)
        return _START - timedelta(seconds=chance % (86400 * 2500))

    def _last_login(self, chance: int, gone: int | None) -> datetime | None:
        """Return the last login, which moves on with the epoch; a few never signed in."""
        if chance % 37 == 0:
            return None
        now = self.belt.epoch if gone is None else gone
        return day(now) - timedelta(seconds=chance % (86400 * 20))


def day(epoch: int) -> datetime:
    """Return the moment of `epoch`: one step is one day."""
    return _START + timedelta(days=epoch)
