"""Why a forge did not do what it was asked: one tree, with nothing of any library in it.

::

    ForgeError        what is wrong could not be sorted, or the answer made no sense
      Denied          this token may not (401, 403)
      Missing         there is no such thing, or this token may not know of it (404)
      Gone            it was there, or the feature is off (410)
      Refused         a valid answer: no (400, 405, 415, 422)
      Conflict        something else came first (409, a stale lease)
      Limited         a rate limit lasts longer than we may wait
      Unknown         whether a write had its effect is not known
      Unreachable     reading failed, also after its repeats
"""

from typing import Final

_MOST: Final = 500


class ForgeError(Exception):
    """Says in one line what the forge did not do; ``request_id`` is for its support."""

    def __init__(self, message: str, *, status: int = 0, request_id: str = "") -> None:
        self.message = one_line(message)
        self.status = status
        self.request_id = one_line(request_id)
        super().__init__(self.message)


class Denied(ForgeError):  # noqa: N818 - named like the answer it is
    """The token is not good, or not for this."""


class Missing(ForgeError):  # noqa: N818
    """There is no such thing here, as far as this token may know."""


class Gone(ForgeError):  # noqa: N818
    """It is there no more, or its feature is switched off."""


class Refused(ForgeError):  # noqa: N818
    """The forge understood, and says no."""


class Conflict(ForgeError):  # noqa: N818
    """It is no longer as whoever asked believed."""


class Limited(ForgeError):  # noqa: N818
    """A rate limit lasts longer than may be waited; ``retry_at`` is in seconds since the epoch."""

    def __init__(
        self, message: str, *, retry_at: float, status: int = 0, request_id: str = ""
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_at = retry_at


class Unknown(ForgeError):  # noqa: N818
    """A write was sent and not answered; look before anything is written again."""


class Unreachable(ForgeError):  # noqa: N818
    """Nothing was read, and that was tried more than once."""


def remedy(error: ForgeError) -> str:
    """Say what a person can do about a failure."""
    match error:
        case Limited():
            return "try again later"
        case Denied(status=401):
            return "the forge does not know this token: put a valid one in its place"
        case Denied():
            return "the token needs contents, issues and pull requests: read and write"
        case _:
            return "`factory doctor` looks at the forge"


def one_line(text: str) -> str:
    """Give a server's words as one printable line of bounded length."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 2 * _MOST])
    line = " ".join(shown.split())
    return line if len(line) <= _MOST else f"{line[: _MOST - 3]}..."


def sorted_out(status: int, message: str, *, request_id: str = "") -> ForgeError:
    """Give the failure that an answer's status means; `Unknown` and `Limited` are the door's."""
    kinds: dict[int, type[ForgeError]] = {
        400: Refused,
        401: Denied,
        403: Denied,
        404: Missing,
        405: Refused,
        409: Conflict,
        410: Gone,
        415: Refused,
        422: Refused,
        451: Gone,
    }
    kind = kinds.get(status, ForgeError)
    return kind(message, status=status, request_id=request_id)
