"""Fixing: a plan carried out on the line, as one run with the plan's stations.

Whatever the plan says is checked before anything starts, and what moved since its survey is left
out and said. The plan itself is kept with the repository, so that a file that changes later changes
no run.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from pydantic import TypeAdapter

from factory import fixes, patching, rechecking, shift, telling
from factory import site as sites
from factory.complaint import Complaint
from factory.config import specs
from factory.delivering import connected
from factory.evidence import holds, passes
from factory.fixes import Facts, Left, pull_job
from factory.forge import texts
from factory.line import Line
from factory.patching import Patch
from factory.rechecking import Now
from factory.site import Site
from factory.stacking import Size
from factory.strategy import document, lining, loading
from factory.strategy import rules as judging
from factory.strategy.values import WORKED, Acceptance, Action, Plan, PlanErrors, PlanItem
from factory.views.schemas import IssueRow
from factory.wording import clean, count, cut, listed
from stations.bench import tracked
from stations.box import Sandbox
from stations.contract import Check, Job, StationSpec, Wanted
from worktrees.names import Oid, StationName
from worktrees.scope import Scope

Say = Callable[[str], None]
PLAN: Final = "plan"
"""The option of a run that carries out a plan: where it was read; the next ones are its errand."""
DIGEST: Final = "plan_sha256"
FACTS: Final = "plan_facts"
NO_FORGE: Final = 7
"""The code of a complaint that there is no forge, or no token for it."""
_TITLE: Final = 60
_SHORT: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A plan that may be carried out: the site with its line, its jobs, and what is kept of it."""

    site: Site
    plan: Plan
    digest: str
    path: str
    facts: Facts
    jobs: tuple[Job, ...]

    @property
    def options(self) -> dict[str, str]:
        """The errand as options of a run."""
        return {
            PLAN: self.path,
            DIGEST: self.digest,
            FACTS: _adapter().dump_json(self.facts).decode(),
        }

    @property
    def planned(self) -> telling.Planned:
        """What the delivery of this run keeps to and tells."""
        return _planned(self)


def prepare(site: Site, plan: Plan, *, path: str, replaces: bool, say: Say) -> Fix:
    """Check a plan against the repository and the forge as they are now; complain or give it."""
    delivery = sites.deliver_to(site, sites.new_run())
    base = _base(site, plan, delivery.base, say)
    ground = loading.ground_of(site.settings, site.repository.git, base)
    try:
        loading.checked(plan, ground)
    except PlanErrors as errors:
        raise loading.refused(clean(path), errors) from errors
    now = _now(site, plan, onto=delivery.onto, replaces=replaces, say=say)
    pulls, unused = _patches(site, base, now)
    facts = Facts(
        base=base,
        left=dict(now.left),
        pulls=pulls,
        unused=unused,
        authors=now.authors,
        credit=now.credit,
        replace=replaces,
    )
    facts = _in_flight(plan, facts)
    for number, why in facts.unused.items():
        say(f"note: pull request {number} is not built on: {why}")
    for number, left in facts.left.items():
        say(f"note: #{number} is left: {left.why}")
    return _fix(site, plan, path, facts, marks=now.marks)


def prove(fix: Fix, sandbox: Sandbox, *, say: Say) -> Fix:
    """Try what is said to be fixed already on the base, three times each; give what is known then.

    What no test shows is left to a person.
    """
    plan, facts = fix.plan, fix.facts
    said = [each for each in plan.items if each.action is Action.ALREADY_FIXED]
    tried = _proofs(plan)
    left = {
        each.n: Left(state="human", why="said to be fixed already, but no test is named for it")
        for each in said
        if each.proof is None
    }
    fixed: list[int] = []
    if tried:
        say(f"trying on the base what is said to be fixed already: {count(len(tried), 'test')}")
        for item, why in _tried(fix, tried, sandbox, say):
            if why:
                left[item.n] = Left(
                    state="human", why=f"said to be fixed already, but no test shows it: {why}"
                )
            else:
                fixed.append(item.n)
    facts = replace(facts, fixed=tuple(fixed), left={**facts.left, **left})
    return replace(fix, facts=facts)


