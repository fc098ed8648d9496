from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncd.cli import notes
from syncd.cli.risk import BUILT_IN, Level, RiskRules, compile_pattern, load_rules, short_scope
from syncd.errors import ConfigError
from tests.cli.seed import API

HIGH = (
    "https://mail.google.com/", API + "gmail.readonly", API + "gmail.modify", API + "gmail.send",
    API + "gmail.settings.sharing", API + "gmail.new.thing", API + "drive", API + "drive.readonly",
    API + "admin.directory.user", API + "admin.directory.group",
    API + "admin.directory.user.security", API + "admin.directory.rolemanagement",
    API + "admin.datatransfer", API + "cloud-platform", API + "cloud-platform.read-only",
    API + "ediscovery.readonly", API + "devstorage.read_only", API + "script.projects",
    API + "chat.messages.readonly", API + "cloud-identity.groups", API + "tagmanager.publish",
    "https://www.google.com/accounts/OAuthLogin", "https://apps-apis.google.com/a/feeds/user/#read",
)  # fmt: skip
MEDIUM = (
    API + "gmail.metadata", API + "gmail.addons.current.message.readonly",
    API + "drive.metadata.readonly", API + "admin.directory.user.readonly",
    API + "admin.directory.group.member.readonly", API + "admin.reports.audit.readonly",
    API + "calendar", API + "calendar.readonly", API + "contacts.readonly", API + "spreadsheets",
    API + "documents.readonly", API + "directory.readonly", API + "cloud-identity.groups.readonly",
    "https://www.google.com/m8/feeds", "https://www.google.com/m8/feeds/contacts/default",
    API + "meetings.space.readonly", API + "forms.responses.readonly",
)  # fmt: skip
LOW = (
    "openid", "email", "profile", API + "userinfo.email", API + "userinfo.profile",
    API + "drive.file", API + "drive.appdata", API + "calendar.freebusy", API + "tasks.readonly",
    API + "user.birthday.read", API + "youtube.readonly", API + "gmail.labels",
)  # fmt: skip
UNKNOWN = (
    "", "*", "openid ", "OPENID", "xopenid", API, API + "driveX", API + "admin", "drive",
    "https://evil.example/?" + API + "drive.file", API + "drive.file\n", API + "admin.\n",
    "http://www.googleapis.com/auth/drive", "https://mail.google.com", API + "drive/admin.x",
)  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> RiskRules:
    return load_rules(Path("/nonexistent/risk.toml"))


@pytest.mark.parametrize(
    ("level", "scope"),
    [
        (level, scope)
        for level, scopes in ((Level.HIGH, HIGH), (Level.MEDIUM, MEDIUM), (Level.LOW, LOW))
        for scope in scopes
    ],
)
def test_scopes_have_the_level_that_fits(rules: RiskRules, level: Level, scope: str) -> None:
    finding = rules.of_scope(scope)
    assert (finding.level, finding.source, finding.scope) == (level, "built-in", scope)
    assert finding.rule
    assert finding.reason


@pytest.mark.parametrize("scope", UNKNOWN)
def test_what_only_looks_like_a_known_scope_is_unknown(rules: RiskRules, scope: str) -> None:
    finding = rules.of_scope(scope)
    assert (finding.level, finding.rule, finding.reason) == (Level.MEDIUM, "", "unknown scope")


def test_reading_the_directory_is_not_administering_it(rules: RiskRules) -> None:
    assert rules.of_scope(API + "admin.directory.user.readonly").level is Level.MEDIUM
    assert rules.of_scope(API + "admin.directory.user").level is Level.HIGH


def test_an_application_is_as_risky_as_its_riskiest_scope(rules: RiskRules) -> None:
    finding = rules.of_scopes(
        ["openid", API + "drive", API + "calendar", "https://mail.google.com/"]
    )
    assert (finding.level, finding.scope) == (Level.HIGH, "https://mail.google.com/")
    assert rules.of_scopes(["unknown", API + "calendar"]).scope == API + "calendar"
    assert rules.level_of(["openid"]) == "low"
    assert rules.level_of(["openid", "unknown"]) == "medium"


def test_a_grant_without_scopes_is_medium(rules: RiskRules) -> None:
    finding = rules.of_scopes([])
    assert (finding.level, finding.scope, finding.rule) == (Level.MEDIUM, "", "")
    assert "unknown" in finding.reason


def test_remembering_findings_takes_little_memory(rules: RiskRules) -> None:
    for number in range(10_100):
        assert rules.of_scope(f"scope {number}").level is Level.MEDIUM
    assert len(rules._known) == 10_000  # noqa: SLF001


