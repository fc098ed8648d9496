"""Every store that there is, for the tests of the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.store import database
from syncd.store.base import Store
from syncd.store.sqlite import SqliteStore
from tests.store.driver import Driver


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores on one file need not wait for each other when they are closed."""
    monkeypatch.setattr(database, "CLOSE_PATIENCE", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "syncd.db"


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Store]:
    """A store on a real file, open. A second implementation is one more parameter."""
    made = {"sqlite": SqliteStore}[request.param](path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def acme(store: Store, path: Path) -> Driver:
    """A run of one organization that is open."""
    driver = Driver(store, path)
    await driver.begin()
    return driver
