"""A site: one repository with its settings, and what this machine offers, checked before a run.

Everything that the line cannot do right is refused here by name, before anything starts.
"""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from factory import duplicates, models, trust
from factory.complaint import Complaint
from factory.config.configured import Settings
from factory.events import Rules
from factory.settings import Environment
from stations.box import NoSandbox, Sandbox
from stations.contract import Job, StationSpec
from stations.sandbox import (
    Docker,
    DockerOptions,
    Finding,
    SandboxKind,
    choose,
    listening,
    preflight,
)
from stations.tools import Surroundings, ToolMissingError, resolve
from worktrees import checkout
from worktrees.git import Identity, Repository, in_checkout
from worktrees.lock import Flock, owner_lock, worktree_lock
from worktrees.names import JobId, Oid, RunId, default_target
from worktrees.pool import DISK_FLOOR

HEADS: Final = "refs/heads/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A repository as a command finds it, with the two locks of its factory directory.

    With ``anew`` a run tests every tree itself, also one that an earlier run has tested.
    """

    repository: Repository
    settings: Settings
    environment: Environment
    lock: Flock
    owner: Flock
    anew: bool = False

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.repository.factory / "ledger.sqlite"

    @property
    def place(self) -> Path:
        """The directory that stands for this repository to its user."""
        return self.repository.checkout or self.repository.common


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where a run lands: its base commit, the full target ref, and whether that ref is new.

    ``onto`` is the branch that pull requests are for, by its name on the forge; empty without any.
    """

    base: Oid
    target: str
    deliver: Literal["branch", "merge", "pr"]
    new: bool
    onto: str = ""


def at(repository: Repository, settings: Settings, environment: Environment) -> Site:
    """Give the site of a repository."""
    return Site(
        repository=repository,
        settings=settings,
        environment=environment,
        lock=worktree_lock(repository.factory),
        owner=owner_lock(repository.factory),
    )


def new_run() -> RunId:
    """Give an id for a new run: when it began, and a little chance."""
    return RunId(f"{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}")


def check_trust(site: Site, *, given: bool, file: Path | None = None) -> None:
    """Complain unless a person allowed this repository's own commands.

    With a ``file`` they stand there, and a yes to exactly that file counts too.
    """
    settings, state = site.settings, site.environment.state_dir
    places = (site.place,) if file is None else (site.place, file)
    if given or any(trust.is_trusted(state, place, settings.trust_hash) for place in places):
        return
    listed = "\n".join(f"  {item.where}: {item.what}" for item in settings.trusts[:12])
    more = len(settings.trusts) - 12
    tail = f"\n  and {more} more" if more > 0 else ""
    raise Complaint(
        f"{'this repository' if file is None else file} brings commands of its own that nobody has"
        f" allowed yet:\n{listed}{tail}",
        hint=f"look at them, then `factory trust{'' if file is None else f' {file}'}` (or `--trust`"
        " for this run alone)",
        code=2,
    )


def check_forge(site: Site, *, given: bool) -> None:
    """Complain before a token goes where a configuration says that nobody has allowed yet."""
    if any(item.where.startswith("forge.") for item in site.settings.trusts):
        check_trust(site, given=given)


def deliver_to(site: Site, run: RunId) -> Delivery:
    """Say where a run lands; complain when that cannot be."""
    git, settings = site.repository.git, site.settings
    head, onto = git.resolve("HEAD"), ""
    if settings.deliver == "merge":
        name = settings.target or _current_branch(site)
        ref = f"{HEADS}{name}"
        tip = git.resolve(ref)
    elif settings.deliver == "pr":
        # Work lands on a branch of its own first, so that no job ever waits for a merge.
        onto = settings.target or _current_branch(site)
        ref = f"{HEADS}{default_target(run)}"
        tip = git.resolve(f"{HEADS}{onto}")
        if tip is None:
            raise Complaint(
                f"there is no branch {onto} here to begin from",
                hint=f"git fetch, then git branch {onto} with its commit; or `--onto` another one",
                code=7,
            )
    else:
        ref = f"{HEADS}{default_target(run)}"
        tip = git.resolve(f"{HEADS}{settings.target}") if settings.target else None
    base = tip or head
    if base is None:
        raise Complaint("the repository has no commit", hint="make a first commit", code=7)
    new = git.resolve(ref) is None
    if new and git("check-ref-format", ref, ok=(0, 1)).code:
        raise Complaint(f"{ref} is no valid branch name", code=2)
    return Delivery(base=base, target=ref, deliver=settings.deliver, new=new, onto=onto)


def beside(run: RunId, base: Oid) -> Delivery:
    """Say where a run lands that begins at a commit of somebody else's: on a branch of its own."""
    target = f"{HEADS}{default_target(run)}"
    return Delivery(base=base, target=target, deliver="branch", new=True)


