"""GitHub's primary rate limit: so many requests in a window, told in every answer."""

import time
from dataclasses import dataclass, field
from typing import Final

from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json
from tests.forge.world import Token

_WINDOWS: Final = {"core": 3600, "search": 60, "graphql": 3600}


@dataclass(slots=True, kw_only=True)
class Meter:
    """Counts requests; whoever has no token shares one count."""

    limits: dict[str, int] = field(
        default_factory=lambda: {"core": 5000, "search": 30, "graphql": 5000}
    )
    _nobody: Token = field(default_factory=lambda: Token(login=""))
    _begins: float = field(default_factory=time.time)

    def used(self, token: Token | None, resource: str) -> int:
        """Say how much of a window is used."""
        window = int((time.time() - self._begins) // _WINDOWS[resource])
        return (token or self._nobody).used.get(f"{resource}/{window}", 0)

    def charge(self, token: Token | None, resource: str) -> None:
        """Count one more."""
        window = int((time.time() - self._begins) // _WINDOWS[resource])
        used = (token or self._nobody).used
        used[f"{resource}/{window}"] = used.get(f"{resource}/{window}", 0) + 1

    def demand(self, token: Token | None, resource: str) -> None:
        """Refuse whoever has used up the window."""
        if self.used(token, resource) >= self.limits[resource]:
            raise RefusedError(403, "API rate limit exceeded.")

    def headers(self, token: Token | None, resource: str) -> dict[str, str]:
        """Give what every answer tells."""
        state = self.state(token, resource)
        return {f"x-ratelimit-{name}": str(value) for name, value in state.items()}

    def state(self, token: Token | None, resource: str) -> Json:
        """Give limit, use and the end of the window."""
        limit, used = self.limits[resource], self.used(token, resource)
        passed = (time.time() - self._begins) % _WINDOWS[resource]
        return {
            "limit": limit,
            "remaining": max(0, limit - used),
            "used": used,
            "reset": int(time.time() - passed + _WINDOWS[resource]) + 1,
            "resource": resource,
        }

    def overview(self, token: Token | None) -> Json:
        """Give all of it."""
        return {name: self.state(token, name) for name in self.limits}
