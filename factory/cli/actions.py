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
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.action.inputs import Inputs, Workflow
    from factory.action.seal import Made
    from factory.forge.gatekeeping import Pins
    from factory.line import Line
    from factory.repairing import Repair
    from factory.site import Site
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


GATE = 5
"""The exit code of what a gate refused."""


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
            self.facts["item"] = f"#{found.pins.number}"
        if found.silent:
            self.facts["no comment"] = "comments are switched off here"
        say(f"{self.told['status']}: {found.why}")
        return 0

    def _agent(self, pins: "Pins") -> int:
        from factory import shift
        from factory import site as sites
        from factory.action import gate, seal
        from factory.delivering import connected
        from factory.ending import exit_code
        from factory.views import show

        flow, given = self._flow, self._given
        options = options_of(
            deliver="branch",
            seats=given.seats,
            budget=f"{given.budget},{given.minutes}m",
            trust=True,
        )
        with contextlib.chdir(flow.workspace):
            site = here(options)
            seal.checked_out(site.repository, pins)
            with self._phase("reading"), connected(site, say=say) as forge:
                item, _ = gate.look(forge, pins.number)
                seal.unmoved(pins, item)
            with self._phase("reading"):
                jobs, repair = _jobs(site, pins)
            if not jobs:
                self.end("no-change", "there is nothing to repair")
                return 0
            with self._phase("proving the sandbox"):
                box = sites.sandbox_of(site, without=False)
            order = replace(order_of(jobs, options, box, repair), reproduce=True)
            with self._phase("working"), show.progress(site.environment, quiet=False) as watch:
                line = shift.start(site, order, watch=watch, say=say)
            with self._phase("sealing"):
                made = self._sealed(site, line, pins, repair)
        cost = made.account.cost.dollars if made.account is not None else None
        self.end(
            made.status,
            made.why,
            **{"bundle-sha256": made.digest, "cost-usd": cost or ""},
            bundle=str(made.folder or ""),
        )
        return exit_code(line)

    def _sealed(self, site: "Site", line: "Line", pins: "Pins", repair: "Repair | None") -> "Made":
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
        )
        if made.account is not None:
            self.more = body(made.account)
        return made

    def _apply(self, pins: "Pins") -> int:
        from factory.action import place, texts
        from factory.action.apply import Apply
        from factory.settings import workflow_access

        flow = self._flow
        with (
            self._phase("applying"),
            place.entered(flow, workflow_access(), say=say, wait=self._wait) as forge,
        ):
            done = Apply(
                forge=forge, flow=flow, given=self._given, pins=pins, wait=self._wait, say=say
            ).run()
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
        self.facts["item"] = f"#{pins.number}"
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
