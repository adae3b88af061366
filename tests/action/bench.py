"""A bench for the roles in this process: a hub, a workflow's facts, and changes sealed by hand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.action import bundle, gate, place
from factory.action.apply import Applied, Apply
from factory.action.gate import Gated
from factory.action.inputs import Inputs, Workflow, inputs
from factory.forge.access import Access
from factory.forge.connecting import Forge
from factory.forge.gatekeeping import Ask as Asked
from factory.forge.gatekeeping import Pins, admitted
from factory.forge.texts import Account, Claim, Cost
from factory.forge.texts import Asked as Job
from tests.action.workflow import BOT, TOY, powers
from tests.conftest import commit_files
from tests.forge.client import clone
from tests.forge.hub import Hub
from worktrees.change import entries
from worktrees.git import Repository, open_repository
from worktrees.names import JobId, Oid, RunId
from worktrees.sealed import seal


@dataclass(slots=True, kw_only=True)
class Bench:
    """One workflow's run against the hub; waiting takes no time here."""

    hub: Hub
    place: Path
    number: int = 101
    waits: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    powers: Mapping[str, str] = field(default_factory=dict)
    """What the tokens may beyond what the example workflows give them."""

    def flow(self, *, event: str = "issue_comment", actor: str = "mona") -> Workflow:
        """Give the facts of the run."""
        temp = self.place / "temp"
        temp.mkdir(exist_ok=True)
        return Workflow(
            event=event,
            event_file=self.place / "event.json",
            repository=TOY,
            api_url=self.hub.api_url,
            server_url=self.hub.url,
            run=str(self.number),
            actor=actor,
            workspace=self.place,
            temp=temp,
            output=self.place / "output",
            summary=self.place / "summary",
        )

    def inputs(self, **given: str) -> Inputs:
        """Give the inputs, as action.yml hands them over."""
        return inputs({f"INPUT_{name.upper()}": text for name, text in given.items()}, TOY)

    @contextmanager
    def entered(self, role: str) -> Iterator[Forge]:
        """Enter the forge with the token of a role's job."""
        token = self.hub.token(BOT, "write", areas={**powers("factory-issue", role), **self.powers})
        access = Access(token=token, ambient_url=self.hub.api_url)
        with place.entered(
            self.flow(), access, say=self.said.append, wait=self.waits.append
        ) as forge:
            yield forge

    def gate(
        self, payload: str, *, actor: str = "mona", event: str = "issue_comment", **given: str
    ) -> Gated:
        """Let the gate decide on an event."""
        flow = self.flow(actor=actor, event=event)
        flow.event_file.write_text(payload)
        with self.entered("gate") as forge:
            return gate.run(forge, flow, self.inputs(**given), wait=self.waits.append)

    def pins(self, number: int) -> Pins:
        """Pin an item as it is now."""
        with self.entered("gate") as forge:
            item, base = gate.look(forge, number)
            found = admitted(Asked(actor="mona", bot=False, number=number), item, base)
        assert isinstance(found, Pins)
        return found

    def clone(self) -> Repository:
        """Give the agent's own clone."""
        where = self.place / "clone"
        if not where.exists():
            clone(self.hub, self.hub.token("mona", "write"), TOY, where)
        return open_repository(where)

    def apply(self, pins: Pins, **given: str) -> Applied:
        """Let the writing role do its job."""
        with self.entered("apply") as forge:
            return Apply(
                forge=forge,
                flow=self.flow(),
                given=self.inputs(**given),
                pins=pins,
                wait=self.waits.append,
                say=self.said.append,
            ).run()

    def change(
        self,
        pins: Pins,
        files: Mapping[str, str | bytes | None],
        **told: Any,
    ) -> str:
        """Seal a change of these files; give the digest that crosses beside the folder."""
        base = Oid(pins.head or pins.base)
        return self.sealed(pins, commit_files(self.clone(), base, files), **told)

    def sealed(self, pins: Pins, head: Oid, **told: Any) -> str:
        """Seal a commit; ``told`` replaces what the account or the manifest says."""
        git = self.clone().git
        base = Oid(pins.head or pins.base)
        names = ("number", "plan", "seen", "built", "round", "base", "tree")
        manifest = {name: told.pop(name) for name in names if name in told}
        answered = told.pop("answered", ())
        evidence = told.pop("evidence", ())
        account = Account(
            **{
                "run": RunId("run-1"),
                "line": "0123456789abcdef",
                "onto": pins.branch,
                "base": base,
                "commit": head,
                "tree": git.tree_of(head),
                "asked": (
                    Job(job=JobId("gh-1"), title="A bug", claims=(Claim(issue=pins.number),)),
                ),
                "touched": (),
                "landings": 1,
                "checks": ("tests: sh check.sh",),
                "trials": 1,
                "reds": 0,
                "findings": (),
                "cost": Cost(
                    dollars=None, basis="exact", calls=0, tokens_in=0, tokens_out=0, seconds=1.0
                ),
                "left_out": {},
                **told,
            }
        )
        temp = self.flow().temp
        return bundle.write(
            temp / "factory-bundle",
            change=seal(git, base, head),
            report="A report.",
            account=account,
            repository=TOY,
            answered=answered,
            evidence=evidence,
            entries=entries(git, base, head)[:10],
            head=head,
            **{
                "number": pins.number,
                "round": 1 if pins.is_pull else 0,
                "base": base,
                "tree": git.tree_of(head),
                **manifest,
            },
        )

    def ours(self, number: int) -> list[str]:
        """Give what the Action said on an item."""
        return [each.body for each in self.hub.comments(TOY, number) if each.author == BOT]

    def branches(self) -> list[str]:
        """Give the branches of pull requests of ours."""
        return sorted(self.hub.repo(TOY).bare.refs("refs/heads/factory"))
