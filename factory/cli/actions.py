"""The command that is the GitHub Action: three roles, each in a job of its own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.cli.running import options_of, order_of
from factory.cli.splitting import ENDS
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.action.inputs import Inputs, Workflow
    from factory.action.seal import Made
    from factory.fixing import Fix
    from factory.forge.gatekeeping import Pins
    from factory.line import Line
    from factory.repairing import Repair
    from factory.shift import Order
    from factory.site import Site
    from factory.surveying import Surveyed
    from stations.contract import Job

Role = Literal["gate", "agent", "apply"]


@command(
    "action",
    short="Be one of the GitHub Action's three roles; action.yml calls it.",
    examples=("factory action gate", "factory action agent", "factory action apply"),
    text="The gate decides who may start the work, the agent does it without any right to write,"
    " apply writes without running anything. All input comes from the workflow's environment.",
)
def action_command(
    role: Annotated[Role, typer.Argument(metavar="gate|agent|apply", help="Which role.")],
    json: Json = False,
) -> int:
    """Do the job of one role, and tell the workflow what became of it."""
    from factory.action import inputs, outputs, texts
    from factory.forge.failures import ForgeError
    from factory.settings import variables

    given = variables(*inputs.PREFIXES)
    flow = inputs.workflow(given)
    asked = inputs.inputs(given, flow.repository)
    step = _Step(role, flow, asked)
    try:
        code = step.run()
    except Complaint as complaint:
        step.end("blocked" if complaint.code == GATE else "failed", complaint.what)
        raise
    except ForgeError as error:
        step.end("failed", f"the forge: {error.message}")
        raise
    except Exception as error:
        step.end("failed", f"an unexpected {type(error).__name__}, which the log names")
        raise
    finally:
        outputs.put(flow.output, step.told)
        summary = texts.summary(
            role, step.told["status"], facts=step.facts, phases=step.phases, more=step.more
        )
        outputs.summarise(flow.summary, summary)
    if json:
        emit({"schema": "factory.action/1", "role": role, **step.told, "exit": code})
    return code


GATE, WAITS, LIMITED = 5, 4, 75
"""The exit codes of what a gate refused, of what waits for a person, and of a forge's limit."""
PLAN = "plan.json"


