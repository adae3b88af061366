"""Inputs: what the Action's step was given, as values; every mistake is named at once.

All of it arrives in variables that `action.yml` sets. A workflow's author wrote the inputs; the
event and what other jobs put out may hold what strangers chose.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from factory.complaint import Complaint
from factory.forge.gatekeeping import COMMANDS, Pins, Wishes, pins_of, query_of

PREFIXES: Final = ("INPUT_", "GITHUB_", "RUNNER_")
"""How the names of the variables begin."""
MOST_MINUTES: Final = 350
"""What the work may take at most: a job of GitHub ends after 360."""
MOST_ITEMS: Final = 100
LEVELS: Final = ("write", "admin")
RESULTS: Final = ("success", "failure", "cancelled", "skipped")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,253}(?:/[A-Za-z0-9._/-]{0,200})?")
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\[bot\])?")
_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64})?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORKFLOW: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,100}\.ya?ml)?")
_MONEY: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,4})?")
_WORDS: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """The workflow's run and the files it gave; ``actor`` is who started it, also again."""

    event: str
    event_file: Path
    repository: str
    api_url: str
    server_url: str
    run: str
    actor: str
    workspace: Path
    temp: Path
    output: Path
    summary: Path

    @property
    def page(self) -> str:
        """The address of the run's page."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run}"

    @property
    def remote(self) -> str:
        """The address of the repository for git."""
        return f"{self.server_url}/{self.repository}.git"

    @property
    def host(self) -> str:
        """The name of the server."""
        return self.server_url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of the step; each role reads those it needs."""

    wishes: Wishes
    items: int
    pins: Pins | None
    budget: str
    minutes: int
    seats: int
    files: int
    lines: int
    protect: tuple[str, ...]
    draft: bool
    folder: str
    digest: str
    result: str
    status: str
    reason: str
    dispatch: str


class _Reader:
    """Reads variables and gathers what is wrong with them."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.wrong: list[str] = []

    def text(self, name: str, pattern: re.Pattern[str], what: str, default: str = "") -> str:
        value = self._given.get(name, "").strip() or default
        if not pattern.fullmatch(value):
            self.wrong.append(f"{_shown(name)} must be {what}")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        value = self._given.get(name, "").strip() or str(default)
        if not (value.isascii() and value.isdecimal() and 0 < int(value) <= most):
            self.wrong.append(f"{_shown(name)} must be a number from 1 to {most}")
            return default
        return int(value)

    def one_of(self, name: str, known: tuple[str, ...], default: str) -> str:
        value = self._given.get(name, "").strip() or default
        if value not in known:
            self.wrong.append(f"{_shown(name)} must be one of {', '.join(known)}")
        return value

    def names(self, name: str) -> frozenset[str]:
        """Give exact logins, in lower case."""
        listed = [word for word in _WORDS.split(self._given.get(name, "")) if word]
        if not all(_LOGIN.fullmatch(word) for word in listed):
            self.wrong.append(f"{_shown(name)} must list exact logins; `*` would let in everybody")
        return frozenset(word.lower() for word in listed)

    def raw(self, name: str, default: str = "") -> str:
        return self._given.get(name, "").strip() or default

    def path(self, name: str) -> Path:
        value = self._given.get(name, "")
        if not value.startswith("/"):
            self.wrong.append(f"{name} must be the path of a file or directory")
        return Path(value or "/nonexistent")


def workflow(given: Mapping[str, str]) -> Workflow:
    """Read what GitHub says of the run; complain of everything that is missing."""
    read = _Reader(given)
    found = Workflow(
        event=read.raw("GITHUB_EVENT_NAME"),
        event_file=read.path("GITHUB_EVENT_PATH"),
        repository=read.text("GITHUB_REPOSITORY", _REPOSITORY, "owner/name"),
        api_url=read.text("GITHUB_API_URL", _ADDRESS, "an address").rstrip("/"),
        server_url=read.text("GITHUB_SERVER_URL", _ADDRESS, "an address").rstrip("/"),
        run=read.text("GITHUB_RUN_ID", re.compile(r"[0-9]{1,20}"), "a number"),
        actor=read.raw("GITHUB_TRIGGERING_ACTOR"),
        workspace=read.path("GITHUB_WORKSPACE"),
        temp=read.path("RUNNER_TEMP"),
        output=read.path("GITHUB_OUTPUT"),
        summary=read.path("GITHUB_STEP_SUMMARY"),
    )
    _complain(read.wrong, "this runs as a step of a GitHub workflow, by action.yml")
    return found


def inputs(given: Mapping[str, str], repository: str) -> Inputs:
    """Read the inputs; complain of all that are wrong."""
    read = _Reader(given)
    protect = tuple(word for word in _WORDS.split(given.get("INPUT_PROTECTED_PATHS", "")) if word)
    pins = pins_of(read.raw("INPUT_PINS")) if read.raw("INPUT_PINS") else None
    if pins is None and read.raw("INPUT_PINS"):
        read.wrong.append("pins must be what the gate put out, unchanged")
    found = Inputs(
        wishes=Wishes(
            repository=repository,
            phrase=read.raw("INPUT_TRIGGER_PHRASE", "/factory"),
            label=read.raw("INPUT_TRIGGER_LABEL", "factory"),
            level=read.one_of("INPUT_ALLOWED_PERMISSION", LEVELS, "write"),
            users=read.names("INPUT_ALLOWED_USERS"),
            bots=read.names("INPUT_ALLOWED_BOTS"),
            target=read.raw("INPUT_TARGET"),
            command=read.one_of("INPUT_COMMAND", COMMANDS, "run"),
            query=query_of(read.raw("INPUT_QUERY")),
        ),
        items=read.number("INPUT_MAX_ITEMS", 40, MOST_ITEMS),
        pins=pins,
        budget=read.text("INPUT_BUDGET_USD", _MONEY, "an amount of dollars", "5"),
        minutes=read.number("INPUT_TIMEOUT_MINUTES", 30, MOST_MINUTES),
        seats=read.number("INPUT_MAX_WORKERS", 4, 64),
        files=read.number("INPUT_MAX_CHANGED_FILES", 50, 3000),
        lines=read.number("INPUT_MAX_CHANGED_LINES", 5000, 1_000_000),
        protect=protect,
        draft=read.one_of("INPUT_DRAFT", ("true", "false"), "true") == "true",
        folder=read.text("INPUT_BUNDLE", _NAME, "a name without a slash", "factory-bundle"),
        digest=read.text("INPUT_BUNDLE_SHA256", _DIGEST, "the digest that the agent put out"),
        result=read.one_of("INPUT_AGENT_RESULT", RESULTS, "success"),
        status=read.raw("INPUT_AGENT_STATUS"),
        reason=read.raw("INPUT_AGENT_WHY"),
        dispatch=read.text("INPUT_DISPATCH", _WORKFLOW, "the name of a workflow's file"),
    )
    _complain(read.wrong, "correct the step's `with:`")
    return found


def _complain(wrong: list[str], hint: str) -> None:
    if wrong:
        raise Complaint("the Action cannot start: " + "; ".join(wrong), hint=hint)


def _shown(name: str) -> str:
    return name.removeprefix("INPUT_").lower().replace("_", "-") if "INPUT_" in name else name
