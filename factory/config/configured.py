"""Settings as values: what a checked configuration means, its hashes, and how it is shown."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Final, Literal

from factory.config import specs
from factory.config.layers import Merged
from factory.config.sources import leaves
from factory.config.tables import ConfigFile, ForgeTable, StationTable, Table
from factory.config.toml_places import Path
from factory.events import Rules
from stations.contract import Argv, Budget, Job, Kind, StationSpec
from stations.models.prices import Price

DEFAULT: Final = "default"
"""The origin of what nobody set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What a workspace sees beside its tree; ``tools`` are absolute."""

    share: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    setup: Argv | None = None
    key: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large one job's change may be."""

    files: int
    megabytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """How landings look in the history."""

    shape: Literal["merge", "linear"]
    author: Literal["factory", "me"]
    signoff: bool
    sign: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where a model provider answers; ``key_env`` names the variable that holds its key."""

    base_url: str | None
    key_env: str | None
    ca: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Which hosts ``setup`` and agents may reach."""

    allow: tuple[str, ...]
    proxy: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the line does about its slowest station; ``wanted`` are changes per hour."""

    mode: Literal["off", "suggest", "auto"]
    wanted: float | None
    wip: int | None
    max_seats: int | None
    allow_retire: bool
    open_hours: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeApp:
    """The GitHub App to write as; its private key is in a variable or in a file."""

    id: str
    key_env: str | None
    key_file: str | None
    installation: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Where the forge answers; ``token_env`` names the variable that holds its token.

    ``pulls`` says how many pull requests a run becomes, ``after`` what becomes of them. A run's
    change of more than ``files`` files or ``lines`` changed lines becomes a stack of them.
    ``max_wait`` is how many seconds a rate limit may hold one request up.
    """

    api_url: str | None
    token_env: str | None
    app: ForgeApp | None
    remote: str
    pulls: Literal["run", "job"]
    draft: bool
    after: Literal["none", "auto-merge", "queue"]
    labels: tuple[str, ...]
    files: int
    lines: int
    max_wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told what happens; ``webhook_env`` and ``token_env`` name variables with secrets."""

    terminal: Literal["bell", "osc9", "osc777"] | None
    desktop: bool
    webhook: str | None
    webhook_env: str | None
    token_env: str | None
    run: Argv | None
    events: tuple[Literal["waits", "died", "ended", "budget", "shifted"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Something of the repository's own that needs trust: where it is written, and what."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a configuration decides.

    ``trust_hash`` covers ``trusts``: what the repository itself brings along and a person must
    allow; both are empty when it brings nothing. ``places`` maps ``station NAME`` and ``job ID``
    to where they are written, ``origins`` every key to its source.
    """

    rules: Rules
    jobs: tuple[Job, ...]
    target: str | None
    deliver: Literal["branch", "merge", "pr"]
    sandbox: Literal["auto", "bubblewrap", "docker"]
    budget: Budget
    day: Budget
    protect: tuple[str, ...]
    env: Env
    limits: Limits
    commit: Commit
    models: Mapping[str, str]
    """The ids of the models that tiers mean."""
    prices: Mapping[str, Price]
    """The user's own prices, by the id of the model."""
    providers: Mapping[str, Provider]
    network: Network
    pace: Pace
    forge: Forge
    notify: Notify
    docker_image: str | None
    docker_engine: str | None
    origins: Mapping[str, str] = field(repr=False)
    places: Mapping[str, str] = field(repr=False)
    trusts: tuple[Named, ...]
    trust_hash: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    written: str = field(default="", repr=False)
    """The factory.toml that says so, word for word; empty without one."""


def assemble(
    config: ConfigFile,
    merged: Merged,
    *,
    tables: Sequence[StationTable],
    tools: tuple[str, ...],
    warnings: tuple[str, ...],
    notes: tuple[str, ...],
) -> Settings:
    """Give the settings of tables in which no mistake was found."""
    stations = tuple(specs.station(table) for table in tables)
    budget = specs.budget(config.line.budget)
    day = specs.budget(config.line.day)
    env = Env(**{**config.env.model_dump(), "tools": tools})
    limits, commit = Limits(**config.limits.model_dump()), Commit(**config.commit.model_dump())
    trusts = tuple(_trusts(config, merged))
    origin = _origin_of_jobs(merged)
    jobs = specs.jobs(config.job, stations, source=origin)
    rules = Rules(
        stations=stations,
        seats=config.line.seats,
        slots=config.gate.slots,
        hash=_hash(
            {
                "stations": [_decides(spec) for spec in stations],
                "limits": asdict(limits),
                "protect": config.line.protect,
                "shape": commit.shape,
                "env": asdict(env),
            }
        ),
        repair=next((spec.name for spec in stations if spec.kind is Kind.CLEANUP), None),
        budget=budget,
        wip=config.pace.wip,
        open_hours=specs.open_hours(config.pace.open_hours),
    )
    return Settings(
        rules=rules,
        jobs=jobs,
        target=config.line.target,
        deliver=config.line.deliver or ("merge" if config.line.target else "branch"),
        sandbox=config.line.sandbox,
        budget=budget,
        day=day,
        protect=config.line.protect,
        env=env,
        limits=limits,
        commit=commit,
        models={tier: model.id for tier, model in config.models.items()},
        prices={
            model.id: Price.flat(
                tokens_in=model.input, tokens_out=model.output, source=f"[models] {tier}"
            )
            for tier, model in config.models.items()
            if model.input is not None and model.output is not None
        },
        providers={
            name: Provider(base_url=table.base_url, key_env=table.key_env, ca=table.ca)
            for name, table in config.provider.items()
        },
        network=Network(allow=config.network.allow, proxy=config.network.proxy),
        pace=Pace(**config.pace.model_dump()),
        forge=_forge(config.forge),
        notify=Notify(**config.notify.model_dump()),
        docker_image=config.sandbox.docker.image,
        docker_engine=config.sandbox.docker.engine,
        origins=dict(_origins(config, merged)),
        places=dict(_places(merged, tables, jobs)),
        trusts=trusts,
        trust_hash=_hash([[named.where, named.what] for named in trusts]) if trusts else "",
        warnings=warnings,
        notes=notes,
    )


