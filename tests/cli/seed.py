"""Real databases for the tests: the real schema, with rows as the store writes them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from syncd.store.base import APPLICATION_ID, SCHEMA_VERSION
from syncd.store.database import MIGRATIONS

NOW = 1_795_000_000
"""2026-11-18T11:06:40Z"""

HOSTILE = "[red]=cmd|' /C calc'!A0\x1b[2J\x1b]0;owned\x07\u202eevil\x9b31m\nnext"
FORMULA = "=cmd|' /C calc'!A0"
API = "https://www.googleapis.com/auth/"


class Seed:
    """Writes rows into a database file. Keeps the file in WAL mode, as the daemon does."""

    def __init__(self, path: Path, *, version: int = SCHEMA_VERSION) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        for file in sorted(MIGRATIONS.glob("*.sql")):
            self.db.executescript(file.read_text())
        self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.db.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        self.db.execute("PRAGMA journal_mode = DELETE")
        self.db.close()

    def _insert(self, table: str, **values: object) -> int:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
        key = self.db.execute(sql, tuple(values.values())).lastrowid
        assert key is not None
        return key

    def organization(self, name: str = "acme") -> int:
        return self._insert(
            "t_organization", name=name, provider="google_workspace", created_at=float(NOW)
        )

    def user(self, organization: int, id: str, *, removed: bool = False, **more: object) -> int:
        values: dict[str, object] = {
            "kind": "human", "email": f"{id}@acme.example", "name": f"User {id}",
            "status": "active", "is_admin": 0, "org_unit": "/", "created_at": "",
            "last_login_at": "",
        }  # fmt: skip
        return self._entity("t_user", organization, values | {"id": id} | more, removed=removed)

    def application(self, organization: int, id: str, name: str) -> int:
        return self._insert(
            "t_application", organization=organization, id=id, name=name, first_seen_at=NOW,
            changed_at=NOW,
        )  # fmt: skip

    def token(
        self,
        organization: int,
        principal: str,
        application: int,
        scopes: list[str],
        *,
        removed: bool = False,
        **more: object,
    ) -> int:
        values: dict[str, object] = {
            "principal_kind": "user", "principal_id": principal, "application": application,
            "id": "", "kind": "oauth", "scopes": json.dumps(sorted(scopes)), "native": 0,
            "anonymous": 1, "application_name": "",
        }  # fmt: skip
        return self._entity("t_token", organization, values | more, removed=removed)

    def group(self, organization: int, id: str, **more: object) -> int:
        values = {"email": f"{id}@acme.example", "name": f"Group {id}", "description": ""}
        return self._entity("t_group", organization, values | {"id": id} | more, removed=False)

    def member(self, organization: int, group: str, subject: str, role: str = "member") -> int:
        values: dict[str, object] = {
            "object_kind": "group", "object_id": group, "kind": "member", "subject_kind": "user",
            "subject_id": subject, "role_id": "", "role": role, "subject_email": "",
        }  # fmt: skip
        return self._entity("t_relation", organization, values, removed=False)

    def _entity(
        self, table: str, organization: int, values: dict[str, object], *, removed: bool
    ) -> int:
        times = {"first_seen_at": NOW, "changed_at": NOW, "removed_at": NOW if removed else None}
        return self._insert(table, organization=organization, hash=b"", **values, **times)

    def run(self, organization: int, state: str = "succeeded", **more: object) -> int:
        counts = {"user": {"read": 1200, "added": 12}, "token": {"read": 9000, "removed": 3}}
        values: dict[str, object] = {
            "reason": "", "endpoints": '["users", "tokens"]', "started_at": float(NOW),
            "updated_at": NOW + 60.0, "finished_at": NOW + 60.0, "counts": json.dumps(counts),
            "requests": 1300, "request_seconds": 150.0, "wall_seconds": 60.0,
        }  # fmt: skip
        return self._insert("t_run", organization=organization, state=state, **values | more)

    def change(
        self,
        run: int,
        entity: int,
        row: int,
        kind: int,
        *,
        at: int = NOW,
        before: object = None,
        after: object = None,
    ) -> int:
        def text(value: object) -> str | None:
            return None if value is None else json.dumps(value)

        return self._insert(
            "t_change", run=run, at=at, entity=entity, row=row, kind=kind, before=text(before),
            after=text(after),
        )  # fmt: skip


def fill(seed: Seed) -> None:
    """A small organization with hostile names in it, and a second one."""
    acme, other = seed.organization("acme"), seed.organization("beta")
    run = seed.run(acme)
    seed.run(acme, "partial", reason="2 collections could not be read", resumes=1, brakes=1,
             peak_cpu=78.4, peak_memory=41.0)  # fmt: skip
    seed.run(acme, "failed", reason=HOSTILE, counts="{}", wall_seconds=0.0)
    seed.run(other, "interrupted")
    ann = seed.user(acme, "1", email="ann@acme.example", name="Ann Müller", is_admin=1)
    bob = seed.user(acme, "2", email="bob@acme.example", status="suspended")
    seed.user(acme, "3", email="eve@acme.example", name=HOSTILE, org_unit=FORMULA)
    seed.user(acme, "4", email="old@acme.example", removed=True)
    seed.user(other, "1", email="zed@beta.example")
    zoom = seed.application(acme, "zoom.apps.example", "Zoom")
    mail = seed.application(acme, "mail.apps.example", "Mail Merge 日程助手")
    evil = seed.application(acme, "evil.apps.example", HOSTILE)
    token = seed.token(acme, "1", zoom, ["openid", API + "calendar.events"])
    seed.token(acme, "2", zoom, ["openid"])
    seed.token(acme, "1", mail, ["https://mail.google.com/", API + "drive.file"])
    seed.token(acme, "3", evil, [API + "drive.file", "openid\u202e\ud83d\ude00"])
    seed.token(acme, "4", evil, ["openid"], removed=True)
    group = seed.group(acme, "g1", name=FORMULA, description="line one\nline two")
    member = seed.member(acme, "g1", "1", "owner")
    seed.change(run, 1, ann, 1)
    seed.change(run, 1, bob, 2, before={"status": "active"}, after={"status": "suspended"})
    seed.change(run, 2, token, 2, at=NOW + 10,
                before={"scopes": ["openid", API + "drive"]},
                after={"scopes": ["openid", API + "calendar.events"]})  # fmt: skip
    seed.change(run, 3, group, 2, at=NOW + 10, before={"name": "Sales"}, after={"name": HOSTILE})
    seed.change(run, 4, member, 3, at=NOW + 20, before={"role": "owner"})
    seed.change(run, 5, evil, 1, at=NOW + 20)
    wide = seed.token(acme, "", zoom, ["openid"], principal_kind="organization", removed=True)
    seed.change(run, 2, wide, 3, at=NOW + 20, before={"scopes": ["openid"]})
