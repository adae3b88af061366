"""The check-up behind `factory doctor`: what the line needs here, each thing tried for real."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlsplit

from factory import delivering, models, trust
from factory import settings as configuration
from factory import site as sites
from factory.complaint import Complaint
from factory.config.configured import Settings
from factory.forge.connecting import address
from factory.forge.failures import ForgeError
from factory.forge.verdicts import names
from factory.site import Site
from factory.wording import clean, listed
from stations.box import SandboxError
from stations.contract import Kind
from stations.models.prices import Prices
from stations.sandbox import Finding as Tried
from stations.tools import ToolMissingError, resolve
from worktrees import checkout
from worktrees.git import version

OLDEST_GIT: Final = (2, 39)
LITTLE: Final = 2 * 1024**3
"""Bytes of free disk below which a person should know."""
AGENTS: Final = ("claude", "codex", "opencode", "gemini")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; ``stops`` says whether the line cannot run without it."""

    name: str
    ok: bool
    detail: str
    stops: bool = False


def look(site: Site) -> tuple[Finding, ...]:
    """Look at everything the line needs, and try the sandbox by breaking out of it."""
    return (
        _git(),
        *_repository(site),
        *_forge(site),
        *_pulls(site),
        *_checks(site),
        *_sandbox(site),
        _disk(site),
        *_commands(site),
        *_models(site),
        _trust(site),
        *_agents(site),
    )


def document(found: Sequence[Finding]) -> dict[str, object]:
    """Give the `factory.doctor/1` document."""
    return {
        "schema": "factory.doctor/1",
        "ok": not any(each.stops and not each.ok for each in found),
        "findings": [asdict(each) for each in found],
    }


def _git() -> Finding:
    found = version()
    text = ".".join(map(str, found))
    fit = found >= OLDEST_GIT
    return Finding(
        name="git",
        ok=fit,
        detail=text if fit else f"{text} is too old: install git 2.39 or newer",
        stops=True,
    )


def _repository(site: Site) -> Iterator[Finding]:
    try:
        delivery = sites.deliver_to(site, sites.new_run())
    except Complaint as error:
        yield Finding(name="target", ok=False, detail=f"{error.what}; {error.hint}", stops=True)
        return
    refused = checkout.refusals(site.repository, delivery.base)
    for text in refused:
        yield Finding(name="repository", ok=False, detail=text, stops=True)
    if not refused:
        yield Finding(name="repository", ok=True, detail=f"base {delivery.base[:12]}")
    name = delivery.target.removeprefix(sites.HEADS)
    with site.lock:
        where = checkout.checked_out(site.repository, delivery.target)
    if where is not None and not checkout.is_clean(site.repository, where):
        detail = f"{where} has {name} checked out with changes: commit or stash them"
        yield Finding(name="target", ok=False, detail=detail, stops=True)
    else:
        yield Finding(name="target", ok=True, detail=f"{name} ({delivery.deliver})")


def _forge(site: Site) -> Iterator[Finding]:
    """Look whether the forge answers, as whom we come there, and what we may do."""
    remote = site.settings.forge.remote
    where = site.repository.personal("remote", "get-url", "--", remote, ok=range(256))
    if where.code or address(where.text) is None:
        return
    said: list[str] = []
    try:
        sites.check_forge(site, given=False)
        with delivering.connected(site, say=said.append) as forge:
            login, rate = forge.door.me(), forge.door.rate()
            known = forge.door.repository()
            may = "may push" if known.pushes else "may not push: issues can be read, no more"
            app = login.endswith("[bot]")
            # Whoever may not push may not ask what anybody may.
            asks = known.pushes and not app
            level = f"{forge.door.permission(login)}, {may}" if asks else may
    except (Complaint, ForgeError) as error:
        hint = f"; {error.hint}" if isinstance(error, Complaint) and error.hint else ""
        yield Finding(name="forge", ok=False, detail=f"{error}{hint}")
        return
    yield Finding(
        name="forge",
        ok=known.pushes or app,
        detail=f"{known.full} at {forge.repo.host} as {login}: {level};"
        f" {rate.left} of {rate.limit} requests are left until {rate.reset:%H:%M} UTC",
    )


def _checks(site: Site) -> Iterator[Finding]:
    """Look whether the forge knows the checks that test stations wait for."""
    stations = [spec for spec in site.settings.rules.tests if spec.checks]
    if not stations:
        return
    said: list[str] = []
    try:
        sites.check_forge(site, given=False)
        with delivering.connected(site, say=said.append) as forge:
            onto = site.settings.target or forge.door.repository().default
            tip = forge.door.branch(onto)
            known = () if tip is None else names(forge.door.checks(tip), forge.door.statuses(tip))
    except (Complaint, ForgeError) as error:
        for spec in stations:
            yield Finding(name=f"station {spec.name}", ok=False, detail=str(error), stops=True)
        return
    for spec in stations:
        missing = [name for name in spec.checks if name not in known]
        did = f"its checks of {onto} are: {listed(map(clean, known)) or 'none'}"
        detail = f"the forge does not know {listed(map(repr, missing))}; {did}" if missing else did
        # What agents wrote is run there, before any person has looked at it.
        hint = "; their workflow must run on pushes to factory/proof/**, and hold no secret"
        yield Finding(name=f"station {spec.name}", ok=not missing, detail=detail + hint)


