"""The ranking of related issues: how many known duplicates it finds, and how fast.

Any corpus in GitBugs' form is taken (`--issues`, `--pairs`); without one, the cut of the tests.
"""

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path
from statistics import quantiles

from measure import Report, machine

from factory.survey.ranking import Ranking
from tests.survey.corpus import CUT, Corpus, indexed, judged, load, others, ours

MANY = 12_000
QUERIES = 200


def options() -> argparse.Namespace:
    """Read which corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issues", type=Path, default=CUT / "issues.csv")
    parser.add_argument("--pairs", type=Path, default=CUT / "pairs.csv")
    parser.add_argument("--items", type=int, default=MANY, help="how many for the times")
    return parser.parse_args()


def found(report: Report, corpus: Corpus) -> None:
    """Say what is found: of all text, of titles alone, and by each half of the queries."""
    report.add("recall@10 / recall@40 / nDCG@10", "")
    report.add("the factory's", str(ours(corpus)))
    for name, figures in others(corpus).items():
        report.add(name, str(figures))
    titles = replace(corpus, items={n: (title, "") for n, (title, _) in corpus.items.items()})
    report.add("titles only: the factory's", str(ours(titles)))
    for name, figures in others(titles).items():
        report.add(f"titles only: {name}", str(figures))
    halves = [sorted(corpus.pairs)[at::2] for at in (0, 1)]
    rank = Ranking(indexed(corpus.items)).rank
    for name, half in zip(("one half", "the other half"), halves, strict=True):
        part = replace(corpus, pairs={number: corpus.pairs[number] for number in half})
        report.add(f"the factory's, {name}", str(judged(part, rank)))


def quick(report: Report, corpus: Corpus, many: int) -> None:
    """Say how long it takes at so many items; what the corpus lacks is mixed from its texts."""
    chance = random.Random(20261121)  # noqa: S311  drawn the same each time
    real = list(corpus.items.values())
    items = dict(enumerate(real[:many], 1))
    for number in range(len(items) + 1, many + 1):
        one, two, three = (chance.choice(real) for _ in range(3))
        head, tail = two[1].split(), three[1].split()
        title = " ".join((*one[0].split()[:4], *two[0].split()[-4:]))
        items[number] = title, " ".join((*head[: len(head) // 2], *tail[len(tail) // 2 :]))
    began, cpu = time.monotonic(), time.process_time()
    db = indexed(items)
    spent = time.process_time() - cpu
    report.add(f"index of {many} items", spent, f"{spent:.2f} s of CPU")
    report.add("index, wall", time.monotonic() - began)
    began = time.monotonic()
    rank = Ranking(db).rank
    report.add("opening it", time.monotonic() - began)
    walls, cpus = list[float](), list[float]()
    for number in chance.sample(sorted(items), QUERIES):
        began, cpu = time.monotonic(), time.process_time()
        rank(*items[number])
        walls.append(time.monotonic() - began)
        cpus.append(time.process_time() - cpu)
    for name, times in (("wall", walls), ("CPU", cpus)):
        cuts = quantiles(times, n=20)
        report.add(f"p50 of a query, {name}", cuts[9], f"{1000 * cuts[9]:.0f} ms")
        report.add(f"p95 of a query, {name}", cuts[18], f"{1000 * cuts[18]:.0f} ms")


def main() -> None:
    """Measure one corpus."""
    asked = options()
    report = Report(name="ranking", machine=machine())
    corpus = load(asked.issues, asked.pairs)
    report.add("items", len(corpus.items))
    report.add("queries", len(corpus.pairs))
    found(report, corpus)
    quick(report, corpus, asked.items)
    report.write()


if __name__ == "__main__":
    main()
