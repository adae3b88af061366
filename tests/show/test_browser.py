"""The page and the report in a real browser, Debian's chromium: what a person sees and can do."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

from factory.events import Finished
from factory.pace.catalogue import Policy
from factory.show.paper import paper
from factory.show.watching import Watch
from stations.contract import Failed
from tests.show.crowds import RUN, Crowd
from tests.show.hosts import Host, hosted
from worktrees.lock import owner_lock

CHROMIUM = shutil.which("chromium")
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PHONE = (390, 844)
DESK = (1200, 900)

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium is installed: scripts/browser installs it"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A page with everything it asked for and complained of."""

    page: Page
    asked: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Give the driver; the browser is the machine's own."""
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="module")
def desk(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Give a browser that all tests share, with scripts."""
    with browser(playwright, tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    """Give a run in the middle of its work, with one job that waits for a person."""
    return Crowd(24).go(lambda line: sum(w.place.kind == "landed" for w in line.jobs.values()) > 9)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, crowd: Crowd) -> Iterator[Host]:
    """Give a server over that run, which a process (this one) works on."""
    with ExitStack() as stack:
        made = stack.enter_context(hosted(tmp_path_factory.mktemp("browser") / "repo", crowd))
        stack.enter_context(owner_lock(made.repository.factory))
        yield made


@contextmanager
def browser(
    playwright: Playwright, profile: Path, *, scripts: bool = True
) -> Iterator[BrowserContext]:
    """Give a browser of its own."""
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=CHROMIUM,
        headless=True,
        args=list(ARGS),
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    try:
        yield context
    finally:
        context.close()


@pytest.fixture(autouse=True)
def _close(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close the pages of a test: each open one holds a connection of the browser's few."""
    yield
    if "desk" in request.fixturenames:
        for page in request.getfixturevalue("desk").pages[1:]:
            page.close()


def opened(
    context: BrowserContext, address: str, size: tuple[int, int] = DESK, *, dark: bool = False
) -> Seen:
    """Open an address in a new page of this size."""
    page = context.new_page()
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")
    seen = Seen(page=page, asked=[], complaints=[])
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("console", lambda said: seen.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(address)
    return seen


def overflow(page: Page) -> int:
    """Give how many pixels of the page lie beyond its right edge."""
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return int(wide)


def test_the_page_asks_nobody_else_and_has_nothing_to_complain_of(
    desk: BrowserContext, host: Host
) -> None:
    """With its policy on, scripts, styles, stream and curves all work, and come from here."""
    seen = opened(desk, host.address)
    expect(seen.page.get_by_role("status")).to_have_text("live")
    expect(seen.page.locator("#canvas canvas")).to_have_count(2)

    assert {urlsplit(each).netloc for each in seen.asked} == {f"127.0.0.1:{host.port}"}
    assert seen.complaints == []
    assert "token" not in seen.page.url


def test_what_happens_shows_by_itself(desk: BrowserContext, host: Host, crowd: Crowd) -> None:
    """An event of the ledger changes the page without a reload, and what is open stays open."""
    seen = opened(desk, host.address)
    page = seen.page
    page.get_by_text("The stations as a table").click()
    jobs = page.get_by_role("region", name="Jobs and where they wait")
    name, work = next(
        (name, work) for name, work in crowd.line.jobs.items() if work.place.kind == "working"
    )
    expect(jobs.get_by_role("row").filter(has_text=name)).to_contain_text("at work")

    count = len(crowd.tale.book)
    crowd.tale.tell(
        Finished(job=name, attempt=work.attempt, outcome=Failed(fault="the disk is full of cats"))
    )
    host.plant(count)

    expect(jobs.get_by_role("row").filter(has_text=name)).not_to_contain_text("at work")
    expect(page.get_by_role("img", name=f"{name}: ")).to_contain_text("disk is full of cats")
    table = page.get_by_role("region", name="Stations: demand, odds and headroom")
    expect(table).to_be_visible()
    assert seen.complaints == []


@pytest.mark.parametrize("path", ["", f"/job/{'job-0002'}", f"/job/{'job-0002'}/kill"])
def test_it_fits_a_phone(desk: BrowserContext, host: Host, path: str) -> None:
    """On 390 pixels nothing of a page lies beyond the edge, by job and by station."""
    desk_page = opened(desk, host.address, PHONE).page
    for query in ("", "?group=station"):
        desk_page.goto(f"http://127.0.0.1:{host.port}/run/{RUN}{path}{query}")
        expect(desk_page.get_by_role("heading", level=1)).to_be_visible()
        assert overflow(desk_page) <= 0


def test_it_follows_the_dark_scheme(desk: BrowserContext, host: Host) -> None:
    """Ground and ink trade places with the scheme that a person prefers."""
    shown = []
    for dark in (False, True):
        page = opened(desk, host.address, dark=dark).page
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        shown.append(sum(int(part) for part in ground[4:-1].split(",")[:3]))

    assert shown[0] > 700
    assert shown[1] < 150


def test_the_keyboard_reaches_everything_in_order(desk: BrowserContext, host: Host) -> None:
    """Tab goes from the skip link down the page, and one always sees where it stands."""
    page = opened(desk, host.address).page
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"

    assert names[:4] == ["Skip to the content", "Newest run", "All 1 run", "Pause the line"]


def test_pictures_have_names_and_tables_beside_them(desk: BrowserContext, host: Host) -> None:
    """A screen reader gets the finding of every picture, and the figures as tables."""
    page = opened(desk, host.address).page

    expect(page.get_by_role("img", name="Demand of")).to_be_visible()
    expect(page.get_by_role("img", name="The way of the jobs")).to_be_visible()
    expect(page.get_by_role("group", name="When")).to_be_visible()
    expect(
        page.get_by_role("heading", level=2, name="Balance: who limits the line")
    ).to_be_visible()
    expect(page.get_by_role("table", name="Jobs and where they wait")).to_be_visible()


def test_a_kill_is_asked_for_twice(desk: BrowserContext, host: Host) -> None:
    """The button on a job's page only asks; the second one leaves the letter."""
    before = len(host.letters())
    page = opened(desk, host.address).page
    page.goto(f"http://127.0.0.1:{host.port}/run/{RUN}/job/job-0002")
    page.get_by_role("link", name="Kill…").click()
    expect(page.get_by_role("heading", name="Take job-0002 off the line?")).to_be_visible()
    assert len(host.letters()) == before

    page.get_by_role("button", name="Kill job-0002").click()

    expect(page.get_by_text("kill job-0002: noted; it takes effect at once")).to_be_visible()
    assert host.letters()[before].kind == "kill"


def test_words_half_typed_survive_what_happens(
    desk: BrowserContext, host: Host, crowd: Crowd
) -> None:
    """While a person types, the story above goes on, and not a letter is lost."""
    page = opened(desk, host.address).page
    name, work = next(
        (name, work) for name, work in crowd.line.jobs.items() if work.place.kind == "working"
    )
    page.goto(f"http://127.0.0.1:{host.port}/run/{RUN}/job/{name}")
    box = page.get_by_label("Tell it something")
    box.fill("use the second f")
    count = len(crowd.tale.book)
    crowd.tale.tell(Finished(job=name, attempt=work.attempt, outcome=Failed(fault="no more yarn")))
    host.plant(count)
    expect(page.get_by_role("list")).to_contain_text("no more yarn")
    box.press_sequentially("orm")

    expect(box).to_have_value("use the second form")
    expect(box).to_be_focused()


def test_it_works_without_scripts(playwright: Playwright, host: Host, tmp_path: Path) -> None:
    """With JavaScript off the page is a whole snapshot, its curves drawn, its forms at work."""
    before = len(host.letters())
    with browser(playwright, tmp_path / "plain", scripts=False) as context:
        page = opened(context, host.address).page
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("img", name="USD billed")).to_be_visible()
        page.get_by_role("link", name="by station").click()
        expect(page.get_by_role("img", name="at once").first).to_be_visible()
        page.get_by_role("button", name="Pause the line").click()
        expect(page.get_by_text("pause all jobs: noted")).to_be_visible()

    assert [letter.kind for letter in host.letters()[before:]] == ["pause"]


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_the_report_opens_from_a_disk(
    desk: BrowserContext, tmp_path: Path, size: tuple[int, int]
) -> None:
    """The file alone is the whole report: no request, no complaint, nothing beyond the edge."""
    made = Crowd(30).go()
    watch = Watch(Policy(mode="suggest", wanted=30.0))
    watch.take(made.tale.records())
    file = tmp_path / "run.html"
    file.write_text(paper(watch.figures(made.tale.at, made.calls(), alive=False)))

    seen = opened(desk, file.as_uri(), size)
    seen.page.get_by_text("By station", exact=True).click()

    expect(seen.page.get_by_role("img", name="at once").first).to_be_visible()
    assert seen.asked == [file.as_uri()]
    assert seen.complaints == []
    assert overflow(seen.page) <= 0
