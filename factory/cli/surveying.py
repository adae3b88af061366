"""The command that surveys a repository's issues and pull requests about one theme."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.cli.splitting import ENDS
from factory.complaint import Complaint
from factory.wording import block, clean, count, cut, span

if TYPE_CHECKING:
    from factory.forge.connecting import Forge
    from factory.site import Site
    from factory.survey.page import Kept
    from factory.survey.values import Survey
    from factory.surveying import Desk, Question, Surveyed
    from factory.views.schemas import ExplainDocument

_REPO: Final = re.compile(r"([A-Za-z0-9_.-]{1,100})/([A-Za-z0-9_.-]{1,100})")
_LONGEST: Final = 256
_RATE: Final = 75
_NEXT: Final = {
    "budget": "the same command with a larger --budget",
    "denied": "`factory doctor`, then the same command",
}
"""What to do when readers stopped, by why."""
_ITEM: Final = re.compile(r"gh:|https?://")
_WIDTH: Final = 100


@command(
    "survey",
    short="Read the issues and pull requests about one theme: what they share, what each one is.",
    examples=(
        'factory survey "proxy handling"        write survey.json and survey.md here',
        "factory survey gh:12 --out surveys    begin with issue 12",
        'factory survey "proxy handling" --explain 34   why 34 is in it or out',
        'factory survey "proxy handling" --no-model     ranked and grouped, not classified',
        "factory fix survey.json               one strategy, one change",
    ),
    text="It writes nothing to the forge. Readers have no tools; code checks each quote. Security"
    " reports are set aside and shown to no model. A survey that was stopped goes on where it was.",
)
def survey_command(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="A theme, gh:12 or an issue's address.")
    ],
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="OWNER/NAME", help="Another repository of this forge."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", min=1, help="Begin with this item, too."),
    ] = None,
    most: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=100, help="Keep at most so many items.")
    ] = 40,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the two files go.")
    ] = Path(),
    explain: Annotated[
        int | None,
        typer.Option("--explain", metavar="N", min=1, help="Say why this item is in or out."),
    ] = None,
    max_wait: Annotated[
        str | None,
        typer.Option("--max-wait", metavar="TIME", help="Wait for limits so long in all (10m)."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="LIMITS", help='For instance "1" (USD).')
    ] = None,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Ask no model; nothing is classified.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow the repository's own configuration.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace other files there.")] = False,
    json: Json = False,
) -> int:
    """Make the survey, or explain one that is there."""
    from factory.survey import writing

    _check_words(query)
    options = {"budget": budget, "forge.max_wait": max_wait}
    site = here({name: value for name, value in options.items() if value is not None})
    with ExitStack() as stack:
        forge = stack.enter_context(_forge(site, repo, trust=trust))
        question = _question(query, forge, seed or (), most)
        asked = writing.Asked(
            repo=forge.repo.full.lower(), query=question.query, seeds=question.seeds
        )
        known = None if force and explain is None else writing.earlier(out, asked)
        if explain is not None and known is not None:
            _explain(site, forge, known, explain, json=json)
            return 0
        try:
            made = _surveyed(site, forge, question, trust=trust, no_model=no_model)
        except KeyboardInterrupt:
            say("what was learned so far is kept: the same command goes on from there")
            raise
        data, page = writing.write(out, made.survey, force=force)
        say(f"wrote {data} and {page}")
        if explain is None:
            _tell(made.survey, json=json)
        else:
            _explain(site, forge, made.survey, explain, json=json)
    return _code(made)


def _check_words(query: str) -> None:
    if not query.strip():
        raise Complaint("the query says nothing", hint='factory survey "proxy handling"')
    if len(query) > _LONGEST:
        raise Complaint(
            f"the query is longer than {_LONGEST} characters",
            hint="name the theme in a few words, or begin with an item: gh:12",
        )


@contextmanager
def _forge(site: "Site", repo: str | None, *, trust: bool) -> "Iterator[Forge]":
    from factory import settings as configuration
    from factory import site as sites
    from factory.forge.connecting import connect
    from factory.forge.values import Repo

    named = None
    if repo is not None:
        parts = _REPO.fullmatch(repo)
        if parts is None or {parts[1], parts[2]} & {".", ".."}:
            raise Complaint(f"{clean(repo)!r} names no repository", hint="--repo OWNER/NAME")
        named = Repo(owner=parts[1], name=parts[2], host="")
    sites.check_forge(site, given=trust)
    access = configuration.forge_access(site.settings)
    with connect(site.repository, access, say=say, repo=named) as forge:
        yield forge


def _question(query: str, forge: "Forge", seeds: Sequence[int], most: int) -> "Question":
    """Give what is asked; an item that stands for the theme is a seed."""
    from factory import pulling
    from factory.surveying import Question

    told = " ".join(query.split())
    if _ITEM.match(told):
        # A pull request is as good a seed as an issue.
        number = pulling.number_of(told.replace("/pull/", "/issues/"), forge.repo)
        told, seeds = f"gh:{number}", (number, *seeds)
    return Question(
        repo=forge.repo.full,
        query=clean(told),
        seeds=tuple(sorted(set(seeds))),
        most=most,
    )


def _surveyed(
    site: "Site", forge: "Forge", question: "Question", *, trust: bool, no_model: bool
) -> "Surveyed":
    from datetime import UTC, datetime

    from factory import surveying
    from factory.survey.gathering import LIMIT, gather
    from factory.survey.mirror import Mirror, path_of
    from factory.surveying import Desk
    from stations.bench import tracked

    head = site.repository.git.resolve("HEAD")
    path = path_of(site.repository.common, forge.repo)
    with Mirror(path, forge.repo, say=say) as mirror, ExitStack() as stack:
        desk = Desk(
            reader=None,
            remarks=mirror.comments,
            tracked=() if head is None else tracked(site.repository.git, head),
            calls=tuple,
            say=say,
            now=lambda: datetime.now(UTC),
        )
        if not no_model:
            desk = stack.enter_context(_with_reader(site, desk, path, trust=trust))
        say(f"gathering items of {clean(forge.repo.full)}")
        found = gather(
            mirror,
            forge.door,
            "" if _ITEM.match(question.query) else question.query,
            question.seeds,
            now=datetime.now(UTC),
            limit=max(LIMIT, surveying.read_at_most(question.most)),
            max_wait=site.settings.forge.max_wait,
            say=say,
        )
        waits = f", {span(found.waited)} of waiting" if found.waited else ""
        say(
            f"{count(len(found.candidates), 'item')} scored,"
            f" {count(found.requests, 'request')}{waits}"
        )
        if not found.complete:
            say(f"not complete: {clean(found.why)}")
        return surveying.conclude(desk, question, found)


@contextmanager
def _with_reader(site: "Site", desk: "Desk", mirror: Path, *, trust: bool) -> "Iterator[Desk]":
    """Give the desk with a reader, where there is a key for one."""
    import time
    from dataclasses import replace

    from factory import models
    from factory import site as sites
    from factory.models import Models
    from factory.survey import reading
    from factory.survey.readings import Readings
    from stations.models import tiers
    from worktrees.names import RunId

    settings = site.settings
    provider = models.provider_of(settings, "anthropic")
    if not provider.key:
        say("no key for a model: items are ranked and grouped, and left unclassified")
        yield desk
        return
    sites.check_trust(site, given=trust)
    model = tiers.resolve(reading.TIER, 0, settings.models)
    models.check_prices(settings, (model,), who="`factory survey`")
    run = RunId(f"survey-{sites.new_run()}")
    with (
        Models(
            settings, site.ledger, run, path=site.environment.path, now=time.time, warn=say
        ) as shared,
        Readings(mirror.with_suffix(".readings.sqlite")) as readings,
    ):
        reader = reading.Reader(
            caller=shared.caller(), model=model, run=run, readings=readings, say=say
        )
        yield replace(desk, reader=reader, calls=lambda: shared.calls.of_run(run))


def _explain(site: "Site", forge: "Forge", survey: "Survey", number: int, *, json: bool) -> None:
    """Say why an item is in a survey or out of it; nothing is asked of anybody."""
    from factory.survey import page

    lines = page.explained(survey, number) or _unscored(site, forge, number)
    if json:
        found: ExplainDocument = {
            "schema": "factory.explain/1",
            "n": number,
            "why": list(lines),
        }
        emit(found)
    else:
        print("\n".join(block(line) for line in lines))


def _unscored(site: "Site", forge: "Forge", number: int) -> tuple[str, ...]:
    """Say what is known of an item that nothing spoke for."""
    from factory.survey import security
    from factory.survey.mirror import Mirror, path_of

    path = path_of(site.repository.common, forge.repo)
    item, remarks = None, list[str]()
    if path.exists():
        with Mirror(path, forge.repo, say=say) as mirror:
            item = mirror.item(number)
            remarks += [remark.body for remark in mirror.comments(number)]
    if item is None:
        raise Complaint(
            f"{number} is not known: no issue or pull request of {clean(forge.repo.full)} had it"
            " when the mirror was last brought up to date",
            hint="look at the number, or make the survey anew without --explain",
        )
    if security.suspicion(item, remarks):
        return (f"{number} is out, and set aside for a maintainer. Nothing of it is shown.",)
    return (
        f'{number} is out: "{cut(clean(item.title), _WIDTH)}"',
        "  nothing spoke for it: no word of the theme, no search result, no link from a candidate,",
        "  no file that a candidate shares",
    )


def _tell(survey: "Survey", *, json: bool) -> None:
    from factory.survey import document, page

    if json:
        emit(document.document(survey))
        return
    if survey.theme:
        print(cut(clean(survey.theme), 3 * _WIDTH))
    items = page.kept(survey)
    for cause in survey.causes:
        print(f"\n{cause.id}  {cut(clean(cause.statement), 3 * _WIDTH)}")
        for number in cause.items:
            print(_line(items[number]))
    rest = [one for one in items.values() if one.finding.cause is None]
    if rest:
        print("\nunder no cause" if survey.causes else "\nitems")
        for one in rest:
            print(_line(one))
    if survey.quarantined:
        print(f"\n{count(len(survey.quarantined), 'item')} set aside for a maintainer")
    print(
        f"\n{count(len(items), 'item')} kept, {len(survey.left_out)} left out{page.agreed(survey)}"
    )
    if survey.model:
        say(page.spent(survey))


def _line(one: "Kept") -> str:
    from factory.survey import page

    item = one.item
    kind = "pull" if item.kind == "pull" else "issue"
    return (
        f"  {item.number:>6}  {item.state:<6} {kind:<5}  {page.verdict_of(one.finding):<20}"
        f"  {cut(clean(item.title), _WIDTH)}"
    )


def _code(made: "Surveyed") -> int:
    """Give the exit code, and say what to do next where something is missing."""
    from factory.ending import RANK

    if made.survey.complete:
        return 0
    say(f"not complete: {clean(made.survey.why)}")
    codes = [] if made.cause is None else [ENDS.get(made.cause, (1, ""))[0]]
    if made.limited:
        codes.append(_RATE)
    hint = _NEXT.get(made.cause or "", "the same command, later")
    say(f"what was learned is kept; to go on: {hint}")
    return min(codes, key=RANK.index)


def survey_of(site: "Site", query: str, *, seeds: Sequence[int], most: int) -> "Surveyed":
    """Survey a theme where nobody types: the configuration was found to be trusted before."""
    with _forge(site, None, trust=True) as forge:
        question = _question(query, forge, seeds, most)
        return _surveyed(site, forge, question, trust=True, no_model=False)
