"""Reading a file: the values, and every problem at once with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import Config, OrganizationConfig, ProviderSchema, load, loads
from syncd.config.load import LARGEST_FILE, MOST_PROBLEMS
from syncd.errors import ConfigError, ExitCode, Problem
from tests.config.samples import ACME, BASE, GOOGLE, OTHER_ORGANIZATION, PROVIDERS, config_of


def problems_of(text: str, **options: bool) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loads(text, PROVIDERS, source="x.toml", base=BASE, **options)
    return caught.value.problems


def only_problem(text: str, **options: bool) -> Problem:
    (problem,) = problems_of(text, **options)
    return problem


def problem_of_file(path: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        load(path, PROVIDERS)
    assert caught.value.source == str(path)
    assert caught.value.exit_code == ExitCode.CONFIG
    (problem,) = caught.value.problems
    return problem


def test_an_empty_file_is_all_defaults() -> None:
    config = config_of("")
    assert config == Config()
    assert config.daemon.interval == 900
    assert config.store.url == "sqlite:///var/lib/syncd/syncd.db"
    assert config.store.path == Path("/var/lib/syncd/syncd.db")
    assert (config.log.level, config.log.format) == ("info", "auto")
    assert config.sync.max_removed_percent == 20
    assert config.sync.hold_above_rows == 10
    assert config.sync.commit_interval == 1
    assert config.sync.commit_collections == 100
    assert config.sync.max_witness_requests == 500
    assert config.sync.progress_interval == 10
    assert config.organizations == ()


def test_an_organization_takes_its_providers_defaults() -> None:
    (acme,) = config_of(ACME).organizations
    assert acme == OrganizationConfig(
        name="acme",
        provider="google_workspace",
        credentials="credential:acme.json",
        interval=900,
        base_url="https://admin.googleapis.com",
        quota_per_minute=2400,
        options=acme.options,
    )
    assert dict(acme.options) == {"admin": "admin@acme.example", "customer": "my_customer"}
    assert acme.enabled
    assert acme.endpoints == ("users", "tokens", "relations")
    assert acme.request_timeout == 120
    assert acme.max_response_bytes == 64 * 1024 * 1024
    assert acme.retries == 6
    assert acme.schema is GOOGLE


def test_an_organizations_interval_is_the_daemons_unless_given() -> None:
    daemon = '[daemon]\ninterval = "1h"\n'
    assert config_of(daemon + ACME).organizations[0].interval == 3600
    assert config_of(daemon + ACME + 'interval = "5m"').organizations[0].interval == 300


def test_a_reload_of_the_same_organizations_keeps_their_order() -> None:
    names = [each.name for each in config_of(OTHER_ORGANIZATION + ACME).organizations]
    assert names == ["beta", "acme"]


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", {"users": 3, "tokens": 2, "relations": 2, "main": 2}),
        ('profile = "development"', {"users": 4, "tokens": 4, "relations": 4, "main": 4}),
        ("max_concurrency = 5", {"users": 5, "tokens": 5, "relations": 5, "main": 5}),
        (
            "max_concurrency = 5\n[resources.tokens]\nmax_concurrency = 1",
            {"users": 5, "tokens": 1, "relations": 5, "main": 5},
        ),
        (
            "[resources.main]\nmax_concurrency = 64",
            {"users": 3, "tokens": 2, "relations": 2, "main": 64},
        ),
    ],
)
def test_a_routes_limit_is_its_own_else_the_general_one_else_the_profiles(
    text: str, limits: dict[str, int]
) -> None:
    routes = config_of(f"[resources]\n{text}").resources.routes
    assert {name: route.max_concurrency for name, route in routes.items()} == limits


def test_five_mistakes_of_different_kinds_are_all_reported_with_line_and_hint() -> None:
    text = """\
[daemon]
intervall = "15m"
[log]
level = "warn"
[sync]
commit_collections = "100"
commit_interval = "1 s"

