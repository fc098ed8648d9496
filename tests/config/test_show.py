"""A configuration written out: in effect, as a default file, as a reference, as a difference."""

from __future__ import annotations

import re

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import (
    Config,
    ProviderSchema,
    default_toml,
    difference,
    effective,
    loads,
    reference_markdown,
)
from syncd.config.schema import SECTIONS
from tests.config.generate import ROOT, generated
from tests.config.samples import ACME, GOOGLE, OTHER, OTHER_ORGANIZATION, PROVIDERS, config_of

ONLY_GOOGLE = {GOOGLE.name: GOOGLE}


def uncommented(text: str) -> str:
    """The default file with the # before every key removed."""
    return re.sub(r"(?m)^#(?=[a-z\[])", "", text)


def test_the_default_file_sets_nothing() -> None:
    assert loads(default_toml(PROVIDERS), PROVIDERS) == Config()


def test_the_default_file_uncommented_is_the_defaults() -> None:
    loaded = loads(uncommented(default_toml(ONLY_GOOGLE)), PROVIDERS)
    assert loaded == config_of(ACME)


def test_the_default_file_of_several_providers_is_valid_uncommented() -> None:
    loaded = loads(uncommented(default_toml(PROVIDERS)), PROVIDERS)
    assert [(each.name, each.provider) for each in loaded.organizations] == [
        ("acme", "google_workspace"),
        ("acme2", "other"),
    ]


def test_the_default_file_has_every_key_once_with_its_facts() -> None:
    text = default_toml(ONLY_GOOGLE)
    for section in SECTIONS:
        part = text.partition(f"\n[{section.title}]\n")[2].partition("\n[")[0]
        for each in section.keys:
            assert part.count(f"\n#{each.name} = ") == 1
            assert " ".join(each.doc.split()) in part.replace("\n# ", " ")
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "Unit: rows." in text.replace("\n# ", " ")
    assert "Default: as in [daemon]." in text.replace("\n# ", " ")


def test_the_generated_files_are_those_of_the_code() -> None:
    for name, text in generated().items():
        assert (ROOT / name).read_text() == text, "run python -m tests.config.generate"


def test_the_reference_has_every_key_and_what_a_provider_adds() -> None:
    text = reference_markdown(PROVIDERS)
    for section in SECTIONS:
        part = text.partition(f"## `[{section.title}]`\n")[2].partition("\n## ")[0]
        assert all(f"| `{each.name}` |" in part for each in section.keys)
    assert "| production | 3 | 2 | 2 | 2 |" in text
    assert "| `quota_per_minute` | `2400` |" in text
    assert "| `quota_per_minute` | by provider |" in text
    assert "| `base_url` | by provider |" in text
    assert "| `admin` | required | an e-mail address |" in text
    assert '| `region` | `"eu"` | a text |' in text


def test_a_key_that_no_provider_has_a_default_for_is_required() -> None:
    text = reference_markdown({OTHER.name: OTHER})
    assert "| `quota_per_minute` | required |" in text


def test_the_generated_files_speak_of_this_version_only() -> None:
    for name, text in generated().items():
        assert not re.search("reload|restart|systemctl", text), name


def test_a_provider_without_anything_of_its_own_is_in_the_reference() -> None:
    assert reference_markdown({"x": ProviderSchema("x")}).endswith("### Provider `x`\n")


def test_what_is_in_effect_is_shown_with_units() -> None:
    shown = effective(config_of('[sync]\ncommit_interval = "250ms"\n' + ACME))
    assert shown["sync"]["commit_interval"] == "250ms"
    assert shown["sync"]["max_removed_percent"] == 20
    assert shown["resources"]["tokens"] == {"max_concurrency": 2}
    (acme,) = shown["organization"]
    assert acme["credentials"] == "credential:acme.json"
    assert acme["max_response_bytes"] == "64MiB"
    assert acme["customer"] == "my_customer"
    assert "organization" not in effective(Config())