def test_patterns_match_whole_scopes_and_stars_stop_at_slashes() -> None:
    assert compile_pattern("a.*").fullmatch("a.b.c")
    assert not compile_pattern("a.*").fullmatch("a.b/c")
    assert compile_pattern("a/**").fullmatch("a/b/c\nd")
    assert not compile_pattern("a.*").fullmatch("axb")
    assert not compile_pattern("a(b|c)").fullmatch("ab")


def test_every_rule_of_the_file_can_match(rules: RiskRules) -> None:
    """No pattern stands behind one that takes all its scopes."""
    text = BUILT_IN.read_text()
    for pattern in re.findall(r'"(https[^"]*\*[^"]*)"', text):
        example = pattern.replace("**", "x").replace("*", "zzz")
        assert rules.of_scope(example).rule == pattern, pattern


def _own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "risk.toml"
    path.write_text(text)
    return path


def test_own_rules_come_before_the_built_in_ones(tmp_path: Path) -> None:
    path = _own(
        tmp_path,
        f"""
        [[rule]]
        pattern = "{API}drive*"
        level = "low"
        reason = "we are a public archive"
        [[rule]]
        scope = "{API}drive.file"
        level = "high"
        reason = "not this one"
        [[rule]]
        patterns = ["https://our.example/*"]
        level = "low"
        reason = "ours"
        """,
    )
    rules = load_rules(path)
    assert rules.of_scope(API + "drive").level is Level.LOW
    assert rules.of_scope(API + "drive").source == str(path)
    assert rules.of_scope(API + "drive.file").reason == "not this one"
    assert rules.of_scope("https://our.example/x").level is Level.LOW
    assert rules.of_scope(API + "gmail.readonly").level is Level.HIGH


def test_the_documented_rules_do_what_the_document_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/risk.md").read_text()
    (example,) = re.findall(r"^```toml \S*risk\.toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rules = load_rules(_own(tmp_path, example))
    ours = "https://apps.acme.example/auth/"
    for scope, level in (
        (API + "calendar.readonly", Level.HIGH),
        (ours + "read/all", Level.LOW),
        (ours + "payments", Level.HIGH),
        (API + "drive.metadata.readonly", Level.LOW),
        (API + "drive", Level.HIGH),
        ("https://nobody.knows/it", Level.MEDIUM),
    ):
        assert rules.of_scope(scope).level is level, scope
    assert all(f"| `{level.name.lower()}` |" in text for level in Level)


def test_the_rule_in_the_help_is_valid(tmp_path: Path) -> None:
    example = re.findall(r"^    (.*)$", notes.APPS, re.MULTILINE)
    rules = load_rules(_own(tmp_path, "\n".join(example)))
    assert rules.of_scope(API + "calendar.readonly").level is Level.HIGH


def test_every_problem_of_a_rule_file_is_told_at_once(tmp_path: Path) -> None:
    path = _own(
        tmp_path,
        """
        rules = 1
        [[rule]]
        scope = "a"
        level = "hgih"
        reason = ""
        colour = "red"
        [[rule]]
        level = "low"
        reason = "x"
        [[rule]]
        scope = "a*"
        pattern = "b"
        level = "low"
        reason = "x"
        [[rule]]
        scope = "a*"
        level = "low"
        reason = "x"
        [[rule]]
        scopes = ["b", 3, "b"]
        level = "low"
        reason = "x"
        [[rule]]
        scopes = ["b", "b"]
        level = 3
        reason = 4
        [[rule]]
        pattern = ["c"]
        """,
    )
    with pytest.raises(ConfigError) as caught:
        load_rules(path)
    found = [problem.path for problem in caught.value.problems]
    assert found == [
        "rules", "rule[0].colour", "rule[0].level", "rule[0].reason", "rule[1]", "rule[2]",
        "rule[3].scope", "rule[4].scopes", "rule[5].level", "rule[5].reason", "rule[5].scopes",
        "rule[6].level", "rule[6].reason", "rule[6].pattern",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"rule = 3", "not a list"),
        (b"rule = [3]", "not a table"),
        (b"[[rule", "not TOML"),
        (b"\xff\xfe", "UTF-8"),
        (b"#" * (2 << 20), "1 MiB"),
    ],
)
def test_a_rule_file_that_is_none_says_why(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "risk.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words):
        load_rules(path)


def test_a_rule_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rules(tmp_path)


def test_scopes_are_shown_without_the_address_that_most_share() -> None:
    assert short_scope(API + "drive") == "drive"
    assert short_scope(API) == API
    assert short_scope("openid") == "openid"
