"""Many ``sdk`` agents against scripted servers: a storm of faults, fifty at once, a spent limit.

Scripted: no model was reached, and no figure here is about one.
"""

import random
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from measure import Report, arguments, machine, scratch

from stations.bench import Bench
from stations.coding import Coding
from stations.contract import (
    Agent,
    Assignment,
    Brief,
    Budget,
    Done,
    Failed,
    Kind,
    Outcome,
    StationSpec,
)
from stations.models.anthropic_door import AnthropicDoor
from stations.models.asking import Request
from stations.models.caller import Caller
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Call, Provider
from stations.runtimes.sdk import Sdk
from stations.runtimes.task import Control
from tests.scripted import messages as scripted
from tests.scripted.messages import Asked, MessagesServer, Step
from tests.stations.benches import RUN, base_of, bench_at, until
from tests.stations.records import Listed
from worktrees.git import Git
from worktrees.names import JobId, Oid, StationName, job_ref, salvage_ref
from worktrees.scope import Scope

STAMP = "scripted: no model was reached"
MODEL = "claude-sonnet-5-5"
LINES = 400
_FASTER = 20
"""So many times shorter are the pauses between tries, so that the storm ends while one waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How many agents finished in which way, and what they did."""

    outcomes: tuple[Outcome | BaseException, ...]
    calls: tuple[Call, ...]
    requests: int
    wall: float
    torn: int
    """Files that are neither as they were nor as they were to become."""

    @property
    def kinds(self) -> dict[str, int]:
        """Count the ways in which attempts ended."""
        found = Counter(
            f"{one.kind} {one.cause}".strip()
            if isinstance(one, Failed)
            else type(one).__name__.lower()
            for one in self.outcomes
        )
        return dict(sorted(found.items()))

    @property
    def tokens(self) -> int:
        """Add up what was charged."""
        return sum(call.usage.tokens for call in self.calls)


def before(job: str) -> str:
    """Give the file of a job as it is before."""
    return "".join(f"{job} old line {number}\n" for number in range(LINES))


def after(job: str) -> str:
    """Give the file of a job as it is to become."""
    return "".join(f"{job} new line {number}\n" for number in range(LINES))


def name_of(asked: Asked) -> str:
    """Give the job that a request is about."""
    return asked.first.split("file of job ")[1].split()[0].rstrip(".")


def good(asked: Asked) -> Step | None:
    """Read, write the whole file anew, finish."""
    return longer(1)(asked)


def longer(reads: int) -> Callable[[Asked], Step | None]:
    """Give a script that reads so often, a few lines each time, before it writes."""

    def script(asked: Asked) -> Step | None:
        job = name_of(asked)
        path = f"parts/{job}/part.txt"
        if asked.turn < reads:
            return scripted.tool("read", {"path": path, "start": asked.turn + 1, "end": 20})
        if asked.turn == reads:
            return scripted.tool("write", {"path": path, "content": after(job)})
        return scripted.finish("done", "wrote it anew", files=[path])

    return script


