"""A small HTTP client that looks after proxies."""

from ferry.address import Address, parse
from ferry.message import Request, Response
from ferry.session import Session

__all__ = ["Address", "Request", "Response", "Session", "parse"]
