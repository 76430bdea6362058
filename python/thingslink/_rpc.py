"""Errors of remote calls, in the form that programs over the original know from gRPC's own package."""

from __future__ import annotations

import enum
import socket
from typing import TYPE_CHECKING

from thingslink._native import DecodeError, ThingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: What a server of The Things Stack V3 reports of a failure: namespace, name, attributes.
    _Reported = tuple[str, str, Mapping[str, object]]

#: Where users find these, and what tracebacks show.
_PUBLIC = "thingslink"


class StatusCode(enum.Enum):
    """Status codes of gRPC. Equal to the members of ``grpc.StatusCode`` with the same name."""

    __module__ = _PUBLIC

    OK = (0, "ok")
    CANCELLED = (1, "cancelled")
    UNKNOWN = (2, "unknown")
    INVALID_ARGUMENT = (3, "invalid argument")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    NOT_FOUND = (5, "not found")
    ALREADY_EXISTS = (6, "already exists")
    PERMISSION_DENIED = (7, "permission denied")
    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    FAILED_PRECONDITION = (9, "failed precondition")
    ABORTED = (10, "aborted")
    OUT_OF_RANGE = (11, "out of range")
    UNIMPLEMENTED = (12, "unimplemented")
    INTERNAL = (13, "internal")
    UNAVAILABLE = (14, "unavailable")
    DATA_LOSS = (15, "data loss")
    UNAUTHENTICATED = (16, "unauthenticated")

    def __eq__(self, other: object) -> bool:
        if type(other).__name__ == "StatusCode":
            return self.name == getattr(other, "name", None)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)


class RpcError(ThingsError):
    """A remote call failed, as discovery tells it: what the server said, or what went wrong on the way to it."""

    __module__ = _PUBLIC

    def __init__(self, code: str, details: str = "", reported: _Reported | None = None) -> None:
        super().__init__(code, details)
        self._code = StatusCode[code]
        self._details = details
        self._reported = reported

    def code(self) -> StatusCode:
        """Give the status code."""
        return self._code

    def details(self) -> str:
        """Give the server's words, or the reason why it was not reached."""
        return self._details

    def __str__(self) -> str:
        return f"{self._code.name}: {self._details}"


class SwitchedOffError(RpcError, ConnectionError, socket.gaierror):
    """A server of the public network of The Things Network V2, which was switched off in 2021, was not reached.

    Its text says what to do. It is an error of the kinds that the original raised for it, so handlers written for them
    catch it: of a call to discovery (``RpcError``), of a connection, and of a name that has no address.
    """

    __module__ = _PUBLIC

    def __str__(self) -> str:
        return self.details()


class ApplicationError(ThingsError):
    """A call of an ``ApplicationClient`` failed.

    ``args`` are the original's two texts, such as ``("Error while getting the", " device: NOT_FOUND")``. The failed
    call's own error is its ``__cause__``.

    Attributes:
        code: The status code.
        details: The server's words, or the reason why it was not reached.
        namespace: The part of a server of The Things Stack V3 that the error comes from, such as ``"pkg/auth/rights"``;
            empty for other errors.
        name: Which of its errors it is, such as ``"insufficient_application_rights"``: what to branch on. Empty for
            other errors.
        attributes: Its facts by their names, such as ``{"uid": "my-app", "missing": ["RIGHT_APPLICATION_INFO"]}``.
    """

    __module__ = _PUBLIC

    def __init__(
        self,
        doing: str,
        what: str,
        code: str = "UNKNOWN",
        details: str | None = None,
        reported: _Reported | None = None,
    ) -> None:
        self.code = StatusCode[code]
        self.details = details or ""
        self.namespace, self.name = reported[:2] if reported else ("", "")
        self.attributes: dict[str, object] = dict(reported[2]) if reported else {}
        super().__init__(doing, f" {what}: {self.code.name}")

    def __reduce__(self) -> tuple[object, ...]:
        doing, rest = self.args
        reported = (self.namespace, self.name, self.attributes) if self.name else None
        return type(self), (doing, rest[1:].rpartition(":")[0], self.code.name, self.details, reported)

    def __str__(self) -> str:
        # The tuple's text: what programs over the original print and match.
        return str(self.args)


class RpcDecodeError(RpcError, DecodeError):
    """The answer to a call of discovery, or of a service's stub, cannot be decoded; the code is ``INTERNAL``."""

    __module__ = _PUBLIC


class ApplicationDecodeError(ApplicationError, DecodeError):
    """The answer to a call of an ``ApplicationClient`` cannot be decoded; the code is ``INTERNAL``."""

    __module__ = _PUBLIC

    def __str__(self) -> str:
        return f"{super().__str__()}: {self.details}"
