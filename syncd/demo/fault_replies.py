"""Faults that replace the reply, and faults that change the resource in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from syncd.demo.api import Call, Page
from syncd.demo.chance import draw
from syncd.demo.errors import ApiError, bad_credentials, forbidden, invalid_input, not_found
from syncd.demo.faults import Hit
from syncd.demo.http1 import HTML, Reply, Request

HOSTILE = "[red]=cmd|' /C calc'!A0\x1b]0;owned\x07\x1b[2J\u202eexe.gpj"
"""A name which is markup, a formula, terminal commands and reversed text at once."""

_ITEM_KEYS = ("users", "items", "groups", "members")
_PAGE = (
    b"<!DOCTYPE html><html lang=en><title>Error 502 (Server Error)!!1</title>"
    b"<p><b>502.</b> That is an error. The server encountered a temporary error.</html>"
)
_LOGIN = b"<!DOCTYPE html><html lang=en><title>Sign in</title><form method=post></form></html>"


def _rate_limit(hit: Hit, _: Request) -> Reply:
    reply = ApiError(
        429, "rateLimitExceeded", "Too many concurrent requests.", domain="usageLimits"
    ).reply()
    wait = hit.rule.number("retry_after", 1)
    if hit.rule.name == "rate_limit_429_date":
        text = formatdate(time.time() + wait, usegmt=True)
    else:
        text = f"{wait:g}"
    reply.headers.append(("Retry-After", text))
    return reply


def over_quota() -> Reply:
    """Return the refusal of a request beyond the quota per minute."""
    return ApiError(
        403,
        "userRateLimitExceeded",
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'.",
        domain="usageLimits",
    ).reply()


def _quota(_: Hit, __: Request) -> Reply:
    return ApiError(403, "quotaExceeded", "Quota exceeded.", domain="usageLimits").reply()


def _unavailable(hit: Hit, _: Request) -> Reply:
    reply = ApiError(503, "backendError", "The service is currently unavailable.").reply()
    if "retry_after" in hit.rule.options:
        reply.headers.append(("Retry-After", f"{hit.rule.number('retry_after', 1):g}"))
    return reply


def _deep(hit: Hit, _: Request) -> Reply:
    depth = int(hit.rule.number("depth", 100_000))
    return Reply(200, b'{"users":' + b"[" * depth + b"]" * depth + b"}")


def _redirect(hit: Hit, _: Request) -> Reply:
    location = str(hit.rule.options.get("location", "http://elsewhere.example/admin/"))
    return Reply(302, b"", HTML, [("Location", location)])


def _echo(_: Hit, request: Request) -> Reply:
    secret = request.headers.get("authorization", "")
    return ApiError(500, "backendError", f"Backend refused header Authorization: {secret}").reply()


def _internal(_: Hit, __: Request) -> Reply:
    return ApiError(500, "backendError", "Backend Error").reply()


REPLIES: dict[str, Callable[[Hit, Request], Reply]] = {
    "rate_limit_429": _rate_limit,
    "rate_limit_429_date": _rate_limit,
    "rate_limit_403": lambda _, __: over_quota(),
    "quota_403": _quota,
    "forbidden_403": lambda _, __: forbidden().reply(),
    "internal_500": _internal,
    "unavailable_503": _unavailable,
    "bad_gateway_502_html": lambda _, __: Reply(502, _PAGE, HTML),
    "unauthorized_401": lambda _, __: bad_credentials().reply(),
    "not_found_404": lambda _, __: not_found("userKey").reply(),
    "wrong_content_type": lambda _, __: Reply(200, _LOGIN, HTML),
    "empty_body": lambda _, __: Reply(200),
    "empty_object": lambda _, __: Reply(200, b"{}"),
    "error_in_200": lambda _, __: Reply(200, ApiError(500, "backendError", "Late error").body()),
    "deep_nesting": _deep,
    "redirect_other_host": _redirect,
    "page_token_expired": lambda _, __: invalid_input("pageToken").reply(),
    "secret_echo": _echo,
}
"""Fault name -> the reply given instead of the proper one."""


def _items(page: Page) -> list[dict[str, Any]]:
    for key in _ITEM_KEYS:
        if key in page:
            found: list[dict[str, Any]] = page[key]
            return found
    return []


def _set_items(page: Page, items: list[dict[str, Any]]) -> None:
    for key in _ITEM_KEYS:
        if key in page:
            page[key] = items
            if not items:
                del page[key]
            return


def _repeat_token(_: Hit, call: Call, page: Page) -> None:
    """Make the second page's token the one that every page gives."""
    token = call.query.get("pageToken") or page.get("nextPageToken")
    if token:
        page["nextPageToken"] = token


