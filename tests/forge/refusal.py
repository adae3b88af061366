"""How GitHub says no."""

from collections.abc import Mapping, Sequence
from typing import Any


class RefusedError(Exception):
    """GitHub says no."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers or {})
