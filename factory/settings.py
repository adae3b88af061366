"""Settings: factory.toml, environment and flags become one frozen value; all mistakes at once.

This module is the only reader of the environment. Precedence: flag > ``FACTORY_*`` > factory.toml
> ``[tool.factory]`` of pyproject.toml > the user's file > default. A variable's name is the path of
its key in capitals: ``FACTORY_LINE_SEATS``, ``FACTORY_LINE_BUDGET_USD``, ``FACTORY_COMMIT_SHAPE``
(``sources.variables`` states the rule). Stations and jobs stand in files only.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs

from factory import onboard
from factory.complaint import Complaint
from factory.config import layers, mistakes, references, sources, specs
from factory.config.configured import Commit, Env, ForgeApp, Limits, Settings, assemble, show
from factory.config.layers import Source
from factory.config.mistakes import ConfigError, ConfigErrors, Fault
from factory.config.tables import ConfigFile, JobsFile, JobTable, StationTable
from factory.forge.access import Access
from factory.forge.app import App
from stations.contract import Job, Kind
from stations.models.values import Provider

__all__ = [
    "Commit",
    "ConfigError",
    "ConfigErrors",
    "Env",
    "Environment",
    "Limits",
    "Secret",
    "Settings",
    "Way",
    "environment",
    "forge_access",
    "job_from_text",
    "jobs_file",
    "key_variable",
    "load",
    "provider",
    "schema",
    "secret",
    "show",
    "variables",
    "way_to",
    "workflow_access",
]

APP: Final = "coding-agent-factory"
_TOKENS: Final = ("GITHUB_TOKEN", "GH_TOKEN")
_WORKFLOW_WAIT: Final = 120.0
"""Seconds that a job of a workflow waits for a limit: its own time has a bound too."""
_SETUP: Final = 7
"""The exit code of what must be set up first."""
_DEFAULT_AGENT: Final = "sdk:medium"
PUBLIC: Final[Mapping[str, tuple[str, str]]] = {
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "openai": ("https://api.openai.com", "OPENAI_API_KEY"),
}
"""Where the known providers answer, and the variable that holds their key, when nobody says."""
NO_KEY: Final = "local"
"""What a server on this machine that wants no key is given."""
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy")
_DIRECT: Final = ("NO_PROXY", "no_proxy")
_ASIDE: Final = frozenset({(key,) for key in StationTable.model_fields}) - {
    (key,) for key in ("name", "kind", "scope", "agent", "run", "where", "at")
}
"""Keys of a station that say nothing about which jobs it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What this process's environment says, as values; no secret is among them."""

    path: str
    home: Path
    config_dir: Path
    state_dir: Path
    failpoint: str
    ci: bool
    color: bool | None
    """True when forced, False when refused, None when the terminal decides."""
    animate: bool
    """Whether a terminal may be animated; that there is one is the caller's to see."""
    columns: int | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Secret:
    """A secret for the one door that needs it; it never shows itself."""

    value: str

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override is 3.12
        """Give three stars."""
        return "***"


def environment(environ: Mapping[str, str] | None = None) -> Environment:
    """Give the typed values of an environment: this process's, or the one that is given."""
    env = os.environ if environ is None else environ
    dumb = env.get("TERM") == "dumb"
    ci = env.get("CI", "").lower() not in {"", "0", "false"}
    color = None
    if env.get("FORCE_COLOR", "") not in {"", "0"}:
        color = True
    elif env.get("NO_COLOR") or dumb:
        color = False
    columns = env.get("COLUMNS", "")
    given_home = env.get("HOME", "")
    home = Path(given_home) if given_home.startswith("/") else Path.home()
    own = environ is None
    config = platformdirs.user_config_path(APP) if own else _xdg(env, "CONFIG", home / ".config")
    state = platformdirs.user_state_path(APP) if own else _xdg(env, "STATE", home / ".local/state")
    return Environment(
        path=env.get("PATH") or os.defpath,
        home=home,
        config_dir=config,
        state_dir=state,
        failpoint=env.get("FACTORY_FAILPOINT", ""),
        ci=ci,
        color=color,
        animate=not (ci or dumb),
        columns=int(columns) if columns.isdecimal() and int(columns) > 0 else None,
    )