def _pulls(site: Site) -> Iterator[Finding]:
    """Look at what the forge's rules would refuse of a pull request, where runs end in one."""
    if site.settings.deliver != "pr":
        return
    try:
        sites.check_forge(site, given=False)
        found = delivering.obstacles_of(site, sites.deliver_to(site, sites.new_run()))
    except Complaint as error:
        detail = f"{error.what}; {error.hint}" if error.hint else error.what
        yield Finding(name="pull requests", ok=False, detail=detail, stops=True)
        return
    for each in found:
        yield Finding(name="pull requests", ok=each.ok, detail=each.text, stops=each.stops)


def _sandbox(site: Site) -> Iterator[Finding]:
    kind: str = site.settings.sandbox
    try:
        found = sites.chosen(site, site.settings.sandbox)
        tried = sites.prove(site, found)
    except SandboxError as error:
        yield Finding(name="sandbox", ok=False, detail=str(error), stops=True)
    else:
        yield from _tried("sandbox", found.name, tried, stops=True)
        kind = found.name
    asked = site.settings.docker_engine or site.settings.docker_image
    if kind == "docker" or not (asked or sites.containers_of(site) is not None):
        return  # it was tried, or nobody asked for it and there is none
    try:
        tried = sites.prove(site, sites.chosen(site, "docker"))
    except SandboxError as error:
        yield Finding(name="sandbox docker", ok=False, detail=str(error))
    else:
        yield from _tried("sandbox docker", "docker", tried, stops=False)


def _tried(what: str, kind: str, tried: Sequence[Tried], *, stops: bool) -> Iterator[Finding]:
    holes = [each for each in tried if not each.ok]
    for each in holes:
        yield Finding(name=f"{what}: {each.name}", ok=False, detail=each.detail, stops=stops)
    if not holes:
        detail = f"{kind} holds: {len(tried)} ways out were tried and all failed"
        yield Finding(name=what, ok=True, detail=detail)


def _disk(site: Site) -> Finding:
    free = shutil.disk_usage(site.repository.common).free
    text = f"{free / 1024**3:.1f} GiB free at {site.repository.common}"
    enough = free >= LITTLE
    return Finding(name="disk", ok=enough, detail=text if enough else f"{text}: make room")


def _commands(site: Site) -> Iterator[Finding]:
    around = sites.surroundings_of(site)
    for spec in site.settings.rules.stations:
        programs = sites.programs_of(spec)
        if not programs:
            continue
        try:
            found = [resolve(program, site.place, around).path for program in programs]
        except ToolMissingError as error:
            required = spec.kind is not Kind.TEST or spec.required
            yield Finding(name=f"station {spec.name}", ok=False, detail=str(error), stops=required)
        else:
            yield Finding(name=f"station {spec.name}", ok=True, detail=", ".join(found))
    if not site.settings.rules.tests:
        detail = "no test station: write one, or what agents make lands untested"
        yield Finding(name="tests", ok=False, detail=detail)


def _models(site: Site) -> Iterator[Finding]:
    """Look at each runtime that asks models, its provider and its key; nothing is called."""
    settings, stations = site.settings, site.settings.rules.stations
    path = site.environment.path
    for name in sorted({models.named(spec) for spec in stations} - {"command"}):
        spec = next(spec for spec in stations if models.named(spec) == name)
        try:
            models.check(settings, spec, settings.jobs, path=path)
        except Complaint as error:
            detail = f"{error.what}; {error.hint}"
            yield Finding(name=f"runtime {name}", ok=False, detail=detail, stops=True)
            continue
        found = models.probe(settings, name, path=path)
        said = ", ".join(text for text in (found.version, found.detail) if text)
        tiers = ", ".join(models.model_ids(settings, spec)) or "its own"
        yield Finding(name=f"runtime {name}", ok=True, detail=f"{said}; models: {tiers}")
    if models.wanted(stations):
        for name in sorted(models.providers_of(stations)):
            yield _provider(settings, name)
        prices = Prices.load(settings.prices)
        detail = f"list prices of {prices.retrieved.isoformat()} (version {prices.version})"
        yield Finding(name="prices", ok=True, detail=detail)


def _provider(settings: Settings, name: str) -> Finding:
    """Say where a provider answers and whether there is a key; never the key itself."""
    provider = configuration.provider(settings, name)
    if provider is None:
        return Finding(name=f"provider {name}", ok=False, detail="nobody knows where it answers")
    parts = [provider.base_url]
    variable = configuration.key_variable(settings, name)
    if provider.key == configuration.NO_KEY:
        parts.append("a server on this machine, without a key")
    else:
        parts.append(f"key in {variable}: {'present' if provider.key else 'absent'}")
    if provider.proxy is not None:
        address = urlsplit(provider.proxy)
        parts.append(f"by the proxy {address.hostname}:{address.port or 80}")
    if provider.ca is not None:
        there = "" if provider.ca.is_file() else ", which is not there"
        parts.append(f"certificates of {provider.ca}{there}")
    if provider.synthetic:
        parts.append("on this machine: its figures are synthetic")
    missing = provider.ca is not None and not provider.ca.is_file()
    return Finding(
        name=f"provider {name}",
        ok=bool(provider.key) and not missing,
        detail="; ".join(parts),
        stops=missing,
    )


def _trust(site: Site) -> Finding:
    settings = site.settings
    if not settings.trust_hash:
        return Finding(name="trust", ok=True, detail="no commands of the repository's own")
    ok = trust.is_trusted(site.environment.state_dir, site.place, settings.trust_hash)
    detail = "given" if ok else "not given yet: `factory trust`, or --trust for one run"
    return Finding(name="trust", ok=ok, detail=detail)


def _agents(site: Site) -> Iterator[Finding]:
    for name in AGENTS:
        path = shutil.which(name, path=site.environment.path)
        if path is not None:
            yield Finding(name=f"agent {name}", ok=True, detail=path)