class _Step:
    """One role at work: what it tells later steps, and how long each phase of it took."""

    def __init__(self, role: Role, flow: "Workflow", given: "Inputs") -> None:
        self.told: dict[str, str] = {"status": "failed", "why": "it was interrupted"}
        self.facts: dict[str, str] = {}
        self.phases: dict[str, float] = {}
        self.more = ""
        self._role, self._flow, self._given = role, flow, given
        self._wait = threading.Event().wait

    def run(self) -> int:
        """Do the job of the role and give the exit code."""
        match self._role:
            case "gate":
                return self._gate()
            case "agent":
                return self._agent(self._pins())
            case "apply":
                return self._apply(self._pins())

    def end(self, status: str, why: str, **more: str) -> None:
        """Say how it ended."""
        from factory.forge.texts import REASON, field, plain
        from factory.wording import masked

        self.told |= {"status": status, "why": plain(masked(why), most=REASON), **more}
        self.facts["why"] = field(masked(why), most=REASON)

    def _name(self, pins: "Pins") -> None:
        from factory.forge.texts import field

        if pins.number:
            self.facts["item"] = f"#{pins.number}"
        if pins.query:
            self.facts["theme"] = field(pins.query)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - began

    def _pins(self) -> "Pins":
        if self._given.pins is None:
            raise Complaint(
                f"the role {self._role} needs the input `pins`",
                hint="pass the gate's output of that name",
            )
        return self._given.pins

    def _gate(self) -> int:
        from factory.action import gate, place
        from factory.settings import workflow_access

        flow = self._flow
        with (
            self._phase("deciding"),
            place.entered(flow, workflow_access(), say=say, wait=self._wait) as forge,
        ):
            found = gate.run(forge, flow, self._given, wait=self._wait)
        self.end("go" if found.go else "skipped", found.why)
        if found.pins is not None:
            self.told |= {"pins": found.pins.text, "base-sha": found.pins.base}
            self._name(found.pins)
        if found.silent:
            self.facts["no comment"] = "comments are switched off here"
        say(f"{self.told['status']}: {found.why}")
        return 0

    def _agent(self, pins: "Pins") -> int:
        from factory.action import gate, seal
        from factory.delivering import connected

        given = self._given
        options = options_of(
            deliver="branch",
            seats=given.seats,
            budget=f"{given.budget},{given.minutes}m",
            trust=True,
        )
        with contextlib.chdir(self._flow.workspace):
            site = here(options)
            seal.checked_out(site.repository, pins)
            if pins.number:
                with self._phase("reading"), connected(site, say=say) as forge:
                    item, _ = gate.look(forge, pins.number)
                    seal.unmoved(pins, item)
            match pins.command:
                case "survey":
                    return self._survey(site, pins)
                case "fix":
                    return self._fix(site, pins, options)
                case _:
                    return self._run(site, pins, options)

    def _run(self, site: "Site", pins: "Pins", options: "dict[str, str]") -> int:
        """Do the item's own work."""
        from factory import site as sites

        with self._phase("reading"):
            jobs, repair = _jobs(site, pins)
        if not jobs:
            self.end("no-change", "there is nothing to repair")
            return 0
        with self._phase("proving the sandbox"):
            box = sites.sandbox_of(site, without=False)
        order = replace(order_of(jobs, options, box, repair), reproduce=True)
        return self._worked(site, order, pins, repair=repair)

    def _survey(self, site: "Site", pins: "Pins") -> int:
        """Read what belongs to a theme, and close it for the role that may comment."""
        from factory.action import findings
        from factory.survey import page

        with self._phase("surveying"):
            made = _surveyed(site, pins, self._given)
        survey = made.survey
        folder = self._flow.temp / self._given.folder
        digest = findings.write(folder, survey)
        self.more = page.page(survey, public=True)
        why = f"{len(survey.candidates)} items are kept, {len(survey.causes)} root causes"
        whole = why if survey.complete else f"{why}; not complete: {survey.why}"
        self.end("changed", whole, **{"bundle-sha256": digest}, bundle=str(folder))
        return _unfinished(made)

    def _fix(self, site: "Site", pins: "Pins", options: "dict[str, str]") -> int:
        """Survey a theme, make one plan of it and carry it out, as far as no person is needed."""
        from factory import fixing, strategizing
        from factory import site as sites
        from factory.strategy import rules
        from factory.survey import page
        from stations.models.values import ModelError
        from worktrees.names import Oid, RunId

        with self._phase("surveying"):
            surveyed = _surveyed(site, pins, self._given)
        survey = surveyed.survey
        self.more = page.page(survey, public=True)
        if not survey.complete:
            self.end("failed", f"the survey is not complete: {survey.why}")
            return _unfinished(surveyed)
        with self._phase("planning"):
            run = RunId(f"fix-{sites.new_run()}")
            base = Oid(pins.base)
            try:
                made = strategizing.planned(site, survey, base=base, run=run, model=True, say=say)
            except ModelError as error:
                code, hint = ENDS.get(error.cause, (1, "start it again"))
                raise Complaint(f"no strategy: {error}", hint=hint, code=code) from error
        held = rules.waits(made.plan)
        if held:
            self.end("failed", f"a person has to decide: {'; '.join(held)}")
            return WAITS
        with self._phase("proving the sandbox"):
            box = sites.sandbox_of(site, without=False)
        with self._phase("looking again"):
            ready = fixing.prepare(site, made.plan, path=PLAN, replaces=False, say=say)
            ready = fixing.prove(ready, box, say=say)
        if not ready.jobs:
            self.end("no-change", "no item of the plan is to be worked on")
            return 0
        order = replace(fixing.order(ready, options, box), reproduce=True)
        return self._worked(ready.site, order, pins, fix=ready)

    def _worked(
        self,
        site: "Site",
        order: "Order",
        pins: "Pins",
        *,
        repair: "Repair | None" = None,
        fix: "Fix | None" = None,
    ) -> int:
        """Let the line work, and close what landed."""
        from factory import shift
        from factory.ending import exit_code
        from factory.views import show

        with self._phase("working"), show.progress(site.environment, quiet=False) as watch:
            line = shift.start(site, order, watch=watch, say=say)
        with self._phase("sealing"):
            made = self._sealed(site, line, pins, repair, fix)
        cost = made.account.cost.dollars if made.account is not None else None
        self.end(
            made.status,
            made.why,
            **{"bundle-sha256": made.digest, "cost-usd": cost or ""},
            bundle=str(made.folder or ""),
        )
        return exit_code(line)

    def _sealed(
        self,
        site: "Site",
        line: "Line",
        pins: "Pins",
        repair: "Repair | None",
        fix: "Fix | None",
    ) -> "Made":
        """Show the report of the run, and close what landed."""
        from factory import calls
        from factory.action import seal
        from factory.forge.texts import body
        from factory.ledger import Ledger
        from factory.views import documents, show

        with Ledger(site.ledger, read_only=True) as ledger:
            records = tuple(ledger.records(line.run))
        asked = calls.of_run(site.ledger, line.run)
        show.report(documents.report_document(line, records, asked))
        made = seal.made(
            site.repository,
            line,
            records,
            asked,
            flow=self._flow,
            given=self._given,
            pins=pins,
            errand=repair.errand if repair is not None else None,
            fix=fix,
        )
        if made.account is not None:
            self.more = f"{body(made.account)}\n{self.more}"
        return made

    def _apply(self, pins: "Pins") -> int:
        from factory.action import place, texts
        from factory.action.apply import Apply
        from factory.action.findings import Comment
        from factory.settings import workflow_access

        flow = self._flow
        with (
            self._phase("applying"),
            place.entered(flow, workflow_access(), say=say, wait=self._wait) as forge,
        ):
            done = (
                Comment(forge=forge, flow=flow, given=self._given, pins=pins, wait=self._wait).run()
                if pins.command == "survey"
                else Apply(
                    forge=forge, flow=flow, given=self._given, pins=pins, wait=self._wait, say=say
                ).run()
            )
        self.end(
            done.status,
            done.why,
            branch=done.branch,
            **{
                "pull-request-number": str(done.number or ""),
                "pull-request-url": done.url,
                "pull-request-operation": done.operation,
            },
        )
        self._name(pins)
        if done.number:
            self.facts["pull request"] = f"#{done.number} ({done.operation})"
        if done.silent:
            # Comments are switched off: the page of the run is where it can be read.
            self.more = done.said
        self.more = "\n\n".join(part for part in (self.more, texts.findings(done.findings)) if part)
        say(f"{done.status}: {done.why}")
        for finding in done.findings:
            say(f"  {finding}")
        return done.code


