"""What a job's model work would take, before any call: context, tokens and dollars, low to high.

The formula, for one attempt of ``turns`` turns: turn i sends ``context + i * growth`` tokens, of
which what turn i-1 sent comes from the cache and the rest is written to it; each turn answers with
``answer`` tokens; all of it at list price. A change of a few lines is the low end, a long search
with many reads and test runs the high one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from factory.models import model_ids, named
from factory.planning import Forecast
from factory.site import Site
from stations.contract import Brief, Job, StationSpec
from stations.models.prices import Price, Prices
from stations.models.values import Usage
from stations.runtimes.prompt import measure, of_commit
from worktrees.names import JobId, Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an attempt may go."""

    turns: int
    growth: int
    answer: int


LOW: Final = Course(turns=4, growth=800, answer=250)
HIGH: Final = Course(turns=40, growth=2_000, answer=600)


def forecasts(site: Site, jobs: Sequence[Job], base: Oid) -> Mapping[JobId, Forecast]:
    """Give the forecast of each job that a model would work."""
    rules = site.settings.rules
    asked = [job for job in jobs if named(rules.station(job.route)) != "command"]
    if not asked:
        return {}
    files, read = of_commit(site.repository.git, base)
    prices = Prices.load(site.settings.prices)
    found: dict[JobId, Forecast] = {}
    for job in asked:
        spec = rules.station(job.route)
        brief = Brief(title=job.title, text=job.brief)
        size = measure(spec, brief, job.scope, files=files, read=read, accept=job.accept)
        model = next(iter(model_ids(site.settings, spec)), "its own")
        found[job.id] = forecast(
            spec, model, prices.of(model), context=size.first, whole=size.whole
        )
    return found


def forecast(
    spec: StationSpec, model: str, price: Price | None, *, context: int, whole: int
) -> Forecast:
    """Give what one attempt at a station would take, from its first request's size."""
    low, high = taken(LOW, context), taken(HIGH, context)
    agent = spec.agent
    return Forecast(
        runtime=named(spec),
        tier=agent.model if agent is not None else "",
        model=model,
        context=context,
        whole=whole,
        tokens=(sum(each.tokens for each in low), sum(each.tokens for each in high)),
        dollars=None
        if price is None
        else (sum(map(price.cost, low), Decimal(0)), sum(map(price.cost, high), Decimal(0))),
    )


def taken(course: Course, context: int) -> list[Usage]:
    """Give the tokens of each call of an attempt that goes so."""
    sent = [context + turn * course.growth for turn in range(course.turns)]
    return [
        Usage(
            cache_read=before,
            cache_write_5m=now - before,
            output=course.answer,
            requests=1,
        )
        for before, now in zip([0, *sent], sent, strict=False)
    ]
