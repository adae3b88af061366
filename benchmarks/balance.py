"""The closed loop on the real floor: command agents whose service times are scripted.

Each scenario is run twice on the same repository and jobs: with the loop (mode = "auto") and
without it (mode = "off"), which is its baseline.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from measure import Report, Run, arguments, events, factory, machine, repository, scratch

AGENT = 'd="jobs/$FACTORY_JOB"; mkdir -p "$d"; echo "$FACTORY_ATTEMPT" > "$d/made.txt"\n'
CODE = """
[[station]]
name = "code"
scope = ["jobs/**"]
agent = { runtime = "command", run = ["sh", "agent.sh"] }
{code}
"""
TESTS = """
[[station]]
name = "tests"
kind = "test"
run = ["sh", "check.sh"]
"""
REVIEW = """
[[station]]
name = "second-look"
kind = "review"
seats = 1
required = false
agent = { runtime = "command", run = ["sh", "review.sh"] }
"""
REPAIR = """
[[station]]
name = "repair"
kind = "cleanup"
seats = 1
scope = ["jobs/**"]
agent = { runtime = "command", run = ["sh", "repair.sh"] }
"""
RED_THIRD = 'case $FACTORY_JOB in *[0369]) echo BUG >> "$d/made.txt";; esac\n'
SLOPPY = 'case $FACTORY_JOB in *[02468]) echo BUG >> "$d/made.txt";; esac\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A line with one thing wrong with it."""

    name: str
    jobs: int
    seats: int
    slots: int
    stations: tuple[str, ...]
    files: Mapping[str, str]
    pace: str = ""
    code: str = ""
    wrong: str = ""
    """The station that the loop is to name; empty: an attempt."""
    options: Mapping[str, str] = field(default_factory=dict)


def scenarios(unit: float) -> tuple[Scenario, ...]:
    """Give the scenarios; ``unit`` are the seconds of an ordinary visit."""
    work, slow = f"sleep {unit}\n", f"sleep {6 * unit}\n"
    green = "! grep -rq BUG jobs\n"
    straggles = f'if [ "$FACTORY_JOB$FACTORY_ATTEMPT" = j151 ]; then sleep {60 * unit}; fi\n'
    return (
        Scenario(
            name="tests six times as slow as agents, a third of the work red at first",
            jobs=70,
            seats=4,
            slots=1,
            stations=(CODE, TESTS, REPAIR),
            files={
                "agent.sh": work + AGENT + RED_THIRD,
                "check.sh": slow + green,
                "repair.sh": f"sleep {unit / 2}\nsed -i /BUG/d jobs/$FACTORY_JOB/made.txt\n",
            },
            pace="max_seats = 6",
            wrong="tests",
        ),
        Scenario(
            name="one attempt that hangs",
            jobs=30,
            seats=3,
            slots=2,
            stations=(CODE, TESTS),
            files={"agent.sh": straggles + work + AGENT, "check.sh": green},
            wrong="",
        ),
        Scenario(
            name="an optional review is the constraint",
            jobs=50,
            seats=6,
            slots=2,
            stations=(CODE, REVIEW, TESTS),
            files={
                "agent.sh": work + AGENT,
                "check.sh": green,
                "review.sh": f"sleep {8 * unit}\n",
            },
            pace="allow_retire = true",
            wrong="second-look",
        ),
        Scenario(
            name="a fast and sloppy station floods the repair",
            jobs=70,
            seats=6,
            slots=2,
            stations=(CODE, TESTS, REPAIR),
            files={
                "agent.sh": f"sleep {unit / 4}\n{AGENT}{SLOPPY}",
                "check.sh": green,
                "repair.sh": f"sleep {2 * unit}\nsed -i /BUG/d jobs/$FACTORY_JOB/made.txt\n",
            },
            wrong="repair",
        ),
    )