def _xdg(env: Mapping[str, str], kind: str, default: Path) -> Path:
    given = env.get(f"XDG_{kind}_HOME", "")
    return (Path(given) if given.startswith("/") else default) / APP


def secret(name: str, environ: Mapping[str, str] | None = None) -> Secret | None:
    """Give the secret that this variable holds; None when it is unset or empty."""
    value = (os.environ if environ is None else environ).get(name)
    return Secret(value=value) if value else None


def key_variable(settings: Settings, name: str) -> str:
    """Give the name of the variable that holds a provider's key; empty when none is named."""
    table = settings.providers.get(name)
    own = table.key_env if table is not None else None
    return own or PUBLIC.get(name, ("", ""))[1]


def provider(
    settings: Settings, name: str, environ: Mapping[str, str] | None = None
) -> Provider | None:
    """Give a provider with its key, as configuration and environment say; None when unknown.

    Without ``[network] proxy`` the environment's own proxy counts, but not for this machine.
    """
    env = os.environ if environ is None else environ
    table = settings.providers.get(name)
    base = (table.base_url if table is not None else None) or PUBLIC.get(name, ("", ""))[0]
    if not base:
        return None
    variable = key_variable(settings, name)
    key = secret(variable, env) if variable else None
    ca = (table.ca if table is not None else None) or env.get("SSL_CERT_FILE")
    found = Provider(
        name=name,
        base_url=base,
        key=key.value if key is not None else "",
        proxy=settings.network.proxy or _proxy(base, env),
        ca=Path(ca).expanduser() if ca else None,
    )
    if found.key or not found.synthetic or (table is not None and table.key_env is not None):
        return found
    return replace(found, key=NO_KEY)


