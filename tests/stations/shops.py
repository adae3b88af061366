"""A shop for tests: real seats whose agents call a strict scripted Messages API on loopback."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from stations.bench import Bench
from stations.contract import Agent, Argv, Brief, Budget, Done, Kind, Outcome, StationSpec
from stations.models.anthropic_door import AnthropicDoor
from stations.models.caller import Caller
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Call, Provider
from stations.reading import Reading
from stations.runtimes.sdk import Sdk
from stations.runtimes.task import Control
from stations.seat import papers_of, take_turn
from tests.scripted.messages import KEY, MessagesServer, Script, tool
from tests.stations.benches import assignment, base_of, station
from tests.stations.records import Listed
from worktrees.change import paths
from worktrees.names import JobId, Oid

FILES: Final = {
    "AGENTS.md": "Names are short.\n",
    ".agents/skills/naming/SKILL.md": (
        "---\nname: naming\ndescription: How names are made\n---\nUse nouns.\n"
    ),
    "README.md": "A small repository.\n",
    "src/api/users.py": "def name() -> str:\n    return 'u'\n",
    "src/api/items.py": "def name() -> str:\n    return 'i'\n",
    "src/core.py": "ONE = 1\n",
}
SCOPE: Final = ("src/api/**",)
EDIT: Final = tool("edit", {"path": "src/api/users.py", "old": "'u'", "new": "'user'"})
SERIALS: Final = itertools.count()


@dataclass(kw_only=True)
class Shop:
    """A bench whose agents call a scripted server."""

    bench: Bench
    server: MessagesServer
    sdk: Sdk
    calls: list[Call] = field(default_factory=list)

    def spec(
        self,
        *,
        kind: Kind = Kind.CODE,
        model: str = "medium",
        commands: tuple[Argv, ...] = (),
        batch: int = 1,
    ) -> StationSpec:
        """Give a station whose seat a model takes."""
        return replace(
            station(kind=kind, scope=SCOPE),
            agent=Agent(runtime="sdk", model=model),
            commands=commands,
            batch=batch,
        )

    def turn(
        self,
        spec: StationSpec | None = None,
        *,
        job: str = "",
        attempt: int = 1,
        brief: Brief | None = None,
        control: Control | None = None,
        seconds: float = 30.0,
        base: Oid | None = None,
        budget: Budget | None = None,
        depth: int = 0,
        raised: int = 0,
    ) -> Outcome:
        """Do one attempt; with a ``base`` it starts from what the attempt before wrote."""
        serial = next(SERIALS)
        asked = assignment(
            self.bench,
            scope=SCOPE,
            serial=serial,
            attempt=attempt,
            job=job or f"job{serial}",
            brief=brief or Brief(title="Longer names", text="The name of a user must be `user`."),
            seconds=seconds,
            base=base,
        )
        wrote = 0 if base is None else attempt - 1
        asked = replace(asked, budget=budget or Budget(), depth=depth, raised=raised, wrote=wrote)
        spec = spec or self.spec()
        if spec.kind is Kind.READ:
            return Reading(spec=spec, bench=self.bench).work(asked, control)
        return take_turn(self.bench, spec, asked, control=control or Control())

    def changed(self, outcome: Outcome) -> list[bytes]:
        """Give the paths that durable work changes."""
        assert isinstance(outcome, Done), outcome
        return list(paths(self.bench.git, base_of(self.bench), outcome.commit))

    def held(self, outcome: Outcome, path: str) -> str:
        """Give a file of durable work."""
        assert isinstance(outcome, Done), outcome
        return self.bench.git("cat-file", "blob", f"{outcome.commit}:{path}").text


@contextmanager
def shop(
    ground: Bench,
    script: Script,
    *,
    refusals: bool = False,
    run: Budget | None = None,
    turns: int = 60,
    context: int = 60_000,
    models: Mapping[str, str] | None = None,
) -> Iterator[Shop]:
    """Give a shop with a script for its server."""
    with MessagesServer(script, key=KEY, refusals=refusals) as server:
        provider = Provider(name="anthropic", base_url=server.url, key=KEY)
        calls: list[Call] = []
        meter = Meter(
            prices=Prices.load(),
            ceilings=Ceilings(run=run or Budget()),
            now=time.time,
            record=Listed(calls),
            warn=lambda _: None,
        )
        door = AnthropicDoor(provider)
        caller = Caller(
            door=door,
            meter=meter,
            limiter=Limiter(clock=time.monotonic, dice=lambda: 0.01, rest=0.01),
            provider=provider,
            rest=lambda stop, seconds: stop.wait(min(seconds, 0.01)),
        )
        sdk = Sdk(caller, models or {}, turns=turns, context=context)
        try:
            bench = replace(ground, runtimes={"sdk": sdk})
            yield Shop(bench=bench, server=server, sdk=sdk, calls=calls)
        finally:
            door.close()


def log_of(shop: Shop, job: str, attempt: int = 1) -> str:
    """Give the log of an attempt."""
    return (papers_of(shop.bench, JobId(job), attempt) / "output.log").read_text()
