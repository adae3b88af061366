"""The full-screen view of a run as values: what a key does, and what is drawn; pure.

Nothing here reads or writes: a key gives the next state and, at most, one wish that whoever holds
the terminal fulfils. Every text of an agent stands in a field of its own line and is made harmless
where it is drawn, so that none can move the cursor or look like another row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from factory.line import Line, Work
from factory.views.keys import Key
from factory.views.rows import ORDER, at_work, branch, counts, first_lines, headline, where
from factory.views.screen import PLACES, Cell, Strip
from factory.wording import clean, listed, masked
from worktrees.names import JobId

PageKind = Literal["logs", "diff", "help", "balance"]
PostKind = Literal["tell", "kill", "retry", "pause", "apply", "undo"]

KEYS: Final = "j/k move  enter logs  d diff  t tell  K kill  r retry  / filter  ? help  q quit"
_PAGE_KEYS: Final = "j/k scroll  space page down  g top  G end  q back"
_BALANCE_KEYS: Final = "1-9 apply an option  u undo the last change  j/k scroll  q back"
HELP: Final = (
    "The view of a run. It reads the ledger; what you ask for reaches the run as the",
    "same letter that the command of that name leaves.",
    "",
    "k, up / j, down   the job above, below; also Page Up, Page Down, g, G",
    "enter, l          what its newest attempt wrote, followed while it works",
    "d                 what it changed",
    "t                 tell it something, or answer it: yes, no, words",
    "K                 kill it, after a yes; what it saved is kept",
    "r                 retry it when it is dead or withdrawn",
    "/                 only jobs with these words in id, station, place, title;",
    "                  escape shows all again",
    "p                 pause: start nothing more; again: resume",
    "b                 the balance of the line: 1-9 apply an option, u undoes the",
    "                  last change, each after a yes",
    "q, Ctrl-C         leave; the run goes on",
    "",
    "In a page: j, k, space, b, Page Up, Page Down, g, G; q or escape goes back.",
)
_HEAD: Final = 5
_FOOT: Final = 5
_ID: Final = 26
_STATION: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A text over the whole screen; ``follow`` keeps its end in sight."""

    kind: PageKind
    job: JobId | None = None
    top: int = 0
    follow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A line that a person types."""

    kind: Literal["tell", "filter"]
    job: JobId | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Something that is done only after a yes."""

    post: "Post"
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What the view shows and waits for."""

    chosen: JobId | None = None
    words: str = ""
    """What the jobs are filtered by."""
    page: Page | None = None
    asks: Prompt | Confirm | None = None
    said: str = ""
    """What was answered to the last key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The wish to leave a letter for the floor; ``pause`` goes on again where the line is paused.

    ``text`` is what is told, the option that is applied, or the decision that is undone.
    """

    kind: PostKind
    job: JobId | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The wish to end the view."""


