"""The demo server: Google's Directory API and its token endpoint on loopback."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from syncd.demo import control, fault_replies, fault_wire, http1
from syncd.demo.api import Api, Call, Page, Route, authorize, find_route
from syncd.demo.auth import GOOGLE_AUDIENCE, Authority, AuthPolicy, demo_key, key_file
from syncd.demo.connection import Connection
from syncd.demo.directory import Directory
from syncd.demo.errors import ApiError, GrantError
from syncd.demo.faults import FaultPlan, Hit
from syncd.demo.http1 import Reply, Request
from syncd.demo.stats import Quota, Stats

KINDS = ("users", "tokens", "groups", "members", "token_grant")
"""The kinds of request that latencies and statistics tell apart."""


@dataclass(slots=True)
class _Job:
    """A request on its way through the server."""

    connection: Connection
    request: Request
    kind: str
    route: tuple[Route, list[str]] | None
    hit: Hit | None
    refused: bool


class DemoServer:
    """Serves `directory` to one or many clients.

    `latency` gives seconds by kind of request (see KINDS). `quota_per_minute` limits the API's
    requests in any `quota_window` seconds; beyond it they get 403 userRateLimitExceeded.
    `directory`, `faults`, `latency` and `auth` can be replaced at any time.
    """

    def __init__(  # noqa: PLR0913 - each one is a property of the server
        self,
        directory: Directory,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: Mapping[str, float] | None = None,
        quota_per_minute: int | None = None,
        quota_window: float = 60.0,
        faults: FaultPlan | None = None,
        auth: AuthPolicy | None = None,
        key: rsa.RSAPrivateKey | None = None,
        gzip: bool = True,
        log_size: int = 1000,
    ) -> None:
        """Prepare; `port` 0 takes any free port, `key` None this process's own key."""
        self.directory = directory
        self.faults = faults or FaultPlan()
        self.latency: Mapping[str, float] = dict(latency or {})
        unknown = set(self.latency) - set(KINDS)
        if unknown:
            msg = f"unknown kinds of request: {sorted(unknown)}"
            raise ValueError(msg)
        self.stats = Stats(log_size)
        self.gzip = gzip
        self._host = host
        self._port = port
        self._key = key or demo_key()
        self._authority = Authority(self._key, auth or AuthPolicy())
        self._api = Api()
        self._quota = None if quota_per_minute is None else Quota(quota_per_minute, quota_window)
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.AbstractServer | None = None
        self._turn = 0

    # -- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        factory = functools.partial(Connection, self._serve, self._connections)
        server = await loop.create_server(factory, self._host, self._port, backlog=1024)
        self._server = server
        self._port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, break all connections and wait until they are gone."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connections = list(self._connections)
        for connection in connections:
            connection.reset()
        await asyncio.gather(*(connection.lost.wait() for connection in connections))
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def url(self) -> str:
        """The server's address without a slash at its end; good once it has started."""
        return f"http://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port; good once it has started."""
        return self._port

    @property
    def auth(self) -> AuthPolicy:
        """What the token endpoint refuses, and how long access tokens last."""
        return self._authority.policy

    @auth.setter
    def auth(self, policy: AuthPolicy) -> None:
        self._authority.policy = policy

    def key_file(self) -> dict[str, str]:
        """Return the service account's key file for this server."""
        return key_file(self.url, self._key)

    def revoke_access_tokens(self) -> None:
        """Make every access token handed out so far invalid."""
        self._authority.forget()

    # -- requests --------------------------------------------------------------------------

    def _serve(self, connection: Connection, request: Request) -> None:
        """Take a request; it is answered at once or after the latency of its kind."""
        if request.path.startswith(control.PREFIX):
            self._control(connection, request)
            return
        route = find_route(request)
        kind = _kind(request, route)
        self.stats.begin(kind)
        refused = self._is_over_quota(kind)
        hit = None if refused else self.faults.pick(request.target)
        job = _Job(connection, request, kind, route, hit, refused)
        delay = self.latency.get(kind, 0)
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._answer, job)
        else:
            self._answer(job)

    def _control(self, connection: Connection, request: Request) -> None:
        if control.is_truth(request):
            self._spawn(control.tell_truth(self.directory, connection, request))
        else:
            connection.reply(control.answer(self, request), keep_alive=request.keep_alive)

    def _is_over_quota(self, kind: str) -> bool:
        if self._quota is None or kind == "token_grant" or self._quota.take(time.monotonic()):
            return False
        self.stats.over_quota += 1
        return True

    def _answer(self, job: _Job) -> None:
        play = None if job.hit is None else fault_wire.PLAYS.get(job.hit.rule.name)
        if play is not None and job.hit is not None:
            self._spawn(self._play(job, play, job.hit))
            return
        reply = self._reply(job)
        http1.pack(job.request, reply, allowed=self.gzip)
        self._end(job, reply.status)
        job.connection.reply(reply, keep_alive=job.request.keep_alive)

    async def _play(self, job: _Job, play: fault_wire.Play, hit: Hit) -> None:
        reply = None
        if hit.rule.name in fault_wire.NEEDS_REPLY:
            reply = self._reply(job)
            http1.pack(job.request, reply, allowed=self.gzip)
        try:
            await play(job.connection, job.request, reply, hit)
        finally:
            self._end(job, reply.status if hit.rule.name == "slow_body" and reply else 0)

    def _end(self, job: _Job, status: int) -> None:
        self.stats.end(job.kind, job.request.method, job.request.target, status)

    def _reply(self, job: _Job) -> Reply:
        """Return the reply, be it proper or not."""
        if job.refused:
            return fault_replies.over_quota()
        name = "" if job.hit is None else job.hit.rule.name
        instead = fault_replies.REPLIES.get(name)
        if instead is not None and job.hit is not None:
            return instead(job.hit, job.request)
        try:
            reply = self._proper(job)
        except (ApiError, GrantError) as error:
            return error.reply()
        spoil = fault_replies.SPOILED.get(name)
        if spoil is not None:
            spoil(reply)
        return reply

    def _proper(self, job: _Job) -> Reply:
        request = job.request
        if job.kind == "token_grant":
            answer = self._authority.grant(request.body, self._audiences(), self._who)
            return Reply(200, msgspec.json.encode(answer))
        if job.route is None:
            raise ApiError(404, "notFound", "Not Found")
        route, keys = job.route
        authorize(route, self._authority.check(request.headers.get("authorization", "")))
        self._turn += 1
        call = Call(self.directory, request, request.query, keys, self._turn)
        return self._api.answer(route, call, _change(job.hit))

    def _audiences(self) -> list[str]:
        # Google's own client library names Google's endpoint, whatever the key file says.
        return [f"{self.url}/token", f"http://localhost:{self._port}/token", GOOGLE_AUDIENCE]

    def _who(self, email: str) -> bool | None:
        """Tell whether `email` is an administrator; None if it is nobody."""
        person = self.directory.people.find(email) if "@" in email else None
        return None if person is None or person.status != "active" else person.is_admin

    # -- tasks -----------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_quiet(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _kind(request: Request, route: tuple[Route, list[str]] | None) -> str:
    if route is not None:
        return route[0].kind
    return "token_grant" if (request.method, request.path) == ("POST", "/token") else "other"


def _change(hit: Hit | None) -> Callable[[Call, Page], None] | None:
    change = None if hit is None else fault_replies.CHANGES.get(hit.rule.name)
    return None if change is None or hit is None else functools.partial(change, hit)


async def _quiet(work: Coroutine[Any, Any, None]) -> None:
    """Do `work`; that the client has gone away meanwhile is no error here."""
    try:
        await work
    except ConnectionError:
        return