def has_proofs(plan: Plan) -> bool:
    """Say whether tests of a plan are run before its run begins."""
    return bool(_proofs(plan))


def _proofs(plan: Plan) -> list[PlanItem]:
    """Give the items that are said to be fixed already, and have a test for it."""
    fixed = (each for each in plan.items if each.action is Action.ALREADY_FIXED)
    return [each for each in fixed if each.proof is not None]


def taken_up(site: Site, options: Mapping[str, str]) -> Fix | None:
    """Give what a run carries out, by its options; None when it carries out no plan."""
    if DIGEST not in options:
        return None
    plan = loading.kept(site.repository.factory, options[DIGEST])
    facts = _adapter().validate_json(options[FACTS])
    return _fix(site, plan, options[PLAN], facts, marks={})


def order(fix: Fix, options: Mapping[str, str], sandbox: Sandbox) -> shift.Order:
    """Give what the line is asked for, with the plan kept beside the ledger."""
    loading.keep(fix.plan, fix.site.repository.factory)
    return shift.Order(
        jobs=fix.jobs,
        options={**options, **fix.options},
        sandbox=sandbox,
        prepared=fix.facts.base,
        plan=fix.planned,
    )


def rows(fix: Fix, line: Line | None) -> list[IssueRow]:
    """Give what became of each item, as documents and tables have it."""
    return [
        {
            "issue": each.n,
            "kind": each.kind,
            "title": each.title,
            "state": each.state,
            "why": each.why,
            "of": each.of,
            "job": each.job or None,
            "pull": each.pull or None,
            "test": each.test or None,
            "base": each.base,
            "failure": each.failure,
            "head": each.head,
            "runs": each.runs,
            "closes": each.closes,
        }
        for each in fixes.results(fix.plan, fix.facts, line)
    ]


def _base(site: Site, plan: Plan, base: Oid, say: Say) -> Oid:
    """Give where the run begins: the branch as it is, which must hold what was planned on."""
    git = site.repository.git
    known = git.resolve(plan.base_sha)
    held = (
        known is not None and git("merge-base", "--is-ancestor", known, base, ok=(0, 1)).code == 0
    )
    if not held:
        raise Complaint(
            f"the plan is of commit {plan.base_sha[:_SHORT]}, which the branch it is for does not"
            " hold",
            hint="fetch it, name the right branch with `--onto BRANCH`, or survey again",
        )
    moved = int(git("rev-list", "--count", f"{known}..{base}").text)
    if moved:
        say(f"note: the branch moved on by {count(moved, 'commit')} since the plan was made")
    return base


def _now(site: Site, plan: Plan, *, onto: str, replaces: bool, say: Say) -> Now:
    """Look at the forge; without one only a run that writes nothing there may go on."""
    try:
        with connected(site, say=say) as forge:
            _check_repo(plan, forge.repo.full)
            return rechecking.look(forge, plan, onto=onto, replace=replaces)
    except Complaint as none:
        if none.code != NO_FORGE or site.settings.deliver == "pr":
            raise
        say(f"note: nobody looked whether anything moved since the survey: {none.what}")
        unused = dict.fromkeys((each.pr for each in rechecking.built(plan)), "no forge was asked")
        return Now(unused={} if replaces else unused)


def _check_repo(plan: Plan, full: str) -> None:
    if full.lower() != plan.repo.lower():
        raise Complaint(
            f"the plan is of {clean(plan.repo)}, and this is a clone of {full}",
            hint="run it in a clone of that repository, or name the remote: [forge] remote",
        )


def _patches(site: Site, base: Oid, now: Now) -> tuple[dict[int, str], dict[int, str]]:
    """Give the changes of the pull requests that are built on, and those that cannot be."""
    git, found, unused = site.repository.git, dict[int, str](), dict(now.unused)
    for number, head in now.heads.items():
        patch = patching.since_fork(git, base, head)
        if patch is None:
            unused[number] = "it shares no history with the base"
        elif not patching.changed(git, patch):
            unused[number] = "it changes nothing that the base does not hold"
        elif _station(site, number, patch) is None:
            outside = listed(_outside(site, patch))
            unused[number] = f"no configured station may write all of its paths: {outside}"
        else:
            found[number] = f"{patch.before}..{patch.after}"
    return found, unused