class Chaos:
    """Answers well or with a fault, by a seeded chance of its own for every request."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed, self._share = seed, share
        self._lock = threading.Lock()
        self.faults: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Step | None:
        """Choose by job, turn and try, so that the order of threads decides nothing."""
        job = name_of(asked)
        chance = random.Random(f"{self._seed}:{job}:{asked.turn}:{asked.attempt}")  # noqa: S311
        if chance.random() > self._share:
            return good(asked)
        half = {"path": f"parts/{job}/part.txt", "content": after(job)[: len(after(job)) // 2]}
        faults: dict[str, Callable[[], Step]] = {
            "429": lambda: scripted.status(429),
            "429 retry-after": lambda: scripted.status(429, retry_after=0.1),
            "529": scripted.overloaded,
            "500": lambda: scripted.status(500),
            "reset": scripted.reset,
            "html 200": scripted.html,
            "broken json": scripted.broken_json,
            "error event": scripted.error_event,
            "cut in tool input": lambda: scripted.truncated_in_tool("write", half),
            "max_tokens in tool input": lambda: scripted.max_tokens_in_tool("write", half),
            "duplicate tool id": lambda: scripted.duplicate_tool_id("write", half, half),
            "unknown tool": scripted.unknown_tool,
            "huge argument": lambda: scripted.huge_argument("write", size=2_000_000),
            "refusal": scripted.refusal,
            "pause": scripted.pause,
        }
        name = chance.choice(sorted(faults))
        with self._lock:
            self.faults[name] += 1
        return faults[name]()


@contextmanager
def equipped(
    place: Path, url: str, *, seats: int, jobs: Sequence[str], budget: Budget
) -> Iterator[tuple[Bench, list[Call]]]:
    """Give a bench with so many seats whose agents call this server."""
    calls: list[Call] = []
    meter = Meter(
        prices=Prices.load(),
        ceilings=Ceilings(run=budget),
        now=time.time,
        record=Listed(calls),
        warn=lambda line: print(f"  {line}"),
    )
    provider = Provider(name="anthropic", base_url=url, key="local")
    door = AnthropicDoor(provider)
    caller = Caller(
        door=door,
        meter=meter,
        limiter=Limiter(),
        provider=provider,
        rest=lambda event, seconds: event.wait(seconds / _FASTER),
    )
    files = {f"parts/{job}/part.txt": before(job) for job in jobs}
    with bench_at(place / "repo", files=files, bound=seats) as bench:
        yield replace(bench, runtimes={"sdk": Sdk(caller, {})}), calls


def work(
    place: Path,
    url: str,
    *,
    seats: int,
    count: int,
    budget: Budget | None = None,
    requests: Callable[[], int],
) -> Storm:
    """Let so many agents do a job each, so many at once."""
    jobs = [f"j{number}" for number in range(count)]
    with equipped(place, url, seats=seats, jobs=jobs, budget=budget or Budget()) as (bench, calls):
        base = base_of(bench)
        began = time.monotonic()
        with ThreadPoolExecutor(seats) as pool:
            futures = [
                pool.submit(one, bench, base, serial, job) for serial, job in enumerate(jobs)
            ]
            outcomes = tuple(future.exception() or future.result() for future in futures)
        wall = time.monotonic() - began
        return Storm(
            outcomes=outcomes,
            calls=tuple(calls),
            requests=requests(),
            wall=wall,
            torn=sum(torn(bench.git, job) for job in jobs),
        )


def one(bench: Bench, base: Oid, serial: int, job: str) -> Outcome:
    """Do one job."""
    spec = StationSpec(
        name=StationName("work"),
        kind=Kind.CODE,
        scope=Scope(write=("parts/**",)),
        agent=Agent(runtime="sdk", model=MODEL),
    )
    scope = Scope(write=(f"parts/{job}/**",))
    assignment = Assignment(
        run=RUN,
        job=JobId(job),
        station=spec.name,
        attempt=1,
        serial=serial,
        base=base,
        judged_from=base,
        scope=scope,
        brief=Brief(title="Write it anew", text=f"Write anew the file of job {job}."),
        seconds=300.0,
        idle=0.0,
        line="hash",
    )
    return Coding(spec=spec, bench=bench).work(assignment, Control())


def torn(git: Git, job: str) -> int:
    """Count the kept versions of a job's file that are neither the old nor the new one."""
    found = 0
    for ref in (job_ref(RUN, JobId(job)), salvage_ref(RUN, JobId(job))):
        commit = git.resolve(ref)
        if commit is not None:
            kept = git("cat-file", "blob", f"{commit}:parts/{job}/part.txt").out.decode()
            found += kept not in {before(job), after(job)}
    return found


def chaos(report: Report, count: int, seats: int, seed: int) -> None:
    """Let agents work against a server of which a third of all answers are faults."""
    script = Chaos(seed, 0.35)
    with scratch() as place, MessagesServer(script) as server:
        storm = work(
            place, server.url, seats=seats, count=count, requests=lambda: len(server.requests)
        )
    report.add("chaos: tasks", count)
    report.add("chaos: faults injected", sum(script.faults.values()))
    report.add("chaos: kinds of faults", len(script.faults))
    report.add("chaos: requests", storm.requests)
    report.add("chaos: ended how", storm.kinds)
    report.add("chaos: failed why", dict(Counter(map(_why, storm.outcomes))))
    report.add("chaos: tasks that did not end", sum(map(_broke, storm.outcomes)))
    report.add("chaos: partial edits", storm.torn)
    report.add("chaos: wall s", storm.wall)