def place_of(room: Path, scenario: Scenario, mode: str) -> Path:
    """Make the repository of a scenario."""
    jobs = "".join(
        f'[[job]]\nid = "j{n}"\ntitle = "Do {n}"\nbrief = "part {n}"\nscope = ["jobs/j{n}/**"]\n'
        'station = "code"\n'
        for n in range(scenario.jobs)
    )
    stations = "".join(scenario.stations).replace("{code}", scenario.code)
    head = f"version = 1\n[line]\nseats = {scenario.seats}\n[gate]\nslots = {scenario.slots}\n"
    pace = f'[pace]\nmode = "{mode}"\n{scenario.pace}\n'
    made = {f"jobs/j{n}/made.txt": "0\n" for n in range(scenario.jobs)}
    files = {**scenario.files, **made, "factory.toml": head + pace + stations + jobs}
    return repository(room / re.sub(r"\W+", "-", f"{scenario.name} {mode}"), files)


def rates(place: Path) -> tuple[float, float]:
    """Give landings per hour before and after the first change that the loop made to the line.

    After it, only the second half counts: what was under way still tells of the line as it was.
    """
    ships, changed = [], None
    for at, event in events(place):
        if event["kind"] == "advanced":
            ships += [at] * len(event["jobs"])
        lasts = event["kind"] == "decided" and event["chosen"]["change"]["kind"] != "replace"
        if lasts and event["applied"] and changed is None:
            changed = at
    end = ships[-1]
    if changed is None:
        return per_hour(ships), per_hour(ships)
    middle = (changed + end) / 2
    return per_hour([s for s in ships if s <= changed]), per_hour([s for s in ships if s >= middle])


def per_hour(ships: list[float]) -> float:
    """Give landings per hour over these; 0 when there are too few."""
    return (len(ships) - 1) / (ships[-1] - ships[0]) * 3600 if len(set(ships)) > 1 else 0.0


def decisions(place: Path) -> list[dict[str, object]]:
    """Give what was decided in a run, or measured, or taken back."""
    kinds = ("decided", "measured", "undone")
    return [event for _, event in events(place) if event["kind"] in kinds]


def named(place: Path) -> tuple[str | None, int]:
    """Give the station that the first decision named, and how many had landed by then."""
    for event in decisions(place):
        if event["kind"] == "decided":
            inputs = event["inputs"]
            assert isinstance(inputs, dict)
            return inputs["station"], inputs["ships"]
    return None, 0


def story(place: Path) -> list[str]:
    """Tell what the loop did, a line for each decision."""
    told = []
    for event in decisions(place):
        if event["kind"] == "decided":
            chosen = event["chosen"]
            assert isinstance(chosen, dict)
            made = chosen["prediction"]
            gain = f" predicted x {made['gain']['mid']:.2f}" if made else ""
            verb = "did" if event["applied"] else "suggested"
            told.append(f"{event['number']}. {verb} {chosen['name']}{gain}: {chosen['why']}")
        elif event["kind"] == "measured":
            told.append(f"   {event['effect']}: {event['why']}")
        else:
            told.append(f"   undone: {event['why']}")
    return told


def main() -> None:
    """Run every scenario with the loop and without it."""
    options = arguments(__doc__ or "", milliseconds=300, only=0)
    report = Report(name="balance", machine=machine())
    with scratch() as room:
        chosen = scenarios(options.milliseconds / 1000)
        for scenario in chosen[options.only - 1 : options.only] if options.only else chosen:
            runs: dict[str, Run] = {}
            for mode in ("off", "auto"):
                place = place_of(room, scenario, mode)
                runs[mode] = factory(place, options.code, "--no-sandbox")
                landed = list(runs[mode].states.values()).count("landed")
                report.add(f"{scenario.name}: {mode}, wall s", runs[mode].wall)
                report.add(f"{scenario.name}: {mode}, landed", landed, f"{landed}/{scenario.jobs}")
            where, after = named(place)
            before, later = rates(place)
            report.add(f"{scenario.name}: named", after, f"{where} after {after} landings")
            report.add(f"{scenario.name}: changes/h before", before)
            report.add(f"{scenario.name}: changes/h after", later)
            for line in story(place):
                print(f"    {line}")
    report.write()


if __name__ == "__main__":
    main()