[[organization]]
name = "acme"
provider = "google_workspac"
credentials = "hunter2"
"""
    problems = problems_of(text)
    assert [(each.line, each.path, each.found, each.hint) for each in problems] == [
        (2, "daemon.intervall", "unknown key", 'did you mean "interval"?'),
        (4, "log.level", '"warn"', 'did you mean "warning"?'),
        (6, "sync.commit_collections", '"100"', "write it without quotes and unit"),
        (7, "sync.commit_interval", '"1 s"', 'such as "1s"'),
        (
            11,
            "organization[0].provider",
            '"google_workspac"',
            'did you mean "google_workspace"?',
        ),
        (
            12,
            "organization[0].credentials",
            "a text that names no credential",
            "if it is the secret itself, put that into a file and name the file here",
        ),
    ]
    assert all(each.allowed for each in problems)


def test_the_error_is_readable_as_it_is() -> None:
    with pytest.raises(ConfigError) as caught:
        loads("[sync]\nretriez = 1\n[log]\nlevel = 3", PROVIDERS, source="/etc/syncd/config.toml")
    first, second, third = str(caught.value).split("\n")
    assert first == "/etc/syncd/config.toml: 2 problems"
    assert second.startswith("  line 2: sync.retriez: unknown key; allowed: max_removed_percent, ")
    assert third == '  line 4: log.level: 3; allowed: one of "debug", "info", "warning", "error"'


def test_nothing_of_an_unknown_key_but_its_name_is_shown() -> None:
    for text in ('password = "hunter2"', '[log]\ntoken = "hunter2"', f'{ACME}key = "hunter2"'):
        (problem,) = problems_of(text)
        assert "hunter2" not in str(problem)


def test_a_secret_pasted_for_a_credential_is_not_shown() -> None:
    for secret in ("hunter2", "env:hunter2$", "file:hunter2", "credential:/hunter2", "x:hunter2"):
        text = ACME.replace("credential:acme.json", secret)
        assert "hunter2" not in str(only_problem(text))
    assert "1234" not in str(only_problem(ACME.replace('"credential:acme.json"', "1234")))


def test_a_key_of_another_table_is_told_its_home() -> None:
    assert only_problem("max_concurrency = 3").hint == "it belongs into [resources]"
    assert only_problem("[daemon]\nbase_url = 1").hint == "it belongs into [[organization]]"
    assert only_problem("[daemon]\nxyzzy = 1").hint == ""


def test_hostile_key_names_are_shown_escaped() -> None:
    problem = only_problem('"\\u001b[31m\\nx" = 1')
    assert problem.path == '"\\u001b[31m\\u000ax"'
    assert len(only_problem(f"[log]\n{'k' * 5000} = 1").path) < 80


@pytest.mark.parametrize(
    ("text", "path", "found", "hint"),
    [
        ("daemon = 1", "daemon", "a number", ""),
        ("[[daemon]]", "daemon", "an array of tables", ""),
        ("resources = 1979-05-27", "resources", "a date or time", ""),
        ("[resources]\nusers = 3", "resources.users", "a number", ""),
        ("[organization]", "organization", "a table", "write it with two brackets"),
        ("organization = true", "organization", "a boolean", ""),
        ("organization = ['acme']", "organization[0]", "a text of 4 characters", ""),
    ],
)
def test_a_section_has_to_be_a_table(text: str, path: str, found: str, hint: str) -> None:
    problem = only_problem(text)
    assert (problem.path, problem.found, problem.hint) == (path, found, hint)
    assert problem.allowed.startswith("a table [") or problem.allowed == "tables [[organization]]"
    assert problem.line in (1, 2)


def test_missing_keys_are_reported_at_the_table() -> None:
    problems = problems_of("\n[[organization]]\n")
    assert [(each.line, each.path) for each in problems] == [
        (2, "organization[0].name"),
        (2, "organization[0].provider"),
        (2, "organization[0].credentials"),
    ]
    assert {each.found for each in problems} == {"missing"}
    assert problems[0].hint == 'such as name = "acme"'
    assert problems[1].allowed == '"google_workspace", "other"'


def test_a_key_that_the_provider_has_no_default_for_is_required() -> None:
    text = OTHER_ORGANIZATION.replace("quota_per_minute = 60\n", "")
    problem = only_problem(text)
    assert (problem.path, problem.hint) == (
        "organization[0].quota_per_minute",
        "such as quota_per_minute = 600",
    )


def test_a_providers_own_keys_are_checked_and_only_its_own() -> None:
    problems = problems_of(ACME.replace("admin@acme.example", "nobody") + 'region = "eu"')
    assert [each.path for each in problems] == ["organization[0].admin", "organization[0].region"]
    assert problems[0].allowed == "an e-mail address"
    # Without a known provider, the keys of any provider may be meant.
    unknown = ACME.replace("google_workspace", "goggle") + 'region = "eu"'
    assert [each.path for each in problems_of(unknown)] == ["organization[0].provider"]


def test_a_provider_that_is_no_text_is_one_problem() -> None:
    text = ACME.replace('"google_workspace"', "5")
    assert [each.path for each in problems_of(text)] == ["organization[0].provider"]


def test_a_secret_key_is_never_shown() -> None:
    problem = only_problem(OTHER_ORGANIZATION + 'passphrase = "hunter\\u00072"')
    assert "hunter" not in str(problem)
    assert problem.found == "a text of 8 characters"
    config = config_of(OTHER_ORGANIZATION + 'passphrase = "hunter2"')
    assert config.organizations[0].options["passphrase"] == "hunter2"
    assert "hunter2" not in repr(config)


def test_names_are_unique_and_the_second_one_is_the_problem() -> None:
    problem = only_problem(ACME + ACME)
    assert problem.line == 7
    assert (problem.path, problem.found) == ("organization[1].name", '"acme" again')
    assert problem.hint == "line 2 has it already"


def test_an_organization_is_required_only_on_request() -> None:
    problem = only_problem("", require_organization=True)
    assert "syncd init" in problem.hint
    assert only_problem("[organization]", require_organization=True).path == "organization"
    loaded = loads(ACME + "enabled = false", PROVIDERS, require_organization=True)
    assert not loaded.organizations[0].enabled


def test_a_syntax_error_has_its_line_and_column() -> None:
    problem = only_problem("[daemon]\ninterval 15m\n")
    assert problem.line == 2
    assert problem.found == "Expected '=' after a key in a key/value pair (column 10)"
    assert only_problem("[daemon]\r\n\r\ninterval = 15m").line == 3
    assert only_problem("a = 1\na = 2").hint == "this key is given twice"
    assert only_problem("[log]\n[log]").hint == "this table is given twice"
    assert only_problem("a = abc").hint == "a text stands in quotes"
    end = only_problem('\n\na = """x\n')
    assert (end.line, end.found) == (4, "Unterminated string (at the end of the file)")