def test_a_secret_in_the_file_is_not_shown() -> None:
    shown = effective(config_of(OTHER_ORGANIZATION + 'passphrase = "hunter2"\nlag = "90s"'))
    assert shown["organization"][0]["passphrase"] == "***"
    assert shown["organization"][0]["lag"] == "1m30s"
    assert "hunter2" not in tomli_w.dumps(shown)


def test_an_unset_key_of_a_provider_is_not_shown() -> None:
    (beta,) = effective(config_of(OTHER_ORGANIZATION))["organization"]
    assert "passphrase" not in beta
    assert beta["region"] == "eu"


DURATIONS = st.floats(0.05, 10).map(lambda seconds: f"{seconds:.9f}s")


@given(
    commit=DURATIONS,
    percent=st.floats(0, 100),
    interval=st.integers(60, 604_800),
    size=st.integers(65_536, 1 << 30),
    limits=st.dictionaries(
        st.sampled_from(["users", "tokens", "relations", "main"]), st.integers(1, 64)
    ),
    profile=st.sampled_from(["production", "development"]),
    endpoints=st.lists(st.sampled_from(["users", "tokens", "relations"]), min_size=1, unique=True),
    path=st.text(st.characters(exclude_characters="?#\0"), min_size=1).filter(
        lambda text: text.isprintable() and text.strip("/ ")
    ),
)
def test_what_is_shown_loads_equal(**values: object) -> None:
    document = {
        "store": {"url": f"sqlite:///{values['path']}x"},
        "sync": {
            "commit_interval": values["commit"],
            "max_removed_percent": values["percent"],
        },
        "resources": {"profile": values["profile"]}
        | {route: {"max_concurrency": n} for route, n in dict(values["limits"]).items()},  # type: ignore[call-overload]
        "organization": [
            {
                "name": "acme",
                "provider": "google_workspace",
                "credentials": "env:ACME",
                "admin": "a@b.c",
                "interval": f"{values['interval']}s",
                "max_response_bytes": values["size"],
                "endpoints": values["endpoints"],
            }
        ],
    }
    config = config_of(tomli_w.dumps(document))
    again = config_of(tomli_w.dumps(effective(config)))
    assert again == config
    assert difference(config, again) == ((), ())


def test_a_difference_tells_what_a_reload_can_bring() -> None:
    old = config_of(ACME + OTHER_ORGANIZATION)
    text = ACME.replace("admin@", "root@") + "retries = 3\n" + OTHER_ORGANIZATION
    new = config_of(
        '[log]\nlevel = "debug"\nformat = "json"\n[store]\nurl = "sqlite:///x.db"\n'
        "[resources.tokens]\nmax_concurrency = 1\n" + text + 'region = "us"\n'
    )
    changes = difference(old, new)
    assert changes.reloadable == (
        "log.level",
        "organization[acme].admin",
        "organization[acme].retries",
        "resources.tokens.max_concurrency",
    )
    assert changes.needs_restart == ("log.format", "organization[beta].region", "store.url")


def test_an_organization_that_comes_or_goes_is_one_change() -> None:
    one, both = config_of(ACME), config_of(OTHER_ORGANIZATION + ACME)
    assert difference(one, both) == (("organization[beta]",), ())
    assert difference(both, one) == (("organization[beta]",), ())
    moved = config_of(OTHER_ORGANIZATION.replace('"beta"', '"acme"'))
    assert "organization[acme]" in difference(one, moved).reloadable


def test_the_daemons_interval_changes_that_of_its_organizations() -> None:
    changes = difference(config_of(ACME), config_of('[daemon]\ninterval = "1h"\n' + ACME))
    assert changes.reloadable == ("daemon.interval", "organization[acme].interval")


@pytest.mark.parametrize("name", ["daemon", "store", "log", "resources", "sync"])
def test_a_configuration_does_not_change(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Config(), name, None)
