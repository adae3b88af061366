"""A plan as a person reads it: the strategy, who does what in which round, what is done of what.

Its texts may be of strangers or of a model: they are masked and made harmless first.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from factory.strategy.values import WORKED, Action, Plan, PlanItem, PlanStation
from factory.views.screen import Cell, Column, Part, Style, Table
from factory.wording import clean, count, cut, listed, masked

_TITLE: Final = 64
_WHY: Final = 90
_FILES: Final = 6
_STYLES: Final[Mapping[Action, Style]] = {
    Action.FIX: "good",
    Action.COVERED: "good",
    Action.HUMAN: "warn",
    Action.SECURITY: "warn",
    Action.ALREADY_FIXED: "dim",
    Action.CLOSE_AFTER_MERGE: "busy",
    Action.LEAVE: "dim",
}
"""How each action is drawn, in the order in which a person wants to see them."""
_ORDER: Final = tuple(_STYLES)


def parts(plan: Plan, notes: Sequence[str]) -> Iterator[Part]:
    """Give the parts of a plan's picture."""
    worked = plan.worked()
    yield Cell(
        f"{_said(plan.repo)}: {count(len(worked), 'issue')} to fix,"
        f" {count(len(plan.root_causes), 'root cause')}, {count(len(plan.stations), 'station')}"
        f" in {count(len(plan.waves), 'wave')}",
        "strong",
    )
    yield Cell(_said(plan.strategy.statement))
    for other in plan.strategy.alternatives:
        yield Cell(f"not: {_said(other.what)} ({_said(other.why_not)})", "dim")
    for goal in plan.strategy.non_goals:
        yield Cell(f"not part of it: {_said(goal)}", "dim")
    for risk in plan.strategy.risks:
        yield Cell(f"risk: {_said(risk)}", "dim")
    if plan.stations:
        yield Cell("")
        yield _stations(plan)
    yield Cell("")
    yield _items(plan)
    yield Cell("")
    yield from (Cell(line, "dim") for line in _ending(plan))
    for note in notes:
        yield Cell(f"note: {_said(note)}", "warn")


def _stations(plan: Plan) -> Table:
    waves = {name: place for place, wave in enumerate(plan.waves) for name in wave}
    ordered = sorted(plan.stations, key=lambda station: waves.get(station.id, 0))
    return Table(
        (
            Column("WAVE", right=True),
            Column("STATION", most=24),
            Column("ISSUES", most=18),
            Column("WRITES, AND WHY", wide=True),
        ),
        tuple(
            (
                Cell(str(waves.get(station.id, 0))),
                (Cell(station.id), *_after(station)),
                Cell(listed((f"#{test.item}" for test in station.acceptance), most=8) or "-"),
                _writes(plan, station),
            )
            for station in ordered
        ),
    )


def _after(station: PlanStation) -> tuple[Cell, ...]:
    return (Cell(f"after {listed(station.depends_on)}", "dim"),) if station.depends_on else ()


def _writes(plan: Plan, station: PlanStation) -> tuple[Cell, ...]:
    reasons: dict[str, dict[str, None]] = {}
    for name in station.root_cause_ids:
        for found in plan.cause(name).found:
            reasons.setdefault(found.path, {}).update(dict.fromkeys(found.reasons))
    cells: list[Cell] = []
    for pattern in station.scope.write[:_FILES]:
        path = pattern.lstrip("/")
        cells.append(Cell(_said(path)))
        why = listed(reasons.get(path, ()), most=2)
        if why:
            cells.append(Cell(f"  {cut(_said(why), _WHY)}", "dim"))
    more = len(station.scope.write) - _FILES
    return (*cells, Cell(f"and {more} more", "dim")) if more > 0 else tuple(cells)


def _items(plan: Plan) -> Table:
    ordered = sorted(plan.items, key=lambda item: (_ORDER.index(item.action), item.n))
    return Table(
        (
            Column("ITEM", right=True),
            Column("ACTION", most=17),
            Column("CAUSE", most=8),
            Column("WHAT, AND WHY SO", wide=True),
        ),
        tuple(
            (
                Cell(f"#{item.n}"),
                Cell(item.action.value, _STYLES[item.action]),
                Cell(item.root_cause_id or "-"),
                (
                    Cell(cut(_said(item.title), _TITLE) or "(not shown)"),
                    *((Cell(cut(_said(item.why), _WHY), "dim"),) if item.why else ()),
                    *_test(plan, item),
                ),
            )
            for item in ordered
        ),
    )


def _test(plan: Plan, item: PlanItem) -> tuple[Cell, ...]:
    if item.proof is not None:
        return (Cell(f"shown by {_said(item.proof.test_id)}", "dim"),)
    if item.action not in WORKED:
        return ()
    found = (
        test for station in plan.stations for test in station.acceptance if test.item == item.n
    )
    return tuple(Cell(f"test {_said(test.test_id)}", "dim") for test in found)


def _ending(plan: Plan) -> Iterator[str]:
    delivery = plan.delivery
    many = count(len(delivery.branches), "pull request")
    yield (
        f"delivery: {'one pull request' if delivery.mode == 'one-pr' else f'a stack of {many}'}"
        f" (at most {delivery.limits.files} files and {delivery.limits.lines} lines each)"
    )
    for credit in plan.credit:
        how = (
            "is built on, with credit to" if credit.how == "co-author" else "is replaced, thanks to"
        )
        yield f"pull request #{credit.pr} {how} {_said(credit.login)}"


def _said(text: str) -> str:
    return masked(clean(text))
