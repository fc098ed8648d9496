"""Fixtures: the client's module on both libraries that have its API."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import httpx
import pytest

from syncd.upstream import client


def _on_httpx() -> ModuleType:
    """A second copy of the client's module, for which httpx2 is httpx."""
    name = "tests.upstream.client_on_httpx"
    spec = importlib.util.spec_from_file_location(name, client.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setitem(sys.modules, "httpx2", httpx)
        patched.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    """The module ``syncd.upstream.client`` on one of the two libraries."""
    module = client if request.param == "httpx2" else _on_httpx()
    assert module.httpx.__name__ == request.param
    return module


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests plays no part."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_PROXY".upper(), raising=False)