def test_figures_beyond_every_bound_are_problems() -> None:
    assert only_problem(f"a = {'9' * 5000}").found == "a number that is too long"
    hexadecimal = only_problem(f"[sync]\nhold_above_rows = 0x{'f' * 5000}")
    assert hexadecimal.found == "a very large integer"
    assert only_problem(f"a = {'[' * 100_000}").found == "lists or tables nested too deeply"
    assert only_problem("\n" + "a." * 200 + "a = 1").line == 2


def test_a_flood_of_problems_is_cut_off() -> None:
    problems = problems_of("".join(f"k{number} = 1\n" for number in range(MOST_PROBLEMS + 5)))
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].found == "5 more problems"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(ACME)
    assert load(path, PROVIDERS).organizations[0].name == "acme"


def test_a_relative_database_is_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[store]\nurl = "sqlite:data/syncd.db"')
    assert load(path, {}).store.path == tmp_path / "data/syncd.db"
    monkeypatch.chdir(tmp_path)
    assert load(Path("config.toml"), {}).store.url == f"sqlite://{tmp_path}/data/syncd.db"
    assert loads(path.read_text(), {}).store.path == tmp_path / "data/syncd.db"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    problem = problem_of_file(tmp_path / "none.toml")
    assert problem.found == "no such file"
    assert "syncd init" in problem.hint
    assert "syncd config default" in problem.hint


def test_a_directory_is_a_clear_problem(tmp_path: Path) -> None:
    problem = problem_of_file(tmp_path)
    assert problem.found == "a directory"
    assert str(tmp_path / "config.toml") in problem.hint