Wish = Post | Leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a key is pressed over: the jobs in their order, how long the page is, what fits.

    ``options`` are the names of what the balance offers, ``last`` the decision it could undo.
    """

    jobs: tuple[JobId, ...]
    room: int
    length: int = 0
    options: tuple[str, ...] = ()
    last: str = ""


def press(panel: Panel, key: Key, sight: Sight) -> tuple[Panel, Wish | None]:
    """Give the view after a key, and what the key asks for."""
    panel = replace(panel, said="")
    if key.name == "hangup":
        return panel, Leave()
    match panel.asks:
        case Prompt():
            return _typed(panel, panel.asks, key)
        case Confirm():
            post = panel.asks.post
            panel = replace(panel, asks=None)
            if key == Key("char", "y"):
                return panel, post
            return replace(panel, said="not done"), None
        case None:
            pass
    name = key.text if key.name == "char" else key.name
    if panel.page is not None:
        return _turned(panel, panel.page, name, sight)
    return _asked(panel, name, sight)


def _typed(panel: Panel, prompt: Prompt, key: Key) -> tuple[Panel, Wish | None]:
    text = prompt.text
    match key.name:
        case "enter" if prompt.kind == "tell":
            done = replace(panel, asks=None)
            if not text.strip():
                return replace(done, said="nothing was told"), None
            return done, Post(kind="tell", job=prompt.job, text=text.strip())
        case "enter":
            return replace(panel, asks=None), None
        case "esc":
            words = "" if prompt.kind == "filter" else panel.words
            return replace(panel, asks=None, words=words, said="not done"), None
        case "char":
            text += key.text
        case "paste":
            text += " ".join(key.text.split())
        case "backspace":
            text = text[:-1]
        case "erase":
            text = ""
        case _:
            return panel, None
    words = text if prompt.kind == "filter" else panel.words
    return replace(panel, asks=replace(prompt, text=text), words=words), None


def _turned(panel: Panel, page: Page, name: str, sight: Sight) -> tuple[Panel, Wish | None]:
    if name in {"q", "esc", "backspace"} or (page.kind == "help" and name == "?"):
        return replace(panel, page=None), None
    if page.kind == "balance":
        if name.isdecimal() and 0 < int(name) <= len(sight.options):
            option = sight.options[int(name) - 1]
            post, question = Post(kind="apply", text=option), f"apply {option}?"
            return replace(panel, asks=Confirm(post=post, question=question)), None
        if name == "u" and sight.last:
            post, question = Post(kind="undo", text=sight.last), f"undo change {sight.last}?"
            return replace(panel, asks=Confirm(post=post, question=question)), None
        if name == "b":
            return replace(panel, page=None), None
    end = max(0, sight.length - sight.room)
    top = end if page.follow else min(page.top, end)
    moves = {"j": 1, "down": 1, "k": -1, "up": -1, " ": sight.room, "pgdn": sight.room}
    moves |= {"b": -sight.room, "pgup": -sight.room, "g": -top, "home": -top}
    if name in {"G", "end"}:
        return replace(panel, page=replace(page, top=end, follow=True)), None
    if name not in moves:
        return panel, None
    top = min(end, max(0, top + moves[name]))
    follow = page.kind == "logs" and top == end and moves[name] > 0
    return replace(panel, page=replace(page, top=top, follow=follow)), None


def _asked(panel: Panel, name: str, sight: Sight) -> tuple[Panel, Wish | None]:
    match name:
        case "q":
            return panel, Leave()
        case "esc" if panel.words:
            return replace(panel, words=""), None
        case "?":
            return replace(panel, page=Page(kind="help")), None
        case "b":
            return replace(panel, page=Page(kind="balance")), None
        case "/":
            return replace(panel, asks=Prompt(kind="filter", text=panel.words)), None
        case "p":
            return panel, Post(kind="pause")
        case _:
            pass
    job = chosen(panel, sight.jobs)
    if job is None:
        return panel, None
    place = sight.jobs.index(job)
    moves = {"j": 1, "down": 1, "k": -1, "up": -1, "pgdn": sight.room, "pgup": -sight.room}
    moves |= {"g": -place, "home": -place, "G": len(sight.jobs), "end": len(sight.jobs)}
    if name in moves:
        to = min(len(sight.jobs) - 1, max(0, place + moves[name]))
        return replace(panel, chosen=sight.jobs[to]), None
    panel = replace(panel, chosen=job)
    match name:
        case "enter" | "l":
            return replace(panel, page=Page(kind="logs", job=job, follow=True)), None
        case "d":
            return replace(panel, page=Page(kind="diff", job=job)), None
        case "t":
            return replace(panel, asks=Prompt(kind="tell", job=job)), None
        case "K":
            asks = Confirm(post=Post(kind="kill", job=job), question=f"kill {job}?")
            return replace(panel, asks=asks), None
        case "r":
            return panel, Post(kind="retry", job=job)
        case _:
            return replace(panel, said="? shows the keys"), None


def chosen(panel: Panel, jobs: Sequence[JobId]) -> JobId | None:
    """Give the job that keys are about; the first one where the chosen one is not shown."""
    if panel.chosen in jobs:
        return panel.chosen
    return jobs[0] if jobs else None


def shown(line: Line, words: str) -> tuple[Work, ...]:
    """Give the jobs that have all these words, those that want something first."""
    wanted = words.lower().split()

    def told(work: Work) -> str:
        return f"{work.job.id} {work.station} {work.place.kind} {work.job.title}".lower()

    found = (work for work in line.jobs.values() if all(word in told(work) for word in wanted))
    return tuple(sorted(found, key=lambda work: ORDER.index(work.place.kind)))


def room(height: int, *, page: bool = False) -> int:
    """Give how many rows of jobs, or lines of a page, fit into so many lines."""
    return max(1, height - (3 if page else _HEAD + _FOOT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known of the run at this moment."""

    line: Line
    now: float
    sentence: str
    alive: bool
    ended: bool