def _current_branch(site: Site) -> str:
    answer = site.repository.git("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))
    if not answer.text.startswith(HEADS):
        raise Complaint(
            "HEAD is on no branch, so there is nothing to merge into",
            hint="name one with `--onto BRANCH`",
            code=2,
        )
    return answer.text.removeprefix(HEADS)


def check_repository(site: Site, delivery: Delivery) -> None:
    """Complain of everything in this repository that the line cannot do right."""
    found = [*checkout.refusals(site.repository, delivery.base)]
    with site.lock:
        where = checkout.checked_out(site.repository, delivery.target)
    if where is not None and not checkout.is_clean(site.repository, where):
        found.append(
            f"{where} has {delivery.target.removeprefix(HEADS)} checked out with changes that are"
            " not committed: commit or stash them, or use `--deliver branch`"
        )
    commit = site.settings.commit
    if (commit.author == "me" or commit.signoff) and person(site) is None:
        found.append(
            "[commit] speaks in your name, which git does not know: `git config user.name` and"
            " `git config user.email` say it"
        )
    if found:
        raise Complaint(
            "the line cannot run here:\n" + "\n".join(f"  {text}" for text in found), code=7
        )


def check_room(site: Site) -> None:
    """Complain when the disk has less room than a workspace may grow in."""
    factory = site.repository.factory
    free = shutil.disk_usage(factory).free
    if free < DISK_FLOOR:
        raise Complaint(
            f"only {free // 1_000_000} MB are free at {factory}; the line needs"
            f" {DISK_FLOOR // 1_000_000}",
            hint="make room (`factory clean` shows what can go), then start or resume",
            code=7,
        )


def check_stations(site: Site, jobs: Sequence[Job]) -> None:
    """Complain of stations that these jobs reach and that cannot work here."""
    rules, around = site.settings.rules, surroundings_of(site)
    for spec in rules.stations:
        if spec.name not in _reached(rules, jobs):
            continue
        if models.named(spec) != "command":
            models.check(site.settings, spec, jobs, path=site.environment.path)
        if site.settings.env.setup is not None:
            continue  # it may be what brings the program
        try:
            for program in programs_of(spec):
                resolve(program, site.place, around)
        except ToolMissingError as error:
            raise Complaint(
                f"station {spec.name}: {error}",
                hint="`factory doctor` looks at every station",
                code=7,
            ) from error


def programs_of(spec: StationSpec) -> tuple[str, ...]:
    """Give the programs that a station needs: its own or its agent's, and what that may run."""
    own = spec.agent.run if spec.agent is not None else spec.run
    return tuple(dict.fromkeys(words[0] for words in (own, *spec.commands) if words))


def _reached(rules: Rules, jobs: Sequence[Job]) -> set[str]:
    """Give the stations to which these jobs may come, repairs and hand-offs included."""
    found: set[str] = set()
    ahead: list[str] = [*(job.route for job in jobs), *([rules.repair] if rules.repair else [])]
    ahead += [rules.review.name] if rules.review is not None else []
    while ahead:
        name = ahead.pop()
        if name not in found and any(spec.name == name for spec in rules.stations):
            found.add(name)
            ahead += rules.station(name).on.values()
    return found


def refusals_of(rules: Rules, jobs: Sequence[Job]) -> Mapping[JobId, str]:
    """Give the jobs that say what another one says already, each with the reason."""
    return {
        dropped: f"near-duplicate of {kept}: {why}"
        for kept, dropped, why in duplicates.near_duplicates(jobs, rules.stations)
    }


def sandbox_of(site: Site, *, without: bool) -> Sandbox:
    """Give the sandbox that this run uses, proved by running it; complain when there is none."""
    try:
        found = chosen(site, "none" if without else site.settings.sandbox)
    except NoSandbox as error:
        raise Complaint(str(error), code=7) from error
    broken = [finding for finding in prove(site, found) if not finding.ok]
    if broken:
        listed = "\n".join(f"  {finding.name}: {finding.detail}" for finding in broken)
        raise Complaint(
            f"the {found.name} sandbox does not hold on this machine:\n{listed}",
            hint="`factory doctor` says more",
            code=7,
        )
    return found


def chosen(site: Site, kind: SandboxKind) -> Sandbox:
    """Give the sandbox of a kind for this repository; raises ``NoSandbox`` with the fix."""
    return choose(
        kind,
        nodes=site.repository.factory / "dev",
        docker=docker_of(site),
        repository=site.repository.common,
    )


def docker_of(site: Site) -> DockerOptions:
    """Give what the settings say about docker."""
    return DockerOptions(engine=site.settings.docker_engine, image=site.settings.docker_image)


def containers_of(site: Site) -> Docker | None:
    """Give what can sweep this repository's containers; None where no engine of ours listens."""
    return listening(docker_of(site), site.repository.common)


def prove(site: Site, sandbox: Sandbox) -> tuple[Finding, ...]:
    """Try to break out of a sandbox; every finding that is not ok is a hole."""
    return preflight(sandbox, site.repository.factory / "new")


def surroundings_of(site: Site) -> Surroundings:
    """Give what workspaces see beside their tree, before `setup` made anything."""
    env = site.settings.env
    return Surroundings(
        share=tuple(env.share),
        tools=tuple(Path(tool) for tool in env.tools),
        scratch=tuple(env.scratch),
        path=site.environment.path,
    )


def person(site: Site) -> Identity | None:
    """Give the person who runs the factory, by the repository's own git configuration."""
    where = site.place
    name, email = (
        in_checkout(site.repository, where, "config", key, ok=(0, 1)).text
        for key in ("user.name", "user.email")
    )
    return Identity(name=name, email=email) if name and email else None