def spent(report: Report, seats: int) -> None:
    """Let the provider say that its spend limit is reached, from the first answer on."""
    with scratch() as place, MessagesServer(lambda _: scripted.spend_limit()) as server:
        storm = work(
            place, server.url, seats=seats, count=seats, requests=lambda: len(server.requests)
        )
    report.add("spend limit: agents", seats)
    report.add("spend limit: requests (one each, no retry)", storm.requests)
    report.add("spend limit: ended how", storm.kinds)
    report.add("spend limit: wall s", storm.wall)


def at_once(report: Report, seats: int, reads: int) -> None:
    """Let agents work at once: first unlimited, then with a budget that is not enough."""
    AnthropicDoor(Provider(name="anthropic", base_url="http://127.0.0.1:9", key="local")).warm()
    until(lambda: "anthropic" in sys.modules and "anthropic.types" in sys.modules)
    idle = _resident()
    with scratch() as place, MessagesServer(longer(reads)) as server, watched() as sandboxes:
        storm = work(
            place, server.url, seats=seats, count=seats, requests=lambda: len(server.requests)
        )
    done = sum(isinstance(outcome, Done) for outcome in storm.outcomes)
    report.add("at once: agents", seats)
    report.add("at once: done", done)
    report.add("at once: peak memory MB (factory and server)", _peak() // 2**20)
    report.add("at once: MB before the first agent", idle // 2**20)
    report.add("at once: KB per agent", (_peak() - idle) // 1024 // seats)
    report.add("at once: peak memory MB of all sandboxes", max(sandboxes) // 2**20)
    report.add("at once: calls", len(storm.calls))
    report.add("at once: wall s", storm.wall)
    rate = len(storm.calls) / storm.wall
    report.add("at once: calls per second", rate)
    bare = alone(seats, len(storm.calls) // seats, storm)
    report.add("baseline: calls per second of the bare client", bare)
    report.add("at once: share of the baseline", round(rate / bare, 2))
    most = storm.tokens // 2
    with scratch() as place, MessagesServer(longer(reads)) as server:
        tight = work(
            place,
            server.url,
            seats=seats,
            count=seats,
            budget=Budget(tokens=most),
            requests=lambda: len(server.requests),
        )
    report.add("budget: tokens that may be spent", most)
    report.add("budget: tokens spent", tight.tokens)
    report.add("budget: overshoot", max(0, tight.tokens - most))
    report.add("budget: ended how", tight.kinds)


def alone(threads: int, calls: int, storm: Storm) -> float:
    """Give the calls per second of the client alone: no loop, no tool, no sandbox, no meter.

    Its calls are as many, from as many threads, and as large as those of the agents were.
    """
    size = sum(call.usage.total_input for call in storm.calls) // len(storm.calls)
    message = {"role": "user", "content": "word" * size}
    asked = Request(model=MODEL, max_tokens=4_000, messages=(message,))
    with MessagesServer(lambda _: scripted.text("word " * 100)) as server:
        door = AnthropicDoor(Provider(name="anthropic", base_url=server.url, key="local"))

        def ask() -> None:
            for _ in range(calls):
                door.stream(asked, stop=threading.Event())

        began = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(ask) for _ in range(threads)]:
                done.result()
        wall = time.monotonic() - began
        door.close()
    return threads * calls / wall


@contextmanager
def watched() -> Iterator[list[int]]:
    """Give, meanwhile, how many bytes all sandboxes have for themselves, once a second."""
    seen: list[int] = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            seen.append(sum(map(_own, psutil.Process().children(recursive=True))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _own(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - memory.shared)


def _why(outcome: Outcome | BaseException) -> str:
    return outcome.fault[:90] if isinstance(outcome, Failed) else "-"


def _resident() -> int:
    text = Path("/proc/self/statm").read_text()
    return int(text.split()[1]) * resource.getpagesize()


def _broke(outcome: Outcome | BaseException) -> bool:
    return isinstance(outcome, BaseException)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run all three."""
    options = arguments(__doc__ or "", tasks=60, seats=16, agents=50, reads=12, seed=20261121)
    report = Report(name="storm", machine={**machine(), "figures": STAMP})
    at_once(report, options.agents, options.reads)
    spent(report, options.seats)
    chaos(report, options.tasks, options.seats, options.seed)
    report.write()


if __name__ == "__main__":
    main()
