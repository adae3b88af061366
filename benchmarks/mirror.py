"""The mirror of a repository of 10,000 items: requests and seconds, first, unchanged, cut off.

Against the tests' own GitHub on 127.0.0.1; no figure here is about github.com.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from measure import Report, arguments, machine, scratch

from factory.forge.failures import ForgeError
from tests.survey.corpus import load
from tests.survey.forges import NOW, TOY, Scene, scene

PAGES = "/repos/{owner}/{repo}/issues"


@contextmanager
def filled(place: Path, many: int) -> Iterator[Scene]:
    """Give a forge with so many items, whose texts are those of real reports."""
    texts = list(load().items.values())
    with scene(place) as at:
        for number in range(many):
            title, body = texts[number % len(texts)]
            at.octocat.open(TOY, f"{title} ({number})", f"{body}\n\nsee #{number // 2}")
        at.hub.limit("core", 100_000)
        yield at


def pages(at: Scene, since: int) -> list[int]:
    """Give the statuses of the pages that were asked for."""
    return [one.status for one in at.hub.log[since:] if one.template == PAGES]


def synced(report: Report, at: Scene, name: str, said: str) -> None:
    """Sync once, and say what it cost."""
    before, began, cpu = len(at.hub.log), time.monotonic(), time.process_time()
    with at.mirror(name) as mirror, closing(at.door()) as door:
        mirror.sync(door, now=NOW)
        size = mirror.size
    report.add(f"{said}: requests", len(at.hub.log) - before)
    report.add(f"{said}: of them 304", pages(at, before).count(304))
    report.add(f"{said}: seconds", round(time.monotonic() - began, 2))
    report.add(f"{said}: CPU seconds, the forge's too", round(time.process_time() - cpu, 2))
    report.add(f"{said}: items", size)


def cut_off(report: Report, at: Scene, many: int) -> None:
    """End a sync at its 37th page, and look what the next one repeats."""
    at.hub.fault("GET", "*/issues", "status", 5, skip=36, status=502)
    before = len(at.hub.log)
    with at.mirror("cut") as mirror, closing(at.door()) as door:
        try:
            mirror.sync(door, now=NOW)
        except ForgeError:
            held = mirror.size
    asked = {one.query.get("since") for one in at.hub.log[before:] if one.status == 200}
    middle = len(at.hub.log)
    with at.mirror("cut") as mirror, closing(at.door()) as door:
        mirror.sync(door, now=NOW)
        whole = mirror.size == many
    again = {one.query.get("since") for one in at.hub.log[middle:] if one.template == PAGES}
    report.add("cut off at page 37: items held", held)
    report.add("cut off: pages then", len(pages(at, middle)))
    report.add("cut off: pages asked for twice", len((asked & again) - {None}))
    report.add("cut off: whole afterwards", whole)


def changed(report: Report, at: Scene, many: int) -> None:
    """Let people change a hundred items, and sync."""
    at.hub.clock.advance(timedelta(days=1).total_seconds())
    chance = random.Random(20261121)  # noqa: S311  drawn the same each time
    for number in chance.sample(range(1, many + 1), 100):
        at.octocat.edit(TOY, number, body="It is otherwise.")
    synced(report, at, "toy", "100 changed")


def opened(report: Report, at: Scene) -> None:
    """Say how long it takes to open the mirror, with the look whether it is sound."""
    began = time.monotonic()
    with at.mirror() as mirror:
        report.add("opening it: seconds", round(time.monotonic() - began, 3))
        report.add("the file: MB", round(mirror.path.stat().st_size / 1e6, 1))
        began = time.monotonic()
        found = mirror.ranking.rank("namenode fails to start after an upgrade")
        report.add("first rank: seconds", round(time.monotonic() - began, 3))
    report.add("first rank: found", len(found))


def gathered(report: Report, at: Scene, said: str) -> None:
    """Gather a theme and a seed."""
    began, cpu = time.monotonic(), time.process_time()
    found = at.gather("block reports of a datanode", 77)
    report.add(f"{said}: seconds", round(time.monotonic() - began, 2))
    report.add(f"{said}: CPU seconds, the forge's too", round(time.process_time() - cpu, 2))
    report.add(f"{said}: requests", found.requests)
    report.add(f"{said}: candidates", len(found.candidates))


def main() -> None:
    """Measure all of it on one repository."""
    options = arguments(__doc__ or "", items=10_000)
    report = Report(name="mirror", machine=machine())
    with scratch() as place, filled(place, options.items) as at:
        synced(report, at, "toy", "first")
        synced(report, at, "toy", "unchanged")
        synced(report, at, "toy", "unchanged again")
        changed(report, at, options.items)
        opened(report, at)
        gathered(report, at, "gather")
        gathered(report, at, "gather again")
        cut_off(report, at, options.items)
    report.write()


if __name__ == "__main__":
    main()
