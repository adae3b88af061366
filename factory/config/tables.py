"""The tables of factory.toml: every key, its type and its one default."""

import shlex
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from factory.config.accepts import (
    BranchName,
    Command,
    Count,
    Dollars,
    Duration,
    Glob,
    Hook,
    Host,
    Hours,
    Identifier,
    Inner,
    Minutes,
    Outer,
    Price,
    Rate,
    Text,
    Timeout,
    Tokens,
    Url,
    Variable,
)
from stations.contract import Kind

PROGRAMS: Final[Mapping[str, str]] = {
    "command": '["sh", "agent.sh"]',
    "acp": '["claude-agent-acp"]',
}
"""The runtimes whose agent is a program that one must name, each with an example of it."""


def _agent(given: object) -> object:
    if not isinstance(given, str):
        return given
    runtime, _, tier = given.partition(":")
    if runtime in PROGRAMS and tier:
        return {"runtime": runtime, "run": shlex.split(tier)}
    return {"runtime": runtime, "model": tier} if tier else {"runtime": runtime}


def _model(given: object) -> object:
    return {"id": given} if isinstance(given, str) else given


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


class DayTable(BudgetTable):
    """What all runs of this repository may spend in one day, by UTC; minutes are those of calls."""


class LineTable(Table):
    """The line: where work lands, how much at once, what it may cost."""

    target: BranchName | None = None
    deliver: Literal["branch", "merge", "pr"] | None = None
    seats: Count = 8
    budget: BudgetTable = BudgetTable()
    day: DayTable = DayTable()
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
    budget: BudgetTable = BudgetTable()


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


class ModelTable(Table):
    """A model of one's own: its id, and dollars for a million tokens where that is known."""

    id: Text
    input: Price | None = None
    output: Price | None = None

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if (self.input is None) is not (self.output is None):
            raise ValueError("has half a price; write both input and output, or neither")
        return self


class ProviderTable(Table):
    """Where a model provider answers, the variable that holds its key, a company's own CA."""

    base_url: Url | None = None
    key_env: Variable | None = None
    ca: Outer | None = None


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
    open_hours: Hours | None = None


class AppTable(Table):
    """The GitHub App that the factory writes as: its id, and where its private key is."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    key_env: Variable | None = None
    key_file: Outer | None = None
    installation: Annotated[StrictInt, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if (self.key_env is None) is (self.key_file is None):
            raise ValueError("needs its private key; write either key_env or key_file")
        return self


class ForgeTable(Table):
    """The forge: where it answers, as whom we write there, and how changes are proposed."""

    api_url: Url | None = None
    token_env: Variable | None = None
    app: AppTable | None = None
    remote: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$")] = "origin"
    pulls: Literal["run", "job"] = "run"
    draft: StrictBool = True
    after: Literal["none", "auto-merge", "queue"] = "none"
    labels: tuple[Text, ...] = ()
    files: Annotated[StrictInt, Field(ge=1)] = 50
    lines: Annotated[StrictInt, Field(ge=1)] = 800
    max_wait: Duration = 600.0


class NotifyTable(Table):
    """Who is told what happens in a run; every key left out tells nobody."""

    terminal: Literal["bell", "osc9", "osc777"] | None = None
    desktop: StrictBool = False
    webhook: Hook | None = None
    webhook_env: Variable | None = None
    token_env: Variable | None = None
    run: Command | None = None
    events: tuple[Literal["waits", "died", "ended", "budget", "shifted"], ...] = (
        *("waits", "died", "ended", "budget", "shifted"),
    )

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        hooks = (self.webhook is not None) + (self.webhook_env is not None)
        if hooks > 1:
            raise ValueError("has two addresses; write either webhook or webhook_env")
        if self.token_env is not None and not hooks:
            raise ValueError("has a token for no webhook; write webhook, or leave token_env out")
        return self


class DockerTable(Table):
    """The docker sandbox: an image of the user's own, and the engine's address."""

    image: Text | None = None
    engine: Annotated[str, Field(pattern=r"^unix:///.+$")] | None = None


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
    models: dict[
        Identifier,
        Annotated[ModelTable, BeforeValidator(_model, json_schema_input_type=str | ModelTable)],
    ] = {}
    provider: dict[Identifier, ProviderTable] = {}
    network: NetworkTable = NetworkTable()
    pace: PaceTable = PaceTable()
    forge: ForgeTable = ForgeTable()
    notify: NotifyTable = NotifyTable()
    sandbox: SandboxTable = SandboxTable()
