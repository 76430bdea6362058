"""What an answer over HTTP means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .http_connection import Answer, Server

#: Answers to a token that is not known.
UNAUTHORIZED = (401, 403)
#: Answers by which a request is not refused, but late.
LATE = (408, 429, 504)


class TBHTTPAPIException(Exception):  # noqa: N818 - the original's name
    """A request was not successful.

    Attributes:
        status: The HTTP status; ``None`` where there is none.
    """

    def __init__(self, text: object = "", status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class TBProvisionFailure(TBHTTPAPIException):
    """The server gave no credentials of a new device."""


def check(answer: Answer, what: str, server: Server) -> None:
    """Raise what an answer says of a request that was not successful."""
    if 300 <= answer.status < 400:  # noqa: PLR2004
        # What follows the name of the server holds the token.
        target = "/".join(answer.location.split("/")[:3])
        raise TBHTTPAPIException(f"{what} at {server}: the server leads to {target}: use that as host", answer.status)
    if answer.status >= 400:  # noqa: PLR2004
        raise TBHTTPAPIException(f"{what} at {server}: {answer.status} {answer.reason}", answer.status)


def content(answer: Answer, what: str, server: Server) -> Any:
    """The JSON of an answer, ``{}`` where there is none."""
    check(answer, what, server)
    try:
        return json.loads(answer.body) if answer.body.strip() else {}
    except ValueError:
        raise TBHTTPAPIException(f"{what} at {server}: the answer is no JSON", answer.status) from None
