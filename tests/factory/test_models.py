"""Models of a site: what is refused by name before anything starts, and what work may cost."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from factory import forecast, models, site
from factory.calls import DAY
from factory.complaint import Complaint
from factory.models import Models
from factory.settings import Settings
from stations.contract import Budget
from stations.models.prices import Prices
from stations.models.values import ModelError, Payer, Usage
from tests.factory.loading import Load
from tests.factory.works import site_at, task
from tests.scripted.messages import MessagesServer
from worktrees.names import JobId, RunId, StationName

CODE = '[[station]]\nname = "code"\nagent = "sdk:medium"\n'
LOCAL = '[provider.anthropic]\nbase_url = "http://127.0.0.1:9"\n'
NOON = 1_800_000_000 // DAY * DAY + DAY / 2
PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that loads settings from texts."""
    return Load(tmp_path)


def refused(settings: Settings, **job: object) -> Complaint:
    """Give the complaint about the first station."""
    with pytest.raises(Complaint) as caught:
        models.check(settings, settings.rules.stations[0], [task("a", **job)], path=PATH)
    return caught.value


@pytest.mark.parametrize(
    ("line", "job", "whose"),
    [
        ("[line]\nbudget = { usd = 5 }\n", {}, "the run's budget"),
        ("[line]\nday = { usd = 5 }\n", {}, "the day's budget"),
        ("", {"budget": Budget(dollars=Decimal(1))}, "the budget of job a"),
    ],
)
def test_dollars_need_a_price(load: Load, line: str, job: dict[str, object], whose: str) -> None:
    """An unknown model is refused by name beside a budget in dollars; tokens or a price help."""
    own = '[models]\nmedium = "mine-1"\n'

    error = refused(load(f"{line}{CODE}{LOCAL}{own}"), **job)

    assert error.code == 2
    assert "station code: the model mine-1 has no price" in error.what
    assert whose in error.what
    priced = '[models]\nmedium = { id = "mine-1", input = 1, output = 2 }\n'
    for text in (f"{line}{CODE}{LOCAL}{priced}", f"{CODE}{LOCAL}{own}"):
        found = load(text)
        jobs = [task("a", **job)] if "price" in text or not job else []
        models.check(found, found.rules.stations[0], jobs, path=PATH)


def test_a_station_s_budget_in_dollars_counts_too(load: Load) -> None:
    """It is named as such."""
    station = CODE + "budget = { usd = 1 }\n"

    error = refused(load(f'{station}{LOCAL}[models]\nlarge = "mine-1"\n'))

    assert "the budget of station code" in error.what


@pytest.mark.parametrize(
    ("agent", "variable"),
    [('"sdk:large"', "TEAM_KEY"), ('"codex"', "OPENAI_API_KEY"), ('"claude-code"', "TEAM_KEY")],
)
def test_a_missing_key_is_named_with_every_remedy(load: Load, agent: str, variable: str) -> None:
    """The station, its runtime, the variable and three ways out."""
    error = refused(
        load(
            f'[[station]]\nname = "code"\nagent = {agent}\n'
            '[provider.anthropic]\nkey_env = "TEAM_KEY"\n'
        )
    )

    assert error.code == 7
    assert variable in error.what
    assert "station code" in error.what
    for words in (f"export {variable}", "key_env", 'runtime = "command"'):
        assert words in error.hint


def test_a_program_that_is_not_installed_is_named_with_its_fix(load: Load, tmp_path: Path) -> None:
    """What the runtime's own probe says is what a person reads."""
    found = load(f'[[station]]\nname = "code"\nagent = "claude-code"\n{LOCAL}')

    with pytest.raises(Complaint) as caught:
        models.check(found, found.rules.stations[0], [], path=str(tmp_path))

    assert caught.value.code == 7
    assert "station code needs claude-code" in caught.value.what
    assert "npm install" in caught.value.hint


def test_tiers_are_those_of_the_runtime(load: Load) -> None:
    """Codex has tiers of its own vendor; a protocol's agent has a model of its own."""
    found = load(
        "".join(
            f'[[station]]\nname = "{name}"\nagent = {agent}\n'
            for name, agent in (
                ("a", '"sdk:small"'),
                ("b", '"codex:large"'),
                ("c", '{ runtime = "acp", run = ["x"] }'),
            )
        )
        + '[models]\nmedium = "m"\n'
    )

    ids = [models.model_ids(found, spec) for spec in found.rules.stations]

    assert ids == [("claude-haiku-5-5", "m", "claude-opus-5-5"), ("gpt-5.6-sol",), ()]


def spend(shared: Models, tokens: int, *, run: str) -> None:
    """Make a call of so many tokens."""
    payer = Payer(run=RunId(run), job=JobId("a"), station=StationName("code"), attempt=1)
    provider = shared.caller().provider
    with shared.meter.reserve(
        payer, provider, "claude-haiku-5-5", tokens_in=tokens, tokens_out=0
    ) as held:
        held.begin()
        held.settle(Usage(input=tokens), seconds=1.0)