def picture(scene: Scene, panel: Panel, *, width: int, height: int) -> list[Strip]:
    """Give the lines of the list of jobs, from top to bottom."""
    line, works = scene.line, shown(scene.line, panel.words)
    jobs = tuple(work.job.id for work in works)
    here = chosen(panel, jobs)
    most, place = room(height), jobs.index(here) if here is not None else 0
    top = max(0, min(place - most // 2, len(works) - most))
    names = min(_ID, max((len(job) for job in jobs), default=3)) + 2
    places = min(_STATION, max((len(work.station) for work in works), default=7)) + 2
    names, places = max(names, 5), max(places, 9)
    rows = [
        Strip(
            (
                (Cell("> " if work.job.id == here else "  "), 2),
                (Cell(work.job.id), names),
                (Cell(work.station), places),
                (Cell(where(line, work, scene.now), PLACES[work.place.kind]), 0),
            ),
            chosen=work.job.id == here,
        )
        for work in works[top : top + most]
    ]
    head, wide = headline(line.run, branch(line.target), counts(line)), max(1, width - 14)
    first, second = _halves(scene.sentence, width)
    return [
        _line(first, "strong"),
        _line(second, "strong"),
        _line(head),
        Strip(((Cell(_state(scene, panel), "warn"), wide), (_count(works, top, most), 14))),
        Strip(
            (
                (Cell(""), 2),
                *(
                    (Cell(word, "dim"), size)
                    for word, size in (("JOB", names), ("STATION", places))
                ),
                (Cell("WHERE", "dim"), 0),
            )
        ),
        *(rows or [_line("  no job has these words: escape shows all", "dim")]),
        *(_line("") for _ in range(most - max(1, len(rows)))),
        *_about(line.jobs[here] if here is not None else None),
        _line(_busy(line), "dim"),
        _bottom(panel, width),
        _line(KEYS, "dim"),
    ]


def frame(panel: Panel, title: str, width: int) -> tuple[Strip, Strip, Strip]:
    """Give the lines round a page: its title, what is asked or said, its keys."""
    page = panel.page
    keys = _BALANCE_KEYS if page is not None and page.kind == "balance" else _PAGE_KEYS
    return _line(title, "strong"), _bottom(panel, width), _line(keys, "dim")


def _bottom(panel: Panel, width: int) -> Strip:
    """Give the line in which a person types or reads what was answered."""
    match panel.asks:
        case Prompt(kind=kind, job=job, text=text):
            label = f"tell {job}: " if kind == "tell" else "filter: "
            end = text[-max(1, width - len(label) - 1) :]  # where one types stays in sight
            return Strip(((Cell(label, "strong"), len(label)), (Cell(f"{end}_"), 0)))
        case Confirm(question=question):
            return _line(f"{question} y does it, any other key does not", "warn")
        case None:
            return _line(panel.said, "warn")


def _line(text: str, style: Literal["plain", "strong", "warn", "dim", "bad"] = "plain") -> Strip:
    return Strip(((Cell(text, style), 0),))


def _halves(text: str, width: int) -> tuple[str, str]:
    if len(text) <= width:
        return text, ""
    space = text.rfind(" ", 0, width)
    at = space if space > 0 else width
    return text[:at], text[at:].lstrip()


def _state(scene: Scene, panel: Panel) -> str:
    line = scene.line
    parts = [f"only: {panel.words}"] if panel.words else []
    if scene.ended:
        parts.append("this run has ended; q leaves")
    elif not scene.alive:
        parts.append(f"nobody works on it: factory resume {line.run}")
    elif line.closing is not None:
        parts.append(f"closing: {clean(masked(line.closing.why))}")
    elif line.paused:
        parts.append("paused: p lets it go on")
    return "  ".join(parts)


def _count(works: Sequence[Work], top: int, most: int) -> Cell:
    if len(works) <= most:
        return Cell("")
    return Cell(f"{top + 1}-{min(len(works), top + most)} of {len(works)}".rjust(14), "dim")


def _about(work: Work | None) -> tuple[Strip, Strip]:
    if work is None:
        return _line(""), _line("")
    failure = first_lines(work)
    title = f"{work.job.id}: {clean(work.job.title)}"
    return _line(title), _line(f"  {failure[0]}" if failure else "", "bad")


def _busy(line: Line) -> str:
    """Say in one line how many seats are taken where."""
    seats = (f"{each.name} {each.taken}/{each.seats}" for each in at_work(line))
    return f"busy: {listed(seats)}"
