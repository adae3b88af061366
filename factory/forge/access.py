"""As whom, and by which way, one may speak to a forge: what configuration and environment say."""

from collections.abc import Callable
from dataclasses import dataclass, field

from factory.forge.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a connection is made of.

    ``api_url`` is the one that a trusted configuration names, ``ambient_url`` the one that a
    workflow's environment does. ``named`` says that a trusted configuration named the token's own
    variable. ``proxy`` gives the proxy to an address, where there is one.
    """

    token: str = field(repr=False)
    app: App | None = None
    named: bool = False
    api_url: str | None = None
    ambient_url: str | None = None
    remote: str = "origin"
    max_wait: float = 600.0
    ca: str | None = None
    proxy: Callable[[str], str | None] | None = field(default=None, repr=False)
