"""Error replies in the form of Google's APIs and of its token endpoint."""

from __future__ import annotations

import json

from syncd.demo.http1 import Reply

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """A request that the API refuses."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: tuple[str, str] | None = None,
    ) -> None:
        """Describe the refusal; `location` is (type, name) of the offending part."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location = location

    def body(self) -> bytes:
        """Return the JSON body."""
        item = {"message": self.message, "domain": self.domain, "reason": self.reason}
        if self.location is not None:
            item["locationType"], item["location"] = self.location
        error = {"code": self.code, "message": self.message, "errors": [item]}
        if self.code in _STATUS_NAMES:
            error["status"] = _STATUS_NAMES[self.code]
        return json.dumps({"error": error}, ensure_ascii=False).encode()

    def reply(self) -> Reply:
        """Return the reply."""
        reply = Reply(self.code, self.body())
        if self.code == 401:
            reply.headers.append(
                ("WWW-Authenticate", 'Bearer realm="https://accounts.google.com/"')
            )
        return reply


class GrantError(Exception):
    """A token request that is refused (RFC 6749, section 5.2)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        """Describe the refusal."""
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description

    def reply(self) -> Reply:
        """Return the reply."""
        body = {"error": self.error, "error_description": self.description}
        return Reply(self.status, json.dumps(body).encode())


def bad_credentials() -> ApiError:
    """Return the refusal of a missing, unknown or expired access token."""
    return ApiError(
        401,
        "authError",
        "Request had invalid authentication credentials.",
        location=("header", "Authorization"),
    )


def invalid_input(name: str) -> ApiError:
    """Return the refusal of parameter `name`."""
    return ApiError(400, "invalid", f"Invalid Input: {name}")


def not_found(name: str) -> ApiError:
    """Return the refusal of an unknown key."""
    return ApiError(404, "notFound", f"Resource Not Found: {name}")


def forbidden(message: str = "Not Authorized to access this resource/api") -> ApiError:
    """Return the refusal of somebody without the right."""
    return ApiError(403, "forbidden", message)
