"""The hands of our own loop: the calls of a model, each judged, done and answered once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from stations.runtimes import prompt
from stations.runtimes.closing import End, escalated, parted, reported
from stations.runtimes.conversation import Block, result
from stations.runtimes.ear import Ear
from stations.runtimes.prompt import Outline
from stations.runtimes.skills import Skill, body
from stations.runtimes.task import Step, Task
from stations.runtimes.toolbox_door import ToolboxDoor
from stations.runtimes.toolset import fault, plain

STRIKES: Final = 3
"""So many answers in a row without one valid call end an attempt."""
_SHOWN: Final = 24_000
_TAIL: Final = 4_000
_ENDING: Final = frozenset({"finish", "escalate", "split"})
_MAIN: Final = ("path", "pattern", "name", "summary", "reason")


class Hands:
    """What one attempt does in its sandbox; belongs to the thread that drives the attempt.

    ``results`` answer the calls of the last reply; ``end`` is set once one of them ended the work.
    ``left`` says what may still be spent, ``note`` keeps a line of what was done.
    """

    def __init__(
        self,
        task: Task,
        door: ToolboxDoor,
        *,
        ear: Ear,
        left: Callable[[], tuple[float, str]],
        note: Callable[[str], None],
    ) -> None:
        self.end: End | None = None
        self.results: list[Block] = []
        self._task, self._door, self._ear = task, door, ear
        self._left, self._note = left, note
        self._skills: Mapping[str, Skill] = {}
        self._strikes = 0

    def look(self) -> Outline:
        """See what the tree shows of itself."""
        brief, scope = self._task.assignment.brief, self._task.assignment.scope
        given = {"words": prompt.words(brief), "heads": prompt.heads(scope)}
        outline = prompt.parsed(self._door.ask("outline", given).value)
        self._skills = {skill.name: skill for skill in outline.skills}
        return outline

    def do_all(self, calls: Sequence[Block], unfit: Mapping[str, str]) -> Iterator[Step]:
        """Do the calls of one reply in their order; ``unfit`` says by id which cannot be done."""
        self.results = []
        valid = bad = False
        for call in calls:
            if self.end is not None:
                self._answer(call, "not done: the work was ended", good=False)
                continue
            name, given = call["name"], call["input"]
            yield Step(kind="tool", text=plain(f"{name} {_main(given)}", 200))
            wrong = unfit.get(call["id"]) or fault(self._task.spec.kind, name, given)
            if wrong:
                said, good = f"not done: {wrong}", False
            elif bad and name in _ENDING:
                said, good = "not taken: a call before it in the same answer did not work", False
            else:
                said, good = self._do(name, given)
            valid, bad = valid or not wrong, bad or not good
            self._answer(call, said, good=good)
            yield Step(kind="result", text=said.partition("\n")[0])
        self._strikes = 0 if valid else self._strikes + 1
        if self._strikes >= STRIKES:
            last = plain(str(self.results[-1]["content"]), 200)
            self.end = End(status="failed", fault=f"{STRIKES} times in a row: {last}")

    def _answer(self, call: Block, said: str, *, good: bool) -> None:
        self.results.append(result(call["id"], said, good=good))

    def _do(self, name: str, given: dict[str, Any]) -> tuple[str, bool]:
        match name:
            case "finish":
                return self._close(reported(given), claims=given.get("files", ()))
            case "escalate":
                return self._close(escalated(given))
            case "split":
                return self._close(parted(given["jobs"], self._task.assignment))
            case "status":
                return self._status(), True
            case "skill":
                return self._skill(given["name"])
            case _:
                return self._use(name, given)

    def _close(self, end: End | str, *, claims: Sequence[str] = ()) -> tuple[str, bool]:
        """Take an end, unless something came between that its author has not seen."""
        if isinstance(end, str):
            return f"not taken: {end}", False
        if not self._ear.close_if_quiet():
            return "not taken yet: there is a word for you, see below", False
        self._compare(claims)
        self.end = end
        return "taken", True

    def _compare(self, claims: Sequence[str]) -> None:
        """Log what a report names and git does not see: the tree decides, but people may ask."""
        if not claims:
            return
        changed = self._door.ask("scope", {}).value.get("changed")
        seen = {str(path) for path in changed} if isinstance(changed, list) else set()
        if strange := sorted({claim.removeprefix("./") for claim in claims} - seen):
            named = plain(", ".join(strange), 200)
            step = Step(kind="result", text=f"it names files that are not changed: {named}")
            self._task.log(step.line.encode("utf-8", "replace"))

    def _use(self, name: str, given: dict[str, Any]) -> tuple[str, bool]:
        seconds = 0.0
        if name == "run":
            seconds = max(1.0, min(float(given["timeout_s"]), self._left()[0]))
            given = {**given, "timeout_s": int(seconds)}
        answer = self._door.ask(name, given, seconds=seconds)
        first = plain(answer.text.partition("\n")[0], 120)
        if name != "search":
            named = name == "run" or not answer.good
            self._note(plain(f"{name} {_main(given)}: {first}" if named else first, 150))
        return answer.text, answer.good

    def _status(self) -> str:
        brief = self._task.assignment.brief
        listed = prompt.names(self._task.spec.commands)
        commands = "; ".join(f"{n}: {name}" for n, name in enumerate(listed, 1))
        parts = [f"job: {brief.title}\n{brief.text[:_SHOWN]}"]
        parts += [f"told: {words}" for words in (*brief.told, *self._ear.heard)]
        parts += [f"it failed before:\n{brief.failure[-_TAIL:]}"] if brief.failure else []
        parts += [f"{job} found: {found[:_SHOWN]}" for job, found in brief.found.items()]
        parts += [self._door.ask("scope", {}).text, f"commands for run: {commands or 'none'}"]
        parts += [f"left: {self._left()[1]}"]
        return "\n".join((*parts, "what you may not do here: escalate(reason, need) asks for it"))

    def _skill(self, name: str) -> tuple[str, bool]:
        if name not in self._skills:
            return f"there is no such skill; there are {', '.join(self._skills) or 'none'}", False
        answer = self._door.ask("read", {"path": self._skills[name].path})
        if not answer.good:
            return answer.text, False
        head, _, text = answer.text.partition("\n")
        return f"{head}\n{body(text)}", True


def _main(given: object) -> str:
    if not isinstance(given, dict):
        return ""
    return next((given[key] for key in _MAIN if isinstance(given.get(key), str)), "")