def _unfinished(made: "Surveyed") -> int:
    """Give the exit code of a survey: 0 when nothing is missing."""
    if made.survey.complete:
        return 0
    return LIMITED if made.cause is None else ENDS.get(made.cause, (1, ""))[0]


def _surveyed(site: "Site", pins: "Pins", given: "Inputs") -> "Surveyed":
    """Survey what the pins name."""
    from factory.cli.surveying import survey_of

    seeds = (pins.number,) if pins.number else ()
    query = pins.query or f"gh:{pins.number}"
    return survey_of(site, query, seeds=seeds, most=given.items)


def _jobs(site: "Site", pins: "Pins") -> "tuple[list[Job], Repair | None]":
    """Give the jobs that an item asks for, and what is repaired when it is a pull request."""
    from factory import pulling, repairing
    from factory.delivering import connected

    with connected(site, say=say) as forge:
        if not pins.is_pull:
            taken = {job.id for job in site.settings.jobs}
            words = [f"gh:{pins.number}"]
            found = pulling.jobs_of(forge, site.settings.rules, words, only=None, taken=taken)
            return list(found), None
        repair = repairing.read(site, forge, pins.number, only=None, say=say)
    if repair.errand.head != pins.head:
        raise Complaint(
            f"the head of #{pins.number} moved since it was asked for",
            hint="start it again",
            code=5,
        )
    for text in repair.left:
        say(f"left out: {text}")
    return list(repair.jobs), repair