def _outside(site: Site, patch: Patch) -> list[str]:
    coding = judging.coding(site.settings.rules.stations)
    paths = patching.changed(site.repository.git, patch)
    free = [path for path in paths if not any(spec.scope.allows(path) for spec in coding)]
    return free or list(paths)


def _station(site: Site, number: int, patch: Patch) -> StationSpec | None:
    """Give a station that may apply a pull request's change; its bounds are the configuration's."""
    coding = judging.coding(site.settings.rules.stations)
    scopes = [spec.scope for spec in coding]
    # Holes of one station are no holes of the others: such scopes are not put together.
    if not any(glob.startswith("!") for scope in scopes for glob in scope.write):
        scopes.append(Scope(write=tuple(dict.fromkeys(g for s in scopes for g in s.write))))
    for scope in scopes:
        if patching.scope_of(site.repository.git, patch, scope) is not None:
            made = replace(coding[0], name=StationName(f"pull-{number}"), scope=scope, on={})
            return patching.oracle(made)
    return None


def _in_flight(plan: Plan, facts: Facts) -> Facts:
    """Leave the items of a pull request that is not built on: nobody said that it be replaced."""
    left = dict(facts.left)
    for number in facts.unused:
        pull = next((each for each in plan.items if each.n == number), None)
        of = {each.n for each in plan.items if pull is not None and each.of == number}
        of |= {pull.of} if pull is not None and pull.of is not None else set()
        for item in plan.items:
            if item.n in of and item.action in WORKED and item.n not in left:
                why = f"pull request {number} is open for it, which is not built on"
                left[item.n] = Left(state="in-flight", why=f"{why}; --replace does it anew")
    return replace(facts, left=left)


def _fix(site: Site, plan: Plan, path: str, facts: Facts, *, marks: Mapping[int, str]) -> Fix:
    effective = _effective(plan, facts)
    git, rules = site.repository.git, site.settings.rules
    made = lining.lined(effective, rules, tracked=tracked(git, facts.base))
    jobs = tuple(_job(job, effective, facts, marks) for job in made.jobs)
    needed = {need for job in jobs for need in job.needs}
    # Nobody's change is offered again alone: it comes with what stands upon it, or not at all.
    pulls = {number: each for number, each in facts.pulls.items() if pull_job(number) in needed}
    facts = replace(facts, pulls=pulls)
    patches = [_patch(site, number, facts) for number in pulls]
    taken = {str(spec.name) for spec in made.rules.stations}
    for spec, _ in patches:
        if spec.name in taken:
            raise Complaint(f"a station is called {spec.name}", hint="give it another name")
    text = "\0".join((made.rules.hash, *(f"{n} {p}" for n, p in facts.pulls.items())))
    lined = replace(
        made.rules,
        stations=(*(spec for spec, _ in patches), *made.rules.stations),
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )
    first = tuple(job for _, job in patches)
    forge = replace(site.settings.forge, pulls="run")
    return Fix(
        site=replace(site, settings=replace(site.settings, rules=lined, forge=forge)),
        plan=plan,
        digest=document.digest(plan),
        path=path,
        facts=facts,
        jobs=(*first, *jobs),
    )


def _effective(plan: Plan, facts: Facts) -> Plan:
    """Give the plan without what was found to be left, and without credit that is not due."""
    used = tuple(c for c in plan.credit if c.how != "co-author" or c.pr in facts.pulls)
    items = tuple(
        replace(each, action=Action.LEAVE)
        if each.n in facts.left and each.action in WORKED
        else each
        for each in plan.items
    )
    return replace(plan, items=items, credit=used)


def _patch(site: Site, number: int, facts: Facts) -> tuple[StationSpec, Job]:
    before, _, after = facts.pulls[number].partition("..")
    patch = Patch(before=Oid(before), after=Oid(after))
    spec = _station(site, number, patch)
    login = facts.authors.get(number, "its author")
    name = pull_job(number)
    made = None
    if spec is not None:
        title = specs.one_line(f"Bring pull request {number} by {login}")
        made = patching.job(site.repository.git, patch, name=name, title=title, at=spec)
    if spec is None or made is None:
        raise Complaint(
            f"the change of pull request {number} is not here any more, or fits no station",
            hint=f"git fetch the forge's refs/pull/{number}/head, then again",
            code=7,
        )
    return spec, made


