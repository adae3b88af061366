"""The tables of factory.toml: every key, its type and its one default."""

import shlex
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from factory.config.accepts import (
    BranchName,
    Command,
    Count,
    Dollars,
    Duration,
    Glob,
    Host,
    Identifier,
    Inner,
    Minutes,
    Outer,
    Rate,
    Text,
    Timeout,
    Tokens,
    Url,
    Variable,
)
from stations.contract import Kind


def _agent(given: object) -> object:
    if not isinstance(given, str):
        return given
    runtime, _, tier = given.partition(":")
    if runtime == "command" and tier:
        return {"runtime": runtime, "run": shlex.split(tier)}
    return {"runtime": runtime, "model": tier} if tier else {"runtime": runtime}


class Table(BaseModel):
    """What all tables share: no unknown key, checked defaults, never changed."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)


class BudgetTable(Table):
    """What may be spent; a key left out sets no limit of its kind. Minutes become seconds."""

    usd: Dollars | None = None
    tokens: Tokens | None = None
    minutes: Minutes | None = None


class JobBudgetTable(BudgetTable):
    """What one job may spend."""

    attempts: Count | None = None


class LineTable(Table):
    """The line: where work lands, how much at once, what it may cost."""

    target: BranchName | None = None
    deliver: Literal["branch", "merge", "pr"] | None = None
    seats: Count = 8
    budget: BudgetTable = BudgetTable()
    sandbox: Literal["auto", "bubblewrap", "docker"] = "auto"
    protect: tuple[Glob, ...] = ()


class GateTable(Table):
    """The gate: how many trees are tested at once."""

    slots: Count = 2


class EnvTable(Table):
    """What a workspace sees beside its tree."""

    share: tuple[Inner, ...] = ()
    tools: tuple[Outer, ...] = ()
    setup: Command | None = None
    key: tuple[Glob, ...] = ()
    scratch: tuple[Inner, ...] = ()


class LimitsTable(Table):
    """How large one job's change may be."""

    files: Annotated[StrictInt, Field(ge=1)] = 2000
    megabytes: Annotated[StrictInt, Field(ge=1)] = 20


class CommitTable(Table):
    """How landings look in the history."""

    shape: Literal["merge", "linear"] = "merge"
    author: Literal["factory", "me"] = "factory"
    signoff: StrictBool = False
    sign: StrictBool = False


class AgentTable(Table):
    """Who works a station: a runtime and its tier or model, or a program."""

    runtime: Literal["sdk", "claude-code", "codex", "acp", "command"]
    run: Command | None = None
    model: str = ""


class StationTable(Table):
    """One station."""

    name: Identifier
    kind: Kind | None = None
    scope: tuple[Glob, ...] | None = None
    agent: (
        Annotated[AgentTable, BeforeValidator(_agent, json_schema_input_type=str | AgentTable)]
        | None
    ) = None
    run: Command | None = None
    commands: tuple[Command, ...] = ()
    seats: Annotated[StrictInt, Field(ge=0, le=10_000)] = 0
    timeout: Timeout = 1200.0
    idle: Duration = 0.0
    attempts: Count = 3
    rounds: Annotated[StrictInt, Field(ge=0, le=100)] = 2
    required: StrictBool = True
    when: tuple[Glob, ...] = ()
    at: Literal["merge"] | None = None
    symlinks: StrictBool = False
    on: dict[Literal["failed", "strayed", "escalated", "unchanged", "red", "conflict"], str] = {}
    where: Literal["here", "forge"] = "here"
    checks: tuple[Text, ...] = ()
    batch: Count = 1


class JobTable(Table):
    """One job: what shall change, and where."""

    id: Identifier | None = None
    title: Text | None = None
    brief: str = ""
    scope: tuple[Glob, ...] | None = None
    station: str | None = None
    needs: tuple[str, ...] = ()
    accept: tuple[Command, ...] = ()
    budget: JobBudgetTable = JobBudgetTable()


class ProviderTable(Table):
    """Where a model provider answers, and the variable that holds its key."""

    base_url: Url | None = None
    key_env: Variable | None = None


class NetworkTable(Table):
    """Which hosts `setup` and agents may reach, through the host's proxy."""

    allow: tuple[Host, ...] = ()
    proxy: Url | None = None


class PaceTable(Table):
    """What the line does about its slowest station."""

    mode: Literal["off", "suggest", "auto"] = "suggest"
    wanted: Rate | None = None
    wip: Count | None = None
    max_seats: Count | None = None
    allow_retire: StrictBool = False
    open_hours: (
        Annotated[str, Field(pattern=r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$")] | None
    ) = None


class ForgeTable(Table):
    """Where the forge answers, and the variable that holds its token."""

    api_url: Url | None = None
    token_env: Variable | None = None


class DockerTable(Table):
    """The docker sandbox."""

    image: Text | None = None


class SandboxTable(Table):
    """The sandboxes' own settings."""

    docker: DockerTable = DockerTable()


class JobsFile(Table):
    """A jobs file: the same job tables, alone."""

    version: Literal[1] = 1
    job: tuple[JobTable, ...] = ()


class ConfigFile(Table):
    """A whole factory.toml."""

    version: Literal[1] = 1
    line: LineTable = LineTable()
    gate: GateTable = GateTable()
    env: EnvTable = EnvTable()
    limits: LimitsTable = LimitsTable()
    commit: CommitTable = CommitTable()
    station: tuple[StationTable, ...] = ()
    job: tuple[JobTable, ...] = ()
    models: dict[Identifier, Text] = {}
    provider: dict[Identifier, ProviderTable] = {}
    network: NetworkTable = NetworkTable()
    pace: PaceTable = PaceTable()
    forge: ForgeTable = ForgeTable()
    sandbox: SandboxTable = SandboxTable()
