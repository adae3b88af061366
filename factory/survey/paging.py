"""Paging: where reading what changed goes on after each page. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from factory.forge.values import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to go on: what changed since then, from which page on, and what that page was.

    ``crowd`` is the second that filled more than a page, while what came after it is being read.
    """

    since: datetime | None = None
    page: int = 1
    etag: str = ""
    crowd: datetime | None = None


def after(place: Place, issues: Sequence[Issue], etag: str, *, full: bool, shifted: bool) -> Place:
    """Give where to go on after a page.

    A page that is not full is the last one: it is asked for again next time, by its ETag. A full
    one is followed by what changed since its last item. Where all of it changed in one second, that
    would be the same page again, and the next one is asked for.
    """
    if shifted:
        return Place(since=place.crowd)
    if not full:
        crowd = place.crowd if place.page > 1 else None
        return Place(since=place.since, page=place.page, etag=etag, crowd=crowd)
    last = max((one.updated for one in issues), default=place.since)
    if last is None or (place.since is not None and last <= place.since):
        return Place(since=place.since, page=place.page + 1, crowd=place.since)
    return Place(since=last, crowd=place.crowd)
