"""What the forge's checks of one commit come to: each wanted name stands somewhere. Pure.

Names, words and addresses are what a server and whoever may write checks there say; they are data.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from factory.forge.values import Check, Status

_RED: Final = frozenset({"failure", "timed_out", "action_required", "startup_failure"})
_ENDED: Final = frozenset({"cancelled", "stale"})
_UNTESTED: Final = frozenset({"neutral", "skipped"})


class Mark(StrEnum):
    """Where a check stands; of several runs of one name the first of these that holds counts."""

    RED = "red"
    PENDING = "pending"
    CANCELLED = "cancelled"
    UNCOUNTED = "uncounted"
    GREEN = "green"
    ABSENT = "absent"


_ORDER: Final = tuple(Mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the check of one name stands; ``run`` is the check run's id, 0 where there is none."""

    name: str
    mark: Mark
    said: str = ""
    run: int = 0
    url: str = ""
    told: str = ""


def standings(
    wanted: Iterable[str],
    checks: Sequence[Check],
    statuses: Sequence[Status],
    *,
    counted: Collection[str] = (),
) -> tuple[Standing, ...]:
    """Give where each wanted name stands, as a check run or as a commit status.

    A check that was skipped or is neutral has tested nothing: it counts as green only for the
    names ``counted``, for which the branch's own rules take that as an answer.
    """
    return tuple(_standing(name, checks, statuses, counted) for name in dict.fromkeys(wanted))


def names(checks: Sequence[Check], statuses: Sequence[Status]) -> tuple[str, ...]:
    """Give the names of whatever was checked."""
    found = [*(check.name for check in checks), *(status.context for status in statuses)]
    return tuple(dict.fromkeys(found))


def _standing(
    name: str, checks: Sequence[Check], statuses: Sequence[Status], counted: Collection[str]
) -> Standing:
    found = [_of_check(check, counted) for check in checks if check.name == name]
    found += [_of_status(status) for status in statuses if status.context == name]
    return min(found, key=lambda each: _ORDER.index(each.mark), default=_absent(name))


def _absent(name: str) -> Standing:
    return Standing(name=name, mark=Mark.ABSENT)


def _of_check(check: Check, counted: Collection[str]) -> Standing:
    said = check.conclusion or "" if check.done else check.status
    mark = Mark.UNCOUNTED  # what a newer forge may say besides is no answer
    if not check.done:
        mark = Mark.PENDING
    elif said == "success" or (said in _UNTESTED and check.name in counted):
        mark = Mark.GREEN
    elif said in _RED:
        mark = Mark.RED
    elif said in _ENDED:
        mark = Mark.CANCELLED
    told = "\n".join(text for text in (check.title, check.summary) if text)
    return Standing(name=check.name, mark=mark, said=said, run=check.id, url=check.url, told=told)


def _of_status(status: Status) -> Standing:
    marks = {"success": Mark.GREEN, "failure": Mark.RED, "error": Mark.RED}
    mark = marks.get(status.state, Mark.PENDING)
    return Standing(
        name=status.context, mark=mark, said=status.state, url=status.url, told=status.description
    )
