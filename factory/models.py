"""The models of a site: who provides them, what they may cost, and the runtimes that ask them.

Nothing heavy is loaded and nothing is sent before the first station asks; `warm` loads ahead.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Final, Self

from factory import settings as configuration
from factory.calls import Calls, tally
from factory.complaint import Complaint
from factory.config.configured import Settings
from factory.wording import count
from stations.contract import Budget, Job, StationSpec
from stations.models import tiers
from stations.models.anthropic_door import AnthropicDoor
from stations.models.caller import Caller
from stations.models.dialects import Dialect
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Call, Provider
from stations.runtimes.command import Command
from stations.runtimes.task import Probe, Runtime
from worktrees.names import RunId

PROVIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sdk": ("anthropic",),
    "claude-code": ("anthropic",),
    "codex": ("openai",),
    "acp": ("anthropic", "openai"),
}
"""The providers that each runtime may ask; one with a key is enough."""
DIALECTS: Final[Mapping[str, Dialect]] = {"anthropic": "messages", "openai": "responses"}
OWN: Final = 'agent = { runtime = "command", run = ["sh", "agent.sh"] }'
"""How a station gets a program of one's own as its agent."""


class Models:
    """What all model stations of one run share; a context manager."""

    def __init__(
        self,
        settings: Settings,
        ledger: Path,
        run: RunId,
        *,
        path: str,
        now: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._stack = ExitStack()
        self._settings = settings
        self._path = path
        self.calls = calls = self._stack.enter_context(Calls(ledger))
        lost = calls.lost(run)
        self.prices = Prices.load(settings.prices)
        self.meter = Meter(
            prices=self.prices,
            ceilings=ceilings(settings, now()),
            spent=calls.counted(run),
            now=now,
            record=calls,
            warn=warn,
            elsewhere=lambda at: calls.elsewhere(run, at),
        )
        if lost:
            warn(_lost(lost))
        self.limiter = Limiter()
        self._callers: dict[str, Caller] = {}
        self._doors: list[AnthropicDoor] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for door in self._doors:
            door.close()
        self._stack.close()

    def caller(self, name: str = "anthropic") -> Caller:
        """Give the one caller of a provider; complain when nobody knows where it answers."""
        if name not in self._callers:
            provider = provider_of(self._settings, name)
            door = AnthropicDoor(provider)
            self._doors.append(door)
            self._callers[name] = Caller(
                door=door, meter=self.meter, limiter=self.limiter, provider=provider
            )
        return self._callers[name]

    def runtimes(self, stations: Sequence[StationSpec]) -> dict[str, Runtime]:
        """Give the runtimes that these stations are worked by, and the one of any program."""
        made: dict[str, Runtime] = {"command": Command()}
        for name in sorted({named(spec) for spec in stations} - {"command"}):
            made[name] = self._runtime(name)
        return made

    def _runtime(self, name: str) -> Runtime:
        if name == "sdk":
            return _loop(self.caller(), self._settings)
        return _program(
            name, self._settings, meter=self.meter, limiter=self.limiter, path=self._path
        )

    def warm(self) -> None:
        """Load the clients in a thread of its own, while trees are grown."""
        for door in self._doors:
            threading.Thread(target=door.warm, name="warm", daemon=True).start()


def named(spec: StationSpec) -> str:
    """Give the name of the runtime that works a station."""
    return spec.agent.runtime if spec.agent is not None else "command"


def wanted(stations: Sequence[StationSpec]) -> bool:
    """Say whether any of these stations asks a model."""
    return any(named(spec) != "command" for spec in stations)


def secrets(settings: Settings, stations: Sequence[StationSpec]) -> tuple[str, ...]:
    """Give the keys that these stations' calls are made with: what must stand in nothing kept."""
    found = [configuration.provider(settings, name) for name in sorted(providers_of(stations))]
    return tuple(
        provider.key
        for provider in found
        if provider is not None and provider.key and provider.key != configuration.NO_KEY
    )


def providers_of(stations: Sequence[StationSpec]) -> frozenset[str]:
    """Name the providers that these stations ask."""
    return frozenset(name for spec in stations for name in PROVIDERS.get(named(spec), ()))


def ceilings(settings: Settings, now: float) -> Ceilings:
    """Give what may be spent in a run that begins or goes on now, in a day and at each station."""
    seconds = settings.budget.seconds
    return Ceilings(
        until=None if seconds is None else now + seconds,
        run=settings.budget,
        day=settings.day,
        stations={
            spec.name: spec.budget for spec in settings.rules.stations if spec.budget != Budget()
        },
    )


def provider_of(settings: Settings, name: str) -> Provider:
    """Give a provider; complain when nobody knows where it answers."""
    found = configuration.provider(settings, name)
    if found is None:
        raise Complaint(
            f"nobody knows where the provider {name} answers",
            hint=f'write [provider.{name}] base_url = "https://..." and key_env = "..."',
            code=2,
        )
    return found


def model_ids(settings: Settings, spec: StationSpec) -> tuple[str, ...]:
    """Give the ids of all models that a station may come to ask, its own tier's first."""
    model = spec.agent.model if spec.agent is not None else ""
    if not model and named(spec) == "acp":
        return ()  # the agent has one of its own
    known = settings.models
    if named(spec) == "codex":
        from stations.runtimes import codex

        own = {tier: name for tier, name in known.items() if not name.startswith("claude-")}
        known = {**codex.TIERS, **own}
    ids = (tiers.resolve(model, raised, known) for raised in range(len(tiers.LADDER)))
    return tuple(dict.fromkeys(ids))


def check(settings: Settings, spec: StationSpec, jobs: Sequence[Job], *, path: str) -> None:
    """Complain, before anything starts, when a model station cannot work here."""
    name = named(spec)
    if name not in PROVIDERS:
        raise Complaint(
            f"station {spec.name}: there is no runtime {name} here",
            hint=f"known: {', '.join(sorted(PROVIDERS))}; or give it a program: {OWN}",
            code=7,
        )
    providers = [provider_of(settings, provider) for provider in PROVIDERS[name]]
    if not any(provider.key for provider in providers):
        check_key(
            providers[0],
            settings,
            who=f"station {spec.name} is worked by {name}, which",
            otherwise=f', or take another agent: {OWN}, or --agent "command:sh agent.sh" where no'
            " station is configured",
        )
    found = probe(settings, name, path=path)
    if not found.ok:
        raise Complaint(
            f"station {spec.name} needs {name}, which cannot work here: {found.detail}",
            hint=found.fix or "factory doctor",
            code=7,
        )
    check_prices(
        settings,
        model_ids(settings, spec),
        who=f"station {spec.name}",
        more=_charged(spec, jobs),
    )


def check_key(provider: Provider, settings: Settings, *, who: str, otherwise: str = "") -> None:
    """Complain, by the name of its variable, when there is no key for a provider."""
    if not provider.key:
        variable = configuration.key_variable(settings, provider.name)
        raise Complaint(
            f"{who} needs a key of {provider.name}, and {variable or 'no variable'} holds none",
            hint=f"export {variable or 'VARIABLE'}=... (your key), or name another variable:"
            f' [provider.{provider.name}] key_env = "MY_KEY"{otherwise}',
            code=7,
        )


def probe(settings: Settings, name: str, *, path: str) -> Probe:
    """Say whether a runtime can work here; no call is made for it."""
    meter = Meter(
        prices=Prices.load(settings.prices),
        ceilings=Ceilings(),
        now=lambda: 0.0,
        record=_Unused(),
        warn=lambda _line: None,
    )
    if name != "sdk":
        return _program(name, settings, meter=meter, limiter=Limiter(), path=path).probe()
    provider = provider_of(settings, "anthropic")
    caller = Caller(door=AnthropicDoor(provider), meter=meter, limiter=Limiter(), provider=provider)
    return _loop(caller, settings).probe()


class _Unused:
    """A record that no call is written to."""

    def hold(self, most: Call) -> int:
        raise AssertionError(f"a probe makes a call to {most.model}")

    def settle(self, call: Call, held: int | None) -> None:
        raise AssertionError(f"a probe made the call {held} to {call.model}")

    def drop(self, held: int) -> None:
        raise AssertionError(f"a probe gives up the call {held}")


def _lost(calls: Sequence[Call]) -> str:
    """Say what it costs that a process was killed in the middle of calls."""
    whole = tally(calls)
    spend = whole.spend
    dollars = "" if spend.dollars is None else f", {spend.dollars:.4f} dollars"
    made = count(len(calls), "call")
    return (
        f"{made} under way when the factory was killed may have been answered: charged in full"
        f" ({spend.tokens_in + spend.tokens_out:,} tokens{dollars}, {whole.basis})"
    )


# A line of command agents alone loads none of the other runtimes.


def _loop(caller: Caller, settings: Settings) -> Runtime:
    """Give the runtime of our own loop."""
    from stations.runtimes.sdk import Sdk

    return Sdk(caller, settings.models)


def _program(
    name: str, settings: Settings, *, meter: Meter, limiter: Limiter, path: str
) -> Runtime:
    """Give the runtime of an agent that is a program with a client of its own."""
    providers = [provider_of(settings, provider) for provider in PROVIDERS[name]]
    match name:
        case "claude-code":
            from stations.runtimes.claude_code import ClaudeCode

            return ClaudeCode(
                provider=providers[0],
                meter=meter,
                limiter=limiter,
                models=settings.models,
                path=path,
            )
        case "codex":
            from stations.runtimes.codex import Codex

            return Codex(
                provider=providers[0],
                meter=meter,
                limiter=limiter,
                models=settings.models,
                path=path,
            )
        case "acp":
            from stations.runtimes.acp import Acp
            from stations.runtimes.connected import Gateway

            gateway = Gateway(
                providers={DIALECTS[one.name]: one for one in providers if one.key},
                meter=meter,
                limiter=limiter,
                models=settings.models,
            )
            return Acp(link=gateway.acp)
        case _:
            raise LookupError(f"there is no runtime {name}")


def check_prices(
    settings: Settings, ids: Sequence[str], *, who: str, more: Iterable[str] = ()
) -> None:
    """Complain when a budget in dollars cannot be kept because a model has no price.

    ``more`` names budgets in dollars beside those of the run and the day.
    """
    prices = Prices.load(settings.prices)
    unpriced = next((model for model in ids if prices.of(model) is None), None)
    limited = next(chain(_in_dollars(settings), more), None)
    if unpriced is not None and limited is not None:
        raise Complaint(
            f"{who}: the model {unpriced} has no price, so {limited} cannot be kept in dollars",
            hint="give that budget in tokens instead, or the price: [models] NAME ="
            f' {{ id = "{unpriced}", input = 1.0, output = 5.0 }} (USD for a million tokens)',
            code=2,
        )


def _in_dollars(settings: Settings) -> Iterator[str]:
    if settings.budget.dollars is not None:
        yield "the run's budget ([line] budget, --budget)"
    if settings.day.dollars is not None:
        yield "the day's budget ([line] day)"


def _charged(spec: StationSpec, jobs: Sequence[Job]) -> Iterator[str]:
    if spec.budget.dollars is not None:
        yield f"the budget of station {spec.name}"
    yield from (f"the budget of job {job.id}" for job in jobs if job.budget.dollars is not None)
