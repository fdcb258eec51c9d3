"""Errors as grpc-gateway 1.16 shows them: an HTTP status, a gRPC code and the text for the user."""

from __future__ import annotations

from typing import Any

HTTP = {3: 400, 5: 404, 6: 409, 9: 400, 12: 501, 13: 500}
"""gRPC code to HTTP status, as grpc-gateway maps them (runtime/errors.go)."""


class ApiError(Exception):
    """A request that cannot be answered as asked.

    Attributes:
        code: gRPC code.
        status: HTTP status.
    """

    code = 13

    @property
    def status(self) -> int:
        """Return the HTTP status of the code."""
        return HTTP[self.code]

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the REST endpoints."""
        text = str(self)
        detail = {"@type": "type.googleapis.com/google.rpc.Status", "code": self.code, "message": text}
        return {"error": text, "code": self.code, "message": text, "details": [detail]}

    def upload_body(self) -> dict[str, str]:
        """Return the JSON body of the upload endpoints, which are no gRPC."""
        return {"error_message": str(self), "error_details": str(self)}


class InvalidInput(ApiError):  # noqa: N818  # KFP's own words for it
    """The request is wrong."""

    code = 3


class NotFound(ApiError):  # noqa: N818
    """There is no such object."""

    code = 5


class AlreadyExists(ApiError):  # noqa: N818
    """The name is taken."""

    code = 6


class Unsupported(ApiError):  # noqa: N818
    """KFP can do this and the rehearsal cannot; the text names the construct."""

    code = 12

    def __init__(self, construct: str, instead: str = "") -> None:
        """Name the construct, and what to do instead where there is something."""
        super().__init__(f"This rehearsal of KFP does not run {construct}{'; ' + instead if instead else ''}.")


class StepError(Exception):
    """A step cannot be started; in KFP the step's driver fails with this text."""
