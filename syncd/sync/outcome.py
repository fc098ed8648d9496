"""What a run came to: its state, its exit code, and the one line that tells all of it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from syncd.errors import CredentialError, ExitCode, SyncdError, UpstreamError
from syncd.model import RunState
from syncd.sync.progress import EndpointResult, RunResult

_log = structlog.get_logger(__name__)


def run_state(results: Sequence[EndpointResult]) -> RunState:
    """How a run ended whose endpoints ended so."""
    states = {result.state for result in results}
    if states <= {RunState.SUCCEEDED}:
        return RunState.SUCCEEDED
    return RunState.FAILED if states == {RunState.FAILED} else RunState.PARTIAL


def exit_code(state: RunState, causes: Sequence[SyncdError]) -> ExitCode:
    """What a command that ran it exits with; ``causes`` ended the run or its endpoints."""
    if state is RunState.SUCCEEDED:
        return ExitCode.OK
    if state is RunState.PARTIAL:
        return ExitCode.PARTIAL
    if causes and all(_is_refusal(cause) for cause in causes):
        return ExitCode.NO_PERMISSION
    return ExitCode.UNAVAILABLE


def _is_refusal(error: SyncdError) -> bool:
    """Whether the provider refused who we are or what we may do."""
    refusals = {"permission_missing", "credential_refused", "forbidden", "unauthorized"}
    return isinstance(error, CredentialError) or (
        isinstance(error, UpstreamError) and error.verdict.reason in refusals
    )


def log_finished(result: RunResult, *, dry: bool) -> None:
    """The one line that tells all of a run."""
    log = _log.info if result.state is RunState.SUCCEEDED else _log.warning
    log(
        "run_finished",
        organization=result.organization,
        run=result.run,
        state=str(result.state),
        dry_run=dry,
        reason=result.reason,
        added=result.total("added"),
        changed=result.total("changed"),
        removed=result.total("removed"),
        held=result.total("held"),
        unreadable=result.unreadable,
        requests=result.requests,
        request_seconds=round(result.request_seconds, 3),
        wall_seconds=round(result.wall_seconds, 3),
        speed_up=round(result.speed_up, 2),
    )
