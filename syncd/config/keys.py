"""What a configuration key is: one declaration, from which everything else follows.

A key's declaration is its only place: reading and checking a value, the typed field of the
configuration, the commented default file, the reference and ``syncd config show`` all come from it.
A section's keys are declared as fields of its dataclass, with :func:`key`; a provider's extra keys
are :class:`Key` values of their own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
V = TypeVar("V")

_METADATA = "syncd.key"
_LONGEST_SHOWN = 60


class Refused(ValueError):
    """A value does not fit its key. Holds the words for a problem, never a secret."""

    def __init__(self, found: str, hint: str = "") -> None:
        super().__init__(f"{found} ({hint})" if hint else found)
        self.found = found
        self.hint = hint


class Kind(Generic[T]):
    """What values a key takes, and how they are read from TOML and written back."""

    unit: str = ""
    """The unit of a bare figure, such as ``rows``; empty if the text carries it or none exists."""

    @property
    def allowed(self) -> str:
        """In words, what may stand in the file."""
        raise NotImplementedError

    def read(self, value: object) -> T:
        """The typed value of what stands in the file. Raises :class:`Refused`."""
        raise NotImplementedError

    def show(self, value: T) -> object:
        """What to write into a TOML file so that :meth:`read` gives ``value`` again."""
        return value


class FrozenMap(Mapping[str, V]):
    """A mapping that does not change: compared by value, copied as itself."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        self._items: dict[str, V] = dict(items or {})

    def __getitem__(self, name: str) -> V:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"


@dataclass(frozen=True, slots=True)
class Key:
    """One key that may stand in the file."""

    name: str
    kind: Kind[Any]
    doc: str
    """One line for the user."""
    default: object = None
    """As it would stand in the file; ``None`` if the key has no fixed default."""
    required: bool = False
    """Whether a file without it is refused (unless the provider has a default for it)."""
    reloadable: bool = True
    """Whether a reload may change it; otherwise a restart is needed."""
    secret: bool = False
    """Whether its value must never be shown."""
    example: object = None
    """As it would stand in the file, for a key without a default."""
    unset: str = ""
    """In words, what holds when neither the file nor ``default`` gives a value."""

    def default_value(self) -> Any:
        """The typed default, or ``None`` when there is none."""
        return None if self.default is None else self.kind.read(self.default)


def key(
    kind: Kind[T],
    doc: str,
    default: object = None,
    *,
    required: bool = False,
    reloadable: bool = True,
    example: object = None,
    unset: str = "",
) -> T:
    """Declare a dataclass field that is a key; its name is the key's name.

    The result is typed as the key's value, so that a wrong annotation is a type error.
    """
    declared = Key("", kind, doc, default, required, reloadable, example=example, unset=unset)
    metadata = {_METADATA: declared}
    if default is None:
        return cast("T", field(metadata=metadata))
    return cast("T", field(default=declared.default_value(), metadata=metadata))


def keys_of(section: type[Any]) -> tuple[Key, ...]:
    """The keys declared as fields of a section's dataclass, in order."""
    return tuple(
        dataclasses.replace(each.metadata[_METADATA], name=each.name)
        for each in dataclasses.fields(section)
        if _METADATA in each.metadata
    )


def quoted(text: str) -> str:
    """A text as a problem may show it: shortened, on one line, with nothing invisible in it."""
    short = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + '"'


def described(value: object) -> str:
    """In words, what stands in the file, for a value that may be shown."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python refuses to write integers of very many digits.
        return str(value) if value.bit_length() <= 64 else "a very large integer"
    if isinstance(value, float):
        return repr(value)
    return quoted(value) if isinstance(value, str) else described_kind(value)


def described_kind(value: object) -> str:
    """In words, the type of what stands in the file, without its content."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array of tables" if value and isinstance(value[0], dict) else "a list"
    return "a date or time"


def toml_text(value: object) -> str:
    """A default or example as TOML writes it."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_text(item) for item in value) + "]"
    # JSON writes texts, booleans and finite numbers as TOML does.
    return json.dumps(value, ensure_ascii=False)
