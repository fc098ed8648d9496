"""A provider as the configuration sees one, and a file that uses it."""

from __future__ import annotations

from pathlib import Path

from syncd.config import EMAIL, Config, Duration, Key, ProviderSchema, Text, loads

GOOGLE = ProviderSchema(
    "google_workspace",
    (
        Key(
            "admin",
            EMAIL,
            "The administrator whom the service account acts for.",
            required=True,
            example="admin@acme.example",
        ),
        Key("customer", Text("a customer id"), "Whose directory is read.", "my_customer"),
    ),
    defaults={"base_url": "https://admin.googleapis.com", "quota_per_minute": 2400},
    doc="Users, tokens and groups of a Google Workspace.",
)

OTHER = ProviderSchema(
    "other",
    (
        Key("passphrase", Text(), "A secret of its own.", secret=True, example="open sesame"),
        Key("lag", Duration("1s", "1h"), "How far it lags.", example="5m", unset="what it says"),
        Key("region", Text(), "Fixed at the start.", "eu", reloadable=False),
    ),
)

PROVIDERS = {each.name: each for each in (GOOGLE, OTHER)}

ACME = """\
[[organization]]
name = "acme"
provider = "google_workspace"
credentials = "credential:acme.json"
admin = "admin@acme.example"
"""

OTHER_ORGANIZATION = """\
[[organization]]
name = "beta"
provider = "other"
credentials = "env:BETA"
base_url = "https://directory.example"
quota_per_minute = 60
"""

BASE = Path("/etc/syncd")


def config_of(text: str) -> Config:
    """The configuration of a text, as if from /etc/syncd/config.toml."""
    return loads(text, PROVIDERS, base=BASE)