def _job(job: Job, plan: Plan, facts: Facts, marks: Mapping[int, str]) -> Job:
    """Give a station's job with the marks of its issues, after the pull requests of its causes."""
    station = next(each for each in plan.stations if each.id == job.id)
    causes = set(station.root_cause_ids)
    before = tuple(
        pull_job(each.n)
        for each in plan.items
        if each.n in facts.pulls and each.root_cause_id in causes
    )
    issues: dict[int, Wanted] = {}
    for each in job.issues:  # one test shows an issue; further ones only have to pass
        issues.setdefault(each.number, replace(each, seen=marks.get(each.number, "")))
    return replace(
        job, needs=(*before, *job.needs), issues=tuple(issues.values()), source=f"plan:{job.id}"
    )


def _planned(fix: Fix) -> telling.Planned:
    plan, facts = fix.plan, fix.facts
    replaced = _replaced(fix)
    limits = plan.delivery.limits
    return telling.Planned(
        branches=document.branches(plan),
        strategy=texts.Strategy(
            digest=fix.digest,
            statement=plan.strategy.statement,
            non_goals=plan.strategy.non_goals,
            risks=plan.strategy.risks,
            aside=tuple(_aside(fix)),
            builds=tuple((number, facts.authors[number]) for number in facts.pulls),
            replaces=tuple((number, facts.authors[number]) for number in replaced),
        ),
        limit=Size(files=limits.files, lines=limits.lines),
        causes={
            number: cut(f"{cause.id}: {clean(cause.statement)}", _TITLE)
            for cause in plan.root_causes
            for number in cause.items
        },
        builds={
            number: (pull_job(number), Oid(change.partition("..")[2]))
            for number, change in facts.pulls.items()
        },
        replaces={number: fixes.takers(plan, number) for number in replaced},
        kept_open=fixes.kept_open(plan),
        credit={pull_job(number): facts.credit.get(number, ()) for number in facts.pulls},
    )


def _replaced(fix: Fix) -> tuple[int, ...]:
    """Give the pull requests that the work is offered instead of."""
    credit, every = fix.plan.credit, fix.facts.replace
    return tuple(
        each.pr
        for each in credit
        if (every or each.how == "mention") and each.pr in fix.facts.authors
    )


def _aside(fix: Fix) -> list[tuple[int, str]]:
    """Give what is said in public of items that are not worked on; of security reports nothing."""
    found: list[tuple[int, str]] = []
    for each in fixes.results(fix.plan, fix.facts, None):
        item = fix.plan.item(each.n)
        said = item.action in {Action.ALREADY_FIXED, Action.HUMAN} or each.n in fix.facts.left
        named = said or item.root_cause_id is not None
        worked = item.action in WORKED and each.n not in fix.facts.left
        used = each.n in fix.facts.pulls or each.n in _replaced(fix)
        if each.state == "security" or not named or worked or used:
            continue
        found.append((each.n, f"{each.state}: {each.why}"))
    return found


def _tried(
    fix: Fix, items: Sequence[PlanItem], sandbox: Sandbox, say: Say
) -> Iterator[tuple[PlanItem, str]]:
    """Run the test of each of these on the base, side by side, and say why it does not pass."""
    base, stop = fix.facts.base, threading.Event()
    with shift.trying(fix.site, sandbox, base, say=say) as bench:
        tree = bench.git.tree_of(base)

        def one(proof: Acceptance) -> str:
            if not holds(bench.git, base, proof.test_id):
                return f"the base holds no {proof.test_id}"
            check = Check(owner=f"accept:{proof.item}", run=proof.command)
            return passes(bench, check, base=base, tree=tree, stop=stop)

        with ThreadPoolExecutor(fix.site.settings.rules.slots) as pool:
            try:
                proofs = [each.proof for each in items if each.proof is not None]
                yield from zip(items, pool.map(one, proofs), strict=True)
            except BaseException as error:
                stop.set()  # whoever stops listening waits for no test
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, KeyboardInterrupt):
                    say("interrupted: no run was begun")
                raise


@cache
def _adapter() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)
