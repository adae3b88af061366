"""What was decided about a line, in words: the change, what it promised, what it has done."""

from collections.abc import Iterator
from typing import assert_never

from factory.changes import (
    Advice,
    Change,
    LimitWip,
    Option,
    Order,
    Prediction,
    Reorder,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.events import Decided, Measured, Undone
from factory.views.screen import Style
from factory.wording import clean, count, masked, span

Said = tuple[str, str, Style]
_PACE = "pace"


def change_text(change: Change) -> str:
    """Say what a change does, as an order."""
    match change:
        case LimitWip(wip=wip):
            return f"have at most {wip or 'any number of'} jobs under way"
        case Reorder(station=station, order=Order.ARRIVAL):
            return f"start work at {station} as it comes"
        case Reorder(station=station, order=order):
            return f"start the {order.value} work first at {station}"
        case Replace(job=job, attempt=attempt):
            return f"end attempt {attempt} of {job} and try it again"
        case SetSeats(seats=seats, station=station):
            return f"give {station or 'the line'} {count(seats, 'seat')}"
        case SetSlots(slots=slots):
            return f"test {count(slots, 'tree')} at once"
        case Sample(station=station, every=1):
            return f"let {station} see all work"
        case Sample(station=station, every=every):
            return f"let {station} see one in {every}"
        case Retire(station=station):
            return f"let {station} leave the line"
        case Restore(station=station):
            return f"bring {station} back"
        case Advice(topic="tier", station=station):
            return f"try another tier, runtime or command at {station}"
        case Advice(topic="split", station=station):
            return f"split the jobs or the scope of {station}"
        case Advice(topic="batch", station=station):
            return f"raise the share of first trials that {station} finds green"
        case Advice(topic="provider"):
            return "use fewer seats, another tier or another account"
        case Advice(station=station):
            return f"look at {station}"
        case _:
            assert_never(change)


def gain_text(prediction: Prediction | None) -> str:
    """Say what a change promises; nothing when nothing is known."""
    if prediction is None:
        return ""
    rate, lead = prediction.rate, prediction.lead
    text = f"{rate.mid:.1f}/h ({rate.low:.1f} to {rate.high:.1f}), lead {span(lead.mid)}"
    if prediction.dollars is not None:
        text += f", {prediction.dollars.mid:.2f} USD a change"
    return text


def option_text(option: Option) -> str:
    """Say what an option is, why, and what it promises."""
    promise = gain_text(option.prediction)
    said = f"{change_text(option.change)}: {clean(masked(option.why))}"
    return f"{said}; predicted {promise}" if promise else said


def balanced(event: Decided | Measured | Undone) -> Iterator[Said]:
    """Give what a person should hear of a decision."""
    match event:
        case Decided(number=number, applied=True, by=by, chosen=option):
            undo = f" (factory balance undo {number})" if event.back is not None else ""
            yield _PACE, f"{clean(by)} decided {number}: {option_text(option)}{undo}", "strong"
        case Decided(chosen=Option(change=Advice())):
            yield _PACE, f"for you: {option_text(event.chosen)}", "warn"
        case Decided(chosen=option):
            how = f"factory balance apply {option.name}"
            yield _PACE, f"could {option_text(option)} ({how})", "warn"
        case Measured(number=number, effect=effect, why=why):
            style: Style = "good" if effect == "better" else "warn"
            yield _PACE, f"decision {number} was {effect}: {clean(why)}", style
        case Undone(number=number, by=by, why=why):
            yield _PACE, f"decision {number} undone by {clean(by)}: {clean(masked(why))}", "warn"
        case _:
            assert_never(event)