def test_a_day_s_budget_counts_over_runs_and_warns_once(load: Load, tmp_path: Path) -> None:
    """What one run spent is missing in the next one of the same UTC day, and there again."""
    found = load(f"[line]\nday = {{ tokens = 1000 }}\n{CODE}{LOCAL}")
    told: list[str] = []

    def at(run: str, now: float) -> Models:
        return Models(
            found, tmp_path / "ledger", RunId(run), path=PATH, now=lambda: now, warn=told.append
        )

    with at("r1", NOON) as first:
        spend(first, 900, run="r1")
    with at("r2", NOON + 60) as second:
        with pytest.raises(ModelError, match=r"budget of this day \(UTC\)") as caught:
            spend(second, 101, run="r2")
        assert caught.value.account == "day"
        spend(second, 50, run="r2")
    with at("r3", NOON + DAY) as third:
        spend(third, 400, run="r3")

    assert told == ["90 % of the budget of this day (UTC) is spent: 900 of 1,000 tokens"]


def test_an_idle_factory_makes_no_call(load: Load, tmp_path: Path) -> None:
    """To check a station, to probe its runtime and to load the clients ahead sends nothing."""
    with MessagesServer([]) as server:
        found = load(f'{CODE}[provider.anthropic]\nbase_url = "{server.url}"\n')
        stations = found.rules.stations
        models.check(found, stations[0], [task("a")], path=PATH)
        with Models(
            found, tmp_path / "ledger", RunId("r1"), path=PATH, now=lambda: NOON, warn=print
        ) as shared:
            shared.runtimes(stations)
            shared.warm()
            for thread in threading.enumerate():
                if thread.name == "warm":
                    thread.join(30)

        assert server.seen == []


def test_a_run_that_goes_on_has_its_minutes_again(load: Load, tmp_path: Path) -> None:
    """They are of one sitting: no call begins after them, and a resume has as many."""
    found = load(f"[line]\nbudget = {{ minutes = 5 }}\n{CODE}{LOCAL}")
    now = [NOON]

    def begun() -> Models:
        return Models(
            found, tmp_path / "ledger", RunId("r1"), path=PATH, now=lambda: now[0], warn=print
        )

    with begun() as first:
        spend(first, 1, run="r1")
        now[0] += 301
        with pytest.raises(ModelError, match="the 5 minutes of this run are up") as caught:
            spend(first, 1, run="r1")
    with begun() as second:
        spend(second, 1, run="r1")

    assert (caught.value.cause, caught.value.account) == ("budget", "run")


def test_a_call_that_a_kill_cut_is_charged_and_told_once(load: Load, tmp_path: Path) -> None:
    """Whoever takes the run up hears what it may have cost, and cannot spend it again."""
    found = load(f"[line]\nbudget = {{ tokens = 1000 }}\n{CODE}{LOCAL}")
    told: list[str] = []

    def begun() -> Models:
        return Models(
            found, tmp_path / "ledger", RunId("r1"), path=PATH, now=lambda: NOON, warn=told.append
        )

    with begun() as cut:
        payer = Payer(run=RunId("r1"), job=JobId("a"), station=StationName("code"), attempt=1)
        cut.meter.reserve(
            payer, cut.caller().provider, "claude-haiku-5-5", tokens_in=200, tokens_out=100
        ).begin()
    with begun() as second:
        assert second.meter.left(payer).tokens == 700
    with begun():
        pass

    (line,) = told
    assert line.startswith("1 call under way when the factory was killed may have been answered")
    assert line.endswith("charged in full (300 tokens, 0.0001 dollars, synthetic)")


def test_keys_that_calls_are_made_with_are_known_to_be_hidden(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those of providers that a station asks; a placeholder is no secret."""
    monkeypatch.setenv("TEAM_KEY", "sesame-open-sesame")
    found = load(f'{CODE}[provider.anthropic]\nkey_env = "TEAM_KEY"\n')
    local = load(f"{CODE}{LOCAL}")

    assert models.secrets(found, found.rules.stations) == ("sesame-open-sesame",)
    assert models.secrets(found, ()) == ()
    assert models.secrets(local, local.rules.stations) == ()


def test_a_forecast_is_the_formula_at_list_price(checkout: Path) -> None:
    """Context, tokens and dollars from low to high, for each job that a model would work."""
    where = site_at(checkout, config=CODE)
    base = where.repository.git.resolve("HEAD")
    assert base is not None
    price = Prices.load().of("claude-sonnet-5-5")
    assert price is not None

    found = forecast.forecasts(where, [task("a", "src/api/**")], base)[task("a").id]

    assert (found.runtime, found.tier, found.model) == ("sdk", "medium", "claude-sonnet-5-5")
    assert 0 < found.context <= 1_200
    assert found.context < found.whole
    calls = forecast.taken(forecast.LOW, found.context)
    assert found.dollars is not None
    assert found.dollars[0] == sum(map(price.cost, calls), Decimal(0))
    assert found.dollars[0] < found.dollars[1]
    assert sum(call.cache_write_5m for call in calls) == found.context + 3 * 800


def test_only_stations_that_are_reached_are_asked_for(checkout: Path) -> None:
    """A model station that no job comes to needs no key."""
    where = site_at(
        checkout, config=f'{CODE}[[station]]\nname = "dumb"\nrun = ["true"]\nscope = ["src/**"]\n'
    )
    job = task("a", "src/**", route="dumb")

    site.check_stations(where, [job])

    with pytest.raises(Complaint, match="ANTHROPIC_API_KEY"):
        site.check_stations(where, [task("b")])