def show(settings: Settings) -> dict[str, object]:
    """Give the settings as plain data for ``config show``; they hold no secret."""
    left_out = {"rules", "origins", "places", "jobs", "written"}
    plain = {key: value for key, value in asdict(settings).items() if key not in left_out}
    rules = asdict(settings.rules)
    shown: object = _plain(
        {
            "schema": "factory.config/1",
            **plain,
            "line": {key: rules[key] for key in ("seats", "slots", "hash", "repair")},
            "stations": rules["stations"],
            "jobs": [asdict(job) for job in settings.jobs],
            "origins": dict(settings.origins),
        }
    )
    return shown if isinstance(shown, dict) else {}


def _forge(table: ForgeTable) -> Forge:
    app = None if table.app is None else ForgeApp(**table.app.model_dump())
    return Forge(**{**table.model_dump(), "app": app})


def _trusts(config: ConfigFile, merged: Merged) -> Iterator[Named]:
    """Give what runs, is shown or is reached because the repository's own files say so."""
    for path, where, value in _wanted(config):
        owner = merged.owner(path)
        if owner is not None and owner.repository and value not in (None, ()):
            yield Named(where=where, what=json.dumps(_plain(value)))


def _wanted(config: ConfigFile) -> Iterator[tuple[Path, str, object]]:
    for table in config.station:
        agent = table.agent and table.agent.model_dump(exclude_none=True)
        for key, value in (
            ("run", table.run),
            ("agent", agent),
            ("commands", table.commands),
            ("checks", table.checks),  # what they are to judge is pushed in the user's name
        ):
            yield ("station",), f'station "{table.name}".{key}', value
    for identity, job in zip(specs.names(config.job), config.job, strict=True):
        yield ("job",), f'job "{identity}".accept', job.accept
    for name, provider in sorted(config.provider.items()):
        yield from _keys(("provider", name), provider, ("base_url", "key_env", "ca"))
    for tier, model in sorted(config.models.items()):
        # A price of the repository's own could make a budget in dollars last for ever.
        yield from _keys(("models", tier), model, ("input", "output"))
    yield from _keys(("env",), config.env, ("share", "tools", "setup"))
    yield from _keys(("network",), config.network, ("allow", "proxy"))
    yield from _keys(("forge",), config.forge, ("api_url", "token_env", "remote"))
    if config.forge.app is not None:
        keys = ("id", "key_env", "key_file", "installation")
        yield from _keys(("forge", "app"), config.forge.app, keys)
    reached = ("webhook", "webhook_env", "token_env", "run")
    yield from _keys(("notify",), config.notify, reached)
    yield from _keys(("sandbox", "docker"), config.sandbox.docker, ("image", "engine"))


def _keys(path: Path, table: Table, keys: tuple[str, ...]) -> Iterator[tuple[Path, str, object]]:
    values = table.model_dump()
    for key in keys:
        yield (*path, key), ".".join(map(str, (*path, key))), values[key]


def _origins(config: ConfigFile, merged: Merged) -> Iterator[tuple[str, str]]:
    free: list[Path] = [("station",), ("job",)]
    for tier, model in config.models.items():
        free += [("models", tier, key) for key in model.model_fields_set]
    for name, provider in config.provider.items():
        free += [("provider", name, key) for key in provider.model_fields_set]
    for path in [*leaves(ConfigFile), *free]:
        owner = merged.owner(path)
        yield ".".join(map(str, path)), owner.origin(path) if owner is not None else DEFAULT


def _places(
    merged: Merged, tables: Sequence[StationTable], jobs: Sequence[Job]
) -> Iterator[tuple[str, str]]:
    for kind, names in (
        ("station", [table.name for table in tables]),
        ("job", [str(job.id) for job in jobs]),
    ):
        owner = merged.owner((kind,))
        for number, name in enumerate(names):
            yield f"{kind} {name}", owner.origin((kind, number)) if owner is not None else DEFAULT


def _origin_of_jobs(merged: Merged) -> str:
    owner = merged.owner(("job",))
    return owner.file if owner is not None else DEFAULT


def _decides(spec: StationSpec) -> dict[str, object]:
    """Give what of a station can change what lands: not how many work there, nor for how much."""
    aside = {"seats", "batch", "budget"}
    return {key: value for key, value in asdict(spec).items() if key not in aside}


def _hash(value: object) -> str:
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) else value
