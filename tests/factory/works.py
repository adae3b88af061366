"""Small values of the line, for tests that need one and do not care which."""

from dataclasses import replace
from pathlib import Path

from factory import settings, site
from factory.events import Rules
from factory.settings import environment
from factory.site import Site
from stations.contract import Agent, Job, Kind, StationSpec
from worktrees.git import open_repository
from worktrees.names import JobId, StationName
from worktrees.scope import Scope


def spec(name: str, kind: Kind = Kind.CODE, **fields: object) -> StationSpec:
    """Give a station over everything."""
    agent = Agent(runtime="command", run=("true",)) if kind is Kind.CODE else None
    made = StationSpec(
        name=StationName(name),
        kind=kind,
        scope=Scope(write=("**",)),
        agent=agent,
        run=() if agent else ("true",),
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of the spec


def task(name: str, *scope: str, **fields: object) -> Job:
    """Give a job of the station `code`."""
    made = Job(
        id=JobId(name),
        title=f"Do {name}",
        brief=f"Please do {name}, as it was said.",
        scope=Scope(write=scope or (f"{name}/**",)),
        route=StationName("code"),
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of the job


def rules(*stations: StationSpec, seats: int = 4, slots: int = 2, **fields: object) -> Rules:
    """Give the rules of a line: these stations, else one that codes and one that tests."""
    line = stations or (spec("code"), spec("tests", Kind.TEST))
    made = Rules(stations=line, seats=seats, slots=slots, hash="h")
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of the rules


def site_at(checkout: Path, *, config: str = "", **environ: str) -> Site:
    """Give the site of a checkout under this configuration, with a home beside it."""
    if config:
        (checkout / "factory.toml").write_text(f"version = 1\n{config}")
    home = checkout.parent / "home"
    home.mkdir(exist_ok=True)
    env = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", **environ}
    loaded = settings.load(checkout, flags={}, tracked=None, environ=env)
    repository = open_repository(checkout, user={"HOME": str(home)})
    return site.at(repository, loaded, environment(env))