def _repeat_items(hit: Hit, call: Call, page: Page) -> None:
    cursor, listing = call.cursor, call.listing
    if cursor is None or listing is None or cursor.previous is None:
        return
    earlier, _ = listing.slice(cursor.previous, call.limit)
    count = max(1, int(len(earlier) * hit.rule.number("share", 0.1)))
    _set_items(page, earlier[-count:] + _items(page))


def _leave_out(hit: Hit, call: Call, page: Page) -> None:
    if call.listing is None:
        return
    items = _items(page)
    limit = hit.rule.number("share", 0.1) * 2**32
    always = draw(hit.count, 300, len(items))[0] % max(1, len(items))
    kept = [
        item
        for turn, item in enumerate(items)
        if turn != always and draw(hit.count, 301, turn)[0] >= limit
    ]
    _set_items(page, kept)


def _no_tokens(_: Hit, call: Call, page: Page) -> None:
    if call.request.path.endswith("/tokens"):
        page.pop("items", None)


def _spoil(hit: Hit, _: Call, page: Page) -> None:
    """Give one record a field of a wrong type that a reader of it must look at."""
    items = _items(page)
    record = items[hit.count * 7 % len(items)] if items else page
    kind = record.get("kind", "")
    if kind.endswith("#user"):
        record["name"] = 42
        record["primaryEmail"] = ["not", "a", "string"]
    elif kind.endswith("#token"):
        record["scopes"] = {"not": "a list"}
    elif kind.endswith("#group"):
        record["email"] = 17
        record["name"] = None
    elif kind.endswith("#member"):
        record["role"] = 7
        record["type"] = {"not": "a string"}


def _spoil_id(hit: Hit, _: Call, page: Page) -> None:
    items = _items(page)
    record = items[hit.count * 7 % len(items)] if items else page
    key = "clientId" if "clientId" in record else "id"
    if key not in record:
        return
    if hit.count % 2:
        record[key] = {"not": "an id"}
    else:
        del record[key]


def _hostile(_: Hit, __: Call, page: Page) -> None:
    items = _items(page)
    record = items[-1] if items else page
    if "displayText" in record:
        record["displayText"] = HOSTILE
    elif isinstance(record.get("name"), dict):
        record["name"] = {**record["name"], "fullName": HOSTILE, "familyName": HOSTILE}
    elif "name" in record:
        record["name"] = HOSTILE


CHANGES: dict[str, Callable[[Hit, Call, Page], None]] = {
    "page_token_repeats": _repeat_token,
    "duplicate_items": _repeat_items,
    "missing_items": _leave_out,
    "empty_tokens": _no_tokens,
    "bad_record": _spoil,
    "bad_record_no_id": _spoil_id,
    "hostile_name": _hostile,
}
"""Fault name -> what it does to the resource before it is encoded."""


def half_json(reply: Reply) -> None:
    """Cut the reply's JSON in the middle."""
    reply.body = reply.body[: max(1, len(reply.body) // 2)]
    reply.stored = None


def broken_text(reply: Reply) -> None:
    """Put bytes that are not UTF-8 into the reply's first text."""
    reply.body = reply.body.replace(b'":"', b'":"\xff\xfe\xc3(', 1)
    reply.stored = None


SPOILED: dict[str, Callable[[Reply], None]] = {
    "invalid_json": half_json,
    "invalid_utf8": broken_text,
}
"""Fault name -> what it does to the encoded reply."""
