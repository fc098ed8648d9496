"""The files that are generated from the keys' declarations; run as a program, it writes them."""

from __future__ import annotations

from pathlib import Path

from syncd.config import default_toml, reference_markdown
from syncd.providers.registry import schemas

ROOT = Path(__file__).parents[2]


def generated() -> dict[str, str]:
    """The text of each generated file, by its path in the repository."""
    providers = schemas()
    return {
        "etc/config.toml": default_toml(providers),
        "docs/configuration.md": reference_markdown(providers),
    }


if __name__ == "__main__":
    for name, text in generated().items():
        (ROOT / name).write_text(text)