def forge_access(settings: Settings, environ: Mapping[str, str] | None = None) -> Access:
    """Give what configuration and environment say about entering the forge.

    The token is that of the variable ``[forge] token_env`` names, else of GITHUB_TOKEN or GH_TOKEN;
    an App of ``[forge] app`` goes before it.
    """
    env = os.environ if environ is None else environ
    forge = settings.forge
    names = _TOKENS if forge.token_env is None else (forge.token_env,)
    return Access(
        token=next((word for name in names if (word := env.get(name, "").strip())), ""),
        app=None if forge.app is None else _app(forge.app, env),
        named=forge.token_env is not None,
        api_url=forge.api_url,
        ambient_url=env.get("GITHUB_API_URL") or None,
        remote=forge.remote,
        max_wait=forge.max_wait,
        ca=env.get("SSL_CERT_FILE") or None,
        proxy=lambda base: _proxy(base, env),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an address outside is reached: through which proxy, trusting which certificates."""

    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    ca: str | None = None


def way_to(settings: Settings, address: str, environ: Mapping[str, str] | None = None) -> Way:
    """Give how this address is reached, as configuration and environment say."""
    env = os.environ if environ is None else environ
    proxy = None if _is_here(address) else settings.network.proxy or _proxy(address, env)
    return Way(proxy=proxy, ca=env.get("SSL_CERT_FILE") or None)


def workflow_access(environ: Mapping[str, str] | None = None) -> Access:
    """Give what a workflow's own environment says about entering its forge.

    No file counts: whoever writes one of the repository could send the token elsewhere.
    """
    env = os.environ if environ is None else environ
    return Access(
        token=next((env[name] for name in _TOKENS if env.get(name)), ""),
        ambient_url=env.get("GITHUB_API_URL") or None,
        max_wait=_WORKFLOW_WAIT,
        ca=env.get("SSL_CERT_FILE") or None,
        proxy=lambda base: _proxy(base, env),
    )


def variables(*beginnings: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the variables whose names begin so and hold no token."""
    env = os.environ if environ is None else environ
    return {
        name: value
        for name, value in env.items()
        if name.startswith(beginnings) and name not in _TOKENS
    }


def _app(app: ForgeApp, env: Mapping[str, str]) -> App:
    if app.key_env is not None:
        # A variable's line breaks are often written out.
        key = env.get(app.key_env, "").replace("\\n", "\n")
        if not key:
            raise Complaint(
                f"the variable {app.key_env} holds no private key",
                hint=f"put the key of App {app.id} into it, as [forge] app says",
                code=_SETUP,
            )
        return App(id=app.id, key=key, installation=app.installation)
    path = Path(app.key_file or "").expanduser()
    try:
        key = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Complaint(
            f"the private key {path} cannot be read: {type(error).__name__}",
            hint="correct [forge] app.key_file",
            code=_SETUP,
        ) from error
    return App(id=app.id, key=key, installation=app.installation)


def _proxy(base: str, env: Mapping[str, str]) -> str | None:
    """Give the environment's proxy for an address, as other programs read it."""
    if _is_here(base):
        return None
    host = urlsplit(base).hostname or ""
    direct = ",".join(env.get(name, "") for name in _DIRECT).split(",")
    ends = {part.strip().removeprefix("*").removeprefix(".") for part in direct if part.strip()}
    # A lone star leaves an empty end, which every host has.
    if any(host == end or host.endswith(f".{end}" if end else "") for end in ends):
        return None
    return next((env[name] for name in _PROXIES if env.get(name)), None)


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def load(
    checkout: Path,
    *,
    flags: Mapping[str, object],
    tracked: Callable[[], Collection[str]] | None,
    environ: Mapping[str, str] | None = None,
    instead: Path | None = None,
) -> Settings:
    """Give the settings of a checkout; raise ``ConfigErrors`` with every mistake of every source.

    ``flags`` are command-line words (``onto deliver seats budget sandbox agent``) or dotted keys;
    None means not given. ``agent`` works the one station of a repository without stations.
    ``tracked`` gives the repository's paths, to warn of scopes that match none of them. The file
    ``instead`` stands for all that the repository itself says.
    """
    around = environment(environ)
    given = {name: value for name, value in flags.items() if value is not None}
    errors: list[ConfigError] = []
    found = _files(checkout, around, errors, instead)
    variables, unknown = sources.variables(os.environ if environ is None else environ, ConfigFile)
    errors.extend(variables.error(fault) for fault in unknown)
    typed, wrong = sources.flags(given)
    errors.extend(typed.error(fault) for fault in wrong)
    checked = [layers.sound(source, ConfigFile) for source in (typed, variables, *found)]
    errors.extend(error for sound in checked for error in sound.errors)
    merged = layers.merge(sound.source for sound in checked)
    config = ConfigFile.model_validate(merged.tree)
    broken = {
        path for sound in checked for path in sound.broken if merged.owner(path[:1]) is sound.source
    }
    tables, warnings = config.station, tuple[str, ...]()
    if not tables and not broken:
        tables, warnings = _zero(checkout, given.get("agent") or _DEFAULT_AGENT, typed, errors)
    elif "agent" in given:
        fault = Fault(path=("agent",), what="the configured stations name their own agents")
        errors.append(typed.error(fault))
    about = references.stations(tables, broken=broken)
    tools, outside = _tools(config.env.tools, checkout, around.home)
    unclear = {path[1] for path in broken if path[0] == "station" and path[2:3] not in _ASIDE}
    line = tuple(
        specs.station(table) for number, table in enumerate(tables) if number not in unclear
    )
    lost = layers.station_names(found) if unclear else frozenset[str]()
    jobs = references.jobs(config.job, line, broken=broken, known=lost)
    limits = references.pace(config.pace, seats=config.line.seats, line=line)
    between = (*about.faults, *jobs.faults, *limits.faults, *outside)
    errors.extend((merged.owner(fault.path) or typed).error(fault) for fault in between)
    if errors:
        order = {source.file: place for place, source in enumerate((typed, variables, *found))}
        raise ConfigErrors(sorted(errors, key=lambda e: (order.get(e.file, 0), e.line, e.col)))
    if tracked is not None and config.station:
        warnings += tuple(references.unmatched(line, tracked()))
    settings = assemble(
        config,
        merged,
        tables=tables,
        tools=tools,
        warnings=(
            *warnings,
            *about.warnings,
            *limits.warnings,
            *references.strangers(line, config.models),
        ),
        notes=about.notes,
    )
    own = "factory.toml" if instead is None else str(instead)
    return replace(settings, written=next((each.text for each in found if each.file == own), ""))


def jobs_file(
    path: Path, settings: Settings, *, taken_ids: Collection[str] = ()
) -> tuple[Job, ...]:
    """Give the jobs of a file of ``[[job]]`` tables; raise ``ConfigErrors`` with its mistakes."""
    read = sources.toml_file(path, name=str(path))
    if read is None:
        missing = ConfigError(file=str(path), line=1, col=1, where="file", what="does not exist")
        raise ConfigErrors([missing])
    if isinstance(read, ConfigError):
        raise ConfigErrors([read])
    sound = layers.sound(read, JobsFile)
    errors = list(sound.errors)
    tables = JobsFile.model_validate(sound.source.tree).job
    if not tables and not errors:
        errors.append(read.error(Fault(path=(), what="holds no [[job]]", hint="write one or more")))
    line, taken = settings.rules.stations, [*(job.id for job in settings.jobs), *taken_ids]
    checked = references.jobs(tables, line, broken=sound.broken, taken=taken)
    errors.extend(read.error(fault) for fault in checked.faults)
    if errors:
        raise ConfigErrors(sorted(errors, key=lambda error: (error.line, error.col)))
    return specs.jobs(tables, line, taken=taken, source=str(path))


def job_from_text(text: str, settings: Settings, *, taken_ids: Collection[str]) -> Job:
    """Give the job that a text on the command line asks for; raise ``ConfigErrors`` when none can.

    The title is the first line, the id is made from it, with a short hash when it is taken.
    """
    line = settings.rules.stations
    title = specs.one_line(text)
    # The text is the person's own and may hold anything: no table's rule for titles applies.
    table = JobTable.model_construct(None, id=None, title=title or None, brief=text)
    checked = references.jobs([table], line, taken=taken_ids)
    empty = Fault(path=(), what="says nothing", hint="say what shall change")
    first = next(iter(checked.faults if title else (empty,)), None)
    if first is not None:
        error = ConfigError(
            file=sources.COMMAND_LINE, line=1, col=1, where="job", what=first.what, hint=first.hint
        )
        raise ConfigErrors([error])
    return specs.jobs([table], line, taken=taken_ids, source="text")[0]


def schema() -> dict[str, object]:
    """Give the JSON Schema of factory.toml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:factory:config:1",
        **ConfigFile.model_json_schema(),
    }


def _files(
    checkout: Path, around: Environment, errors: list[ConfigError], instead: Path | None
) -> list[Source]:
    user = around.config_dir / "factory.toml"
    if instead is None:
        own = [
            sources.toml_file(checkout / "factory.toml", name="factory.toml", repository=True),
            sources.toml_file(
                checkout / "pyproject.toml",
                name="pyproject.toml",
                under=("tool", "factory"),
                repository=True,
            ),
        ]
    else:
        name = str(instead)
        missing = ConfigError(file=name, line=1, col=1, where="file", what="does not exist")
        own = [sources.toml_file(instead, name=name, repository=True) or missing]
    tries = (*own, sources.toml_file(user, name=str(user)))
    errors.extend(read for read in tries if isinstance(read, ConfigError))
    return [read for read in tries if isinstance(read, Source)]


def _zero(
    checkout: Path, agent: object, typed: Source, errors: list[ConfigError]
) -> tuple[tuple[StationTable, ...], tuple[str, ...]]:
    """Give the line of a repository without stations: one that codes, one that tests."""
    coding: dict[str, object] = {"name": "code", "agent": agent}
    for fault in mistakes.faults(StationTable, coding):
        errors.append(typed.error(replace(fault, path=("agent",))))
        coding["agent"] = _DEFAULT_AGENT
    tests = onboard.detect_tests(checkout)
    tables = [StationTable.model_validate(coding)]
    if tests is None:
        return tuple(tables), ("no test command was found",)
    tables.append(StationTable(name="tests", kind=Kind.TEST, run=tests))
    return tuple(tables), ()


def _tools(
    given: tuple[str, ...], checkout: Path, home: Path
) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """Give the absolute directories, and a mistake for each that could show the checkout."""
    tree = checkout.resolve()
    wrong: list[Fault] = []
    tools: list[str] = []
    for number, text in enumerate(given):
        written = home / text.removeprefix("~").removeprefix("/") if text[0] == "~" else Path(text)
        real = written.resolve()
        if real == tree or tree in real.parents or real in tree.parents:
            what = "contains the checkout" if real in tree.parents else "lies in the checkout"
            hint = "the checkout is never visible in a sandbox; name a directory beside it"
            wrong.append(Fault(path=("env", "tools", number), what=what, hint=hint))
        tools.append(str(written))
    return tuple(tools), tuple(wrong)
