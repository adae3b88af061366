"""Survey and fix of the sample: what it asks, what it takes, what is proved, what kills leave.

The forge is the tests' own and the model a script on 127.0.0.1: no figure is about a real model.
``--think`` is how many seconds the script waits before each answer of a station's agent.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from measure import Report, arguments, machine, scratch

from examples.survey import judging, model, world
from tests.scripted.messages import Asked, Script, Step, answer
from tests.scripted.strict import tokens
from tests.system.test_surveys import Theme, settled, themed

FLIPS = 4
"""Every so manyth item is read otherwise the second time, by the model that is not sure."""


def thinking(seconds: int) -> Script:
    """Give the sample's model, which takes its time before each answer of an agent."""

    def script(asked: Asked) -> Step | None:
        if asked.tools and seconds:
            threading.Event().wait(seconds)
        return model.script(asked)

    return script


def unsure(asked: Asked) -> Step | None:
    """Answer as a model that reads every fourth item otherwise when it is asked again."""
    step = model.script(asked)
    if asked.tools or step is None:
        return step
    told: dict[str, Any] = json.loads(step.blocks[0]["text"])
    with _LOCK:
        for row in told.get("verdicts", ()):
            _READ[row["n"]] += 1
            if _READ[row["n"]] > 1 and row["n"] % FLIPS == 0:
                row |= {"class": "related", "of": 0}
    return answer(told)


_LOCK = threading.Lock()
_READ = Counter[int]()


@contextmanager
def sample(script: Script = model.script) -> Iterator[Theme]:
    """Give the sample with its forge and its model."""
    with scratch() as place, themed(place, script=script) as theme:
        yield theme


def surveyed(report: Report) -> None:
    """Survey once with each kind of model."""
    with sample() as theme:
        began = time.monotonic()
        told = theme.survey()
        report.add("survey: wall, s", time.monotonic() - began)
        held = judging.of_survey(told, theme.hub)
        report.add("survey: promises kept", f"{sum(held.values())} of {len(held)}")
        report.add("survey: requests to the forge", told["requests"])
        report.add("survey: writes to the forge", len(theme.hub.writes()))
        report.add("survey: calls to the model", len(theme.server.requests))
        sizes = [tokens(asked.size) for asked in theme.server.requests]
        report.add("survey: tokens of a call, mean", round(mean(sizes)))
        report.add("survey: tokens of a call, most", max(sizes))
        report.add("survey: items read twice", told["asked"])
        report.add("survey: verdict agreement (steady script)", told["agreement"])
        exploit = world.CANARIES[0].encode()
        seen = sum(exploit in asked.seen.raw for asked in theme.server.requests)
        report.add("survey: prompts with the security report", seen)
    _READ.clear()
    with sample(unsure) as theme:
        told = theme.survey()
        classes = Counter(row["class"] for row in told["items"])
        report.add("survey: verdict agreement (unsure script)", told["agreement"])
        report.add("survey: of its items, for a person", classes["needs_human"])


def fixed(report: Report, think: int) -> None:
    """Fix the survey; set the wall against the slowest station and the proof."""
    name = f"fix, {think} s an answer"
    with sample(thinking(think)) as theme:
        theme.survey()
        theme.fac("fix", "survey.json", "--plan-only", "--trust")
        began = time.monotonic()
        out = theme.fac("fix", "plan.json", "--yes", "--trust")
        wall = time.monotonic() - began
        told = theme.user.document("report", schema="factory.report/1", env=theme.env)
        [one] = judging.proposed(theme.hub)
        held = judging.of_pull(theme.hub, one, (out.decode(),))
        agents = [row for row in told["stations"] if row["kind"] == "code"]
        slowest = max(row["mean"] for row in agents)
        landed = landing(theme.user.checkout)
        report.add(f"{name}: wall of the command, s", wall)
        report.add(f"{name}: until the last landing, s", landed)
        report.add(f"{name}: slowest station, s", slowest)
        report.add(f"{name}: landing / slowest station", round(landed / slowest, 2))
        report.add(f"{name}: wall / slowest station", round(wall / slowest, 2))
        report.add(f"{name}: stations", len(agents))
        report.add(f"{name}: issues proved, 3 red and 3 green runs", len(one.closes))
        report.add(f"{name}: promises kept", f"{sum(held.values())} of {len(held)}")
        each = [row["spend"] for row in told["jobs"] if row["spend"]["calls"]]
        report.add(f"{name}: tokens in of an agent", spread(each, "tokens_in"))
        report.add(f"{name}: of these from the cache", spread(each, "tokens_cached"))
        report.add(f"{name}: tokens out of an agent", spread(each, "tokens_out"))
        first = [asked for asked in theme.server.requests if asked.tools and asked.turn == 0]
        report.add(f"{name}: tokens of an agent's first call", sizes_of(first))


def landing(checkout: Path) -> float:
    """Give the seconds from a run's start to the last time that its target moved."""
    from measure import events

    told = events(checkout)
    return max(at for at, event in told if event["kind"] == "advanced") - told[0][0]


def spread(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """Give the least and the most of a figure."""
    found = [row[key] or 0 for row in rows]
    return f"{min(found)} to {max(found)}" if found else "none"


def sizes_of(asked: Sequence[Asked]) -> str:
    """Give the least and the most tokens of some requests."""
    found = [tokens(each.size) for each in asked]
    return f"{min(found)} to {max(found)}" if found else "none"


def storm(report: Report, kills: int, seed: int) -> None:
    """Kill survey and fix so often, at random moments, and count what there is twice."""
    dice = random.Random(seed)  # noqa: S311  it picks what to kill
    done, worlds, twice, wrong = 0, 0, Counter[str](), list[str]()
    during = Counter[str]()
    while done < kills:
        with sample() as theme:
            kept = settled(theme, dice, kills=min(kills - done, 5))
            done += len(theme.kills)
            worlds += 1
            twice.update(theme.duplicates())
            wrong += [promise for promise, held in kept.items() if not held]
            during.update("delivering" if each.delivering else "before" for each in theme.kills)
    report.add("kills: kill -9 and resume", done)
    report.add("kills: of these while it delivered", during["delivering"])
    report.add("kills: worlds", worlds)
    for what, count in sorted(twice.items()):
        report.add(f"kills: duplicate {what}", count)
    report.add("kills: promises broken", ", ".join(wrong) or 0)


def main() -> None:
    """Measure all."""
    options = arguments(__doc__ or "", kills=3, think=12, seed=20261121)
    report = Report(name="survey", machine=machine())
    surveyed(report)
    for think in sorted({0, options.think}):
        fixed(report, think)
    storm(report, options.kills, options.seed)
    report.write()


if __name__ == "__main__":
    main()
