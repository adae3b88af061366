"""What page and report weigh, and how soon a browser shows them: 12, 50 and 1,000 jobs."""

import gzip
import shutil
import time
from pathlib import Path

from measure import Report, arguments, machine, scratch

from factory.pace.catalogue import Policy
from factory.show.assets import TYPES, read
from factory.show.pages import live_overview
from factory.show.paper import paper
from factory.show.watching import Watch
from tests.show.crowds import RUN, Crowd
from tests.show.hosts import hosted

ARGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
PAINT = """new Promise((done) => new PerformanceObserver((list) => {
  for (const each of list.getEntriesByName("first-contentful-paint")) done(each.startTime);
}).observe({ type: "paint", buffered: true }))"""


def drawing(report: Report, jobs: int) -> None:
    """Measure reading and drawing, without a browser."""
    crowd = Crowd(jobs).go()
    records, calls = crowd.tale.records(), crowd.calls()
    watch = Watch(Policy(mode="suggest", wanted=30.0))
    begun = time.process_time()
    watch.take(records)
    report.add(f"{jobs} jobs: ledger read once, CPU s", time.process_time() - begun)
    begun = time.process_time()
    figures = watch.figures(crowd.tale.at, calls, alive=False)
    report.add(f"{jobs} jobs: figures of a new position, CPU s", time.process_time() - begun)
    begun = time.process_time()
    part = live_overview(figures, key="k", group="job").encode()
    report.add(f"{jobs} jobs: fragment drawn, CPU s", time.process_time() - begun)
    report.add(f"{jobs} jobs: fragment, kB", len(part) / 1000)
    whole = paper(figures).encode()
    text = f"{len(whole) / 1000:.0f} ({len(gzip.compress(whole)) / 1000:.0f} compressed)"
    report.add(f"{jobs} jobs: report, kB (target <= 300)", len(whole) / 1000, text)


def painting(report: Report, jobs: int, room: Path) -> None:
    """Measure when a browser first paints the page of a run."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as driver,
        hosted(room / f"repo-{jobs}", Crowd(jobs).go()) as host,
    ):
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGS))
        page = browser.new_page()
        page.goto(host.address)
        seen = []
        for _ in range(5):
            page.goto(f"http://127.0.0.1:{host.port}/run/{RUN}")
            seen.append(float(page.evaluate(PAINT)) / 1000)
        browser.close()
    text = f"{sorted(seen)[2]:.2f} (median of 5; {min(seen):.2f} to {max(seen):.2f})"
    report.add(f"{jobs} jobs: first paint, s (target < 1.5)", sorted(seen)[2], text)


def main() -> None:
    """Measure all of it."""
    options = arguments(__doc__ or "", jobs=1000)
    report = Report(name="page", machine=machine())
    sent = sum(len(gzip.compress(read(n))) for n in TYPES if n.endswith((".js", ".css")))
    report.add("scripts and styles, compressed kB (target <= 60)", sent / 1000)
    sizes = (12, 50, options.jobs)
    for jobs in sizes:
        drawing(report, jobs)
    if shutil.which("chromium") is None:
        report.add("first paint", None, "not measured: no chromium is installed (scripts/browser)")
    else:
        with scratch() as room:
            for jobs in sizes:
                painting(report, jobs, room)
    report.write()


if __name__ == "__main__":
    main()
