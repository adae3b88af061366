"""Hides the exact secrets of this process in whatever is kept or shown of an agent's work."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stations.runtimes.task import Attempt, Proposal, Report

STARS: Final = "***"
SHORTEST: Final = 8
"""A shorter text is no secret: hiding it would spoil what it is a part of."""


class Veil:
    """Knows the secrets; gives texts without them."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        # A secret that holds another one is looked for first.
        self._words = sorted({word for word in secrets if len(word) >= SHORTEST}, key=len)[::-1]
        self._raw = [word.encode() for word in self._words]

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override is 3.12
        """Say how many secrets it knows."""
        return f"Veil({len(self._words)})"

    def text(self, text: str) -> str:
        """Give a text with three stars for each secret."""
        for word in self._words:
            text = text.replace(word, STARS)
        return text

    def data(self, data: bytes) -> bytes:
        """Give bytes with three stars for each secret."""
        for word in self._raw:
            data = data.replace(word, STARS.encode())
        return data

    def whole(self, data: bytes) -> int:
        """Say how many of these bytes cannot be the beginning of a secret that goes on."""
        held = 0
        for word in self._raw:
            for length in range(min(len(word) - 1, len(data)), held, -1):
                if data.endswith(word[:length]):
                    held = length
                    break
        return len(data) - held

    def attempt(self, attempt: Attempt) -> Attempt:
        """Give how an attempt ended, with nothing secret in it."""
        if not self._words:
            return attempt
        return replace(
            attempt,
            fault=self.text(attempt.fault),
            tail=self.text(attempt.tail),
            answer=self.data(attempt.answer),
            report=None if attempt.report is None else self._report(attempt.report),
            split=tuple(self._proposal(each) for each in attempt.split),
        )

    def _report(self, report: Report) -> Report:
        return Report(
            status=report.status,
            summary=self.text(report.summary),
            needs_scope=tuple(self.text(need) for need in report.needs_scope),
            data=self.text(report.data),
        )

    def _proposal(self, one: Proposal) -> Proposal:
        scope = tuple(self.text(glob) for glob in one.scope)
        return replace(one, title=self.text(one.title), brief=self.text(one.brief), scope=scope)
