"""The scripted model of the example: it sorts the items, states the strategy and writes the code.

What it answers stands in `answers.toml`. Which answer it gives hangs on the numbers of the items in
the question and on the kind of station that asks, never on the order of the questions. Orders that
stand in the text of an item move it as little as they should move any model.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files as packaged
from typing import Any

from examples.survey.world import read
from tests.scripted.messages import Asked, Step, answer, finish, tool, turn

Json = dict[str, Any]
_TEST = re.compile(r"([\w./-]+\.py)::(test_issue_(\d+)\w*)")


def script(asked: Asked) -> Step | None:
    """Answer one question; None, which the server reports, for one that nobody foresaw."""
    if asked.tools:
        return worked(asked)
    told = _told(asked.system)
    if told is None:
        return None
    return answer({"survey": sorted_, "causes": grouped, "strategy": stated}[told](_given(asked)))


@cache
def _answers() -> Json:
    return read("answers.toml")


@cache
def _verdicts() -> Mapping[int, Json]:
    return {each["item"]: each for each in _answers()["verdict"]}


def _told(system: str) -> str | None:
    """Say by its first sentence which prompt this is."""
    for name in ("survey", "causes", "strategy"):
        text = (packaged("stations") / "prompts" / f"{name}.md").read_text("utf-8")
        if system.startswith(text.partition(".")[0]):
            return name
    return None


def _given(asked: Asked) -> Json:
    """Give the data of a question."""
    found: Json = json.JSONDecoder().raw_decode(asked.first)[0]
    return found


def sorted_(given: Json) -> Json:
    """Say what each item is that is asked about."""
    known = {each["n"] for each in given["candidates"]}
    titles = {each["n"]: each["title"] for each in given["items"]}
    return {"verdicts": [_verdict(number, known, titles) for number in given["classify"]]}


def _verdict(number: int, known: set[int], titles: Mapping[int, str]) -> Json:
    found = _verdicts().get(number)
    if found is None:
        quote = {"source": "title", "quote": titles[number]}
        why = "It is about something else."
        said = {"class": "independent", "of": 0, "confidence": 0.9, "evidence": [quote], "why": why}
        return {"n": number, **said}
    named = found.get("of", 0)
    return {
        "n": number,
        "class": found["class"] if not named or named in known else "related",
        "of": named if named in known else 0,
        "confidence": 0.9,
        "evidence": [{"source": "body", "quote": found["quote"]}],
        "why": found["why"],
    }


def grouped(given: Json) -> Json:
    """Say which causes stand behind the items."""
    there = {each["n"] for each in given["items"]}
    rows = [
        {
            "statement": cause["statement"],
            "items": [number for number in cause["items"] if number in there],
            "files": cause["files"],
            "symbols": cause["symbols"],
        }
        for cause in _answers()["cause"]
    ]
    return {"theme": _answers()["theme"], "causes": [row for row in rows if row["items"]]}


def stated(given: Json) -> Json:
    """State the one strategy for all of them."""
    told = _answers()
    return {
        "statement": told["statement"],
        "alternatives": told["alternatives"],
        "non_goals": told["non_goals"],
        "risks": told["risks"],
        "root_causes": [
            {"id": row["id"], "fix": " ".join(cause["fix"] for cause in _behind(row["items"]))}
            for row in given["root_causes"]
        ],
        "tests": [{"n": number, "name": _verdicts()[number]["name"]} for number in given["wanted"]],
    }


def _behind(rows: Sequence[Json]) -> list[Json]:
    """Give the causes that some of these items have."""
    return _causes({row["n"] for row in rows})


def worked(asked: Asked) -> Step:
    """Do a station's job: look at it, read its files, test and mend them, run the tests, report."""
    results = tuple(_results(asked.messages))
    told = _TEST.findall("\n".join((asked.first, *results)))
    named = sorted({(path, test, int(number)) for path, test, number in told})
    causes = _causes({number for _, _, number in named})
    paths = sorted({path for cause in causes for path in cause["files"]})
    match asked.turn:
        case 0:
            return tool("status")
        case 1:
            return turn(*(tool("read", {"path": path}) for path in paths))
        case 2:
            edits = _edits(causes, results)
            return turn(*(tool("write", each) for each in _files(named)), *edits)
        case 3:
            return tool("run", {"name": "1", "timeout_s": 60})
        case _:
            return finish(
                "done",
                "Mended: " + " ".join(cause["statement"] for cause in causes),
                files=sorted({*paths, *(path for path, _, _ in named)}),
            )


def _results(messages: Sequence[Json]) -> Iterator[str]:
    """Give what the tools of a conversation answered."""
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_result":
                content = block.get("content", "")
                yield (
                    content
                    if isinstance(content, str)
                    else "".join(part["text"] for part in content)
                )


def _causes(numbers: set[int]) -> list[Json]:
    return [cause for cause in _answers()["cause"] if numbers & set(cause["items"])]


def _edits(causes: Sequence[Json], results: Sequence[str]) -> Iterator[Step]:
    """Give the edits whose old text stands in what was read."""
    shown = "\n".join(results)
    for cause in causes:
        for path, old, new in cause["edits"]:
            if old in shown:
                yield tool("edit", {"path": path, "old": old, "new": new})


def _files(named: Sequence[tuple[str, str, int]]) -> Iterator[Json]:
    """Give the files of the tests that were asked for."""
    for path in sorted({path for path, _, _ in named}):
        tests = [(test, _verdicts()[number]) for at, test, number in named if at == path]
        imports = _merged(line for _, each in tests for line in each["imports"])
        parts = [each["test"].strip().replace("TEST()", f"{test}()", 1) for test, each in tests]
        head = f'"""What was reported of {path}."""'
        content = "\n\n\n".join(["\n\n".join([head, imports]), *parts])
        yield {"path": path, "content": f"{content}\n"}


def _merged(lines: Iterator[str]) -> str:
    """Give imports with one line for each module."""
    names: dict[str, set[str]] = {}
    for line in lines:
        module, _, wanted = line.removeprefix("from ").partition(" import ")
        names.setdefault(module, set()).update(wanted.split(", "))
    order = sorted(names, key=lambda module: (module.startswith("ferry"), module))
    own = [module for module in order if module.startswith("ferry")]
    blocks = [[module for module in order if module not in own], own]
    return "\n\n".join(
        "\n".join(f"from {module} import {', '.join(sorted(names[module]))}" for module in block)
        for block in blocks
        if block
    )