def test_paths_that_cannot_be_opened_are_clear_problems(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in problem_of_file(loop).found
    assert problem_of_file(Path("a\0b")).found == "cannot be read: embedded null byte"


def test_an_unreadable_file_is_a_clear_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.touch(mode=0)
    user = os.geteuid()
    if user == 0:  # root may read everything: be nobody for a moment
        os.seteuid(65534)
    try:
        problem = problem_of_file(path)
    finally:
        os.seteuid(user)
    assert problem.found == "no permission to read it"


@pytest.mark.parametrize(
    ("data", "line", "found"),
    [
        (b"\xef\xbb\xbf[log]", 1, "a byte order mark at the start"),
        ("[log]".encode("utf-16"), 1, "a byte order mark at the start"),
        (b"[log]\n# \xe9t\xe9", 2, "a byte that is not UTF-8 (0xe9, byte 3 of the line)"),
        (b"\xff", 1, "a byte that is not UTF-8 (0xff, byte 1 of the line)"),
        (b"#" * (LARGEST_FILE + 1), None, "more than 1 MiB"),
        (b"#" * 10_000_000, None, "more than 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_is_a_clear_problem(
    tmp_path: Path, data: bytes, line: int | None, found: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    problem = problem_of_file(path)
    assert (problem.line, problem.found) == (line, found)
    path.write_bytes(b"#" * LARGEST_FILE)
    assert load(path, {}) == Config()


WORDS = st.sampled_from(
    [
        *("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r\n", '"', "'", '"""', "'''"),
        *("\\", "#", " ", "true", "1", "-0.5", "nan", "inf", "1979-05-27", "0x1f", "15m"),
        *("daemon", "store", "url", "log", "level", "sync", "resources", "users"),
        *("max_concurrency", "organization", "name", "provider", "credentials", "base_url"),
        *("google_workspace", "interval", "retries", '"1s"', '"https://[x"', '"sqlite:"', "\x00"),
        *("[daemon]\n", "[sync]\n", "[[organization]]\n", "[resources]\n", "é", "\u2028"),
        *('name = "a"\n', 'provider = "google_workspace"\n', 'credentials = "env:X"\n'),
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=40).map("".join)))
def test_nothing_but_a_config_error_ever_comes_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    caught = None
    try:
        load(path, PROVIDERS)
    except ConfigError as error:
        caught = error
    if caught is not None:
        assert caught.problems
        assert str(caught).replace("\n", "").isprintable()


VALUES = st.recursive(
    st.one_of(
        st.booleans().map(lambda b: str(b).lower()),
        st.integers().map(str),
        st.sampled_from(["nan", "-inf", "1e400", "1979-05-27", "07:32:00", '"1s"', '"64KiB"']),
        st.text(max_size=20).map(
            lambda text: '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"k{n} = {item}" for n, item in enumerate(items)) + "}"
        )
    ),
    max_leaves=5,
)
KEYS = [
    "daemon.interval",
    "store.url",
    "log.level",
    "log",
    "resources.profile",
    "resources.users",
    "resources.users.max_concurrency",
    "sync.max_removed_percent",
    "sync.commit_interval",
]
ORGANIZATION_KEYS = [
    *("name", "provider", "enabled", "interval", "endpoints", "credentials", "base_url"),
    *("request_timeout", "max_response_bytes", "retries", "quota_per_minute", "admin", "customer"),
]


@given(st.sampled_from(KEYS), st.sampled_from(ORGANIZATION_KEYS), VALUES, VALUES)
def test_any_value_at_any_key_is_taken_or_is_a_problem_there(
    key: str, organization_key: str, value: str, other: str
) -> None:
    text = f"{key} = {value}\n[[organization]]\n{organization_key} = {other}\n"
    problems = []
    try:
        loads(text, {"google_workspace": GOOGLE})
    except ConfigError as error:
        problems = error.problems
    assert {problem.line for problem in problems} <= {1, 2, 3}


def test_providers_may_be_none_at_all() -> None:
    with pytest.raises(ConfigError):
        loads(ACME, {})
    assert ProviderSchema("x").organization_keys()
