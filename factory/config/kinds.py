"""Kinds: what a station of each kind must have, and what it cannot use."""

from collections.abc import Iterator

from factory.config import specs
from factory.config.tables import PROGRAMS, StationTable
from factory.config.toml_places import Path
from stations.contract import Kind


def misuses(table: StationTable) -> Iterator[tuple[Path, str, str]]:
    """Say what a station's kind misses or cannot use: key, what, hint."""
    kind = specs.kind_of(table)
    run, agent, forge = table.run is not None, table.agent is not None, table.where == "forge"
    a_kind = f"a {kind} station"
    if not run and not agent and not forge:
        yield (), "does nothing", 'give it an agent, or a command: run = ["program", "word"]'
    elif run and agent:
        yield (
            ("run",),
            "stands beside an agent",
            "a program that is the agent stands in its `agent`",
        )
    elif kind is Kind.CODE and run:
        yield ("kind",), "is code, but a command does the work", "leave kind out"
    elif kind is Kind.COMMAND and agent:
        yield ("kind",), "is command, but an agent does the work", "leave kind out"
    elif kind is Kind.TEST and agent:
        yield ("agent",), "cannot test: a verdict is a command's", 'write run = ["pytest", "-q"]'
    if table.agent is not None:
        yield from _agent(table)
    if not agent and table.commands:
        yield ("commands",), "has no agent that could run them", ""
    if not agent and table.batch > 1:
        yield ("batch",), "needs an agent", ""
    if kind is Kind.TEST and table.scope is not None:
        yield ("scope",), "a test station writes nothing", "for which changes it counts says `when`"
    if (
        table.scope is not None
        and kind in specs.WRITES
        and not any(g[0] != "!" for g in table.scope)
    ):
        yield ("scope",), "allows no path", 'leave it out for everything, or begin with "**"'
    if table.at == "merge" and (kind is not Kind.COMMAND or not run):
        yield (
            ("at",),
            f"{a_kind} cannot work on the merged tree",
            "only a `run` without an agent can",
        )
    if table.when and kind is not Kind.TEST and table.at != "merge":
        yield ("when",), f"{a_kind} works on its jobs", 'only tests and at = "merge" ask when'
    if forge and kind is not Kind.TEST:
        yield ("where",), "only a test station's verdict comes from the forge", ""
    if forge and run:
        yield ("run",), "runs nothing here: its verdict comes from the forge", "name its `checks`"
    if forge and not table.checks:
        yield ("where",), "needs the forge's checks", 'write checks = ["ci / unit"]'
    if table.checks and not forge:
        yield ("checks",), "are the forge's", 'write where = "forge" beside them'


def _agent(table: StationTable) -> Iterator[tuple[Path, str, str]]:
    agent = table.agent
    if agent is None:
        return
    name = agent.runtime
    if name in PROGRAMS and agent.run is None:
        hint = f'write agent = {{ runtime = "{name}", run = {PROGRAMS[name]} }}'
        yield ("agent",), f"{name} needs its program", hint
    if name not in PROGRAMS and agent.run is not None:
        hint = 'only the runtimes "command" and "acp" run a program of yours'
        yield ("agent", "run"), f"{name} has its own program", hint
