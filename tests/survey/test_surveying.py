"""The command: two files, nothing written to the forge, and every end said with its exit code."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge.hub import Hub
from tests.run import end, environment
from tests.scripted.messages import Asked, Step, hang
from tests.survey.harbour import FERRY, Harbour, harbour
from tests.survey.scenes import INJECTION, REPORT, asked_of, honest, is_reader
from tests.warm import Warm


def written(hub: Hub) -> list[str]:
    """Give the requests to the forge that change something there."""
    return [
        f"{one.method} {one.template}"
        for one in hub.log
        if one.writes and "git-upload-pack" not in one.path
    ]


@pytest.fixture(scope="module")
def quay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """Give a harbour in which one survey was made, for looking and asking again."""
    with harbour(tmp_path_factory.mktemp("quay")) as place:
        before = place.hub.objects(FERRY)
        ran = place.survey("timeouts", "--json")
        assert place.hub.objects(FERRY) == before
        (place.home / "printed").write_bytes(ran.out)
        (place.home / "said").write_bytes(ran.err)
        yield place


def test_a_survey_writes_two_files_and_nothing_to_the_forge(quay: Harbour) -> None:
    """It is classified, both readings are one, and the orders in an item are only data."""
    found = json.loads((quay.home / "printed").read_text())
    kinds = {row["n"]: (row["class"], row["of"]) for row in found["items"]}

    assert json.loads((quay.place / "survey.json").read_text()) == found
    assert "- **5** (open issue), duplicate of 3" in (quay.place / "survey.md").read_text()
    assert written(quay.hub) == []
    assert (kinds[5], kinds[3]) == (("duplicate", 3), ("fixed_by_candidate", 9))
    assert kinds[11] == ("related", None)
    assert (found["classified"], found["complete"], found["agreement"]) == (True, True, 1.0)


def test_a_report_is_in_no_prompt_and_nothing_that_is_shown(quay: Harbour) -> None:
    """Its number is all that is told; the token is nowhere at all."""
    files = [quay.place / "survey.json", quay.place / "survey.md", *quay.home.glob("*d")]
    shown = b"".join(path.read_bytes() for path in files)
    prompts = b"".join(one.seen.raw for one in quay.server.requests)

    for secret in (b"CANARY-4", REPORT.title.encode(), quay.token.encode()):
        assert secret not in shown + prompts
    assert INJECTION.split()[-1].encode() in prompts
    assert [row["n"] for row in json.loads(files[0].read_text())["quarantined"]] == [4]


def test_a_survey_is_explained_without_asking_anybody(quay: Harbour) -> None:
    """`--explain` reads what is there, and says nothing of a report."""
    asked, sent = len(quay.server.requests), len(quay.hub.log)

    why = quay.survey("timeouts", "--explain", "5").out.decode()
    apart = quay.survey("timeouts", "--explain", "4").out.decode()
    lost = quay.survey("timeouts", "--explain", "99", code=2).err.decode()

    assert (len(quay.server.requests), len(quay.hub.log)) == (asked, sent)
    for words in ("5 is in", "words: ", "duplicate of 3", "under rc-1"):
        assert words in why
    assert "set aside for a maintainer" in apart
    assert REPORT.title not in apart
    assert "99 is not known" in lost


def test_the_same_survey_again_pays_for_no_call(quay: Harbour, tmp_path: Path) -> None:
    """It is made anew from what is known; another one does not go over it."""
    asked = len(quay.server.requests)

    again = quay.survey("timeouts", "--out", str(tmp_path)).err.decode()
    other = quay.survey("proxies", code=2).err.decode()

    assert len(quay.server.requests) == asked
    assert "no call to a model: every answer was known from before" in again
    assert "survey.json stays as it is: it is the survey of another question" in other


def test_what_is_missing_is_said_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """A rate limit ends with 75 and a partial survey; without a key nothing is classified."""
    with harbour(tmp_path) as place:
        place.hub.limit("search", 0)
        limited = place.survey("timeouts", "--max-wait", "0s", "--no-model", code=75)
        found = json.loads((place.place / "survey.json").read_text())
        user = place.home / ".config/coding-agent-factory/factory.toml"
        place.hub.limit("search", 30)
        place.hub.clock.advance(120)
        user.write_text("version = 1\n")
        plain = place.survey("timeouts")

    assert b"not complete" in limited.err
    assert b"to go on: the same command, later" in limited.err
    assert (found["complete"], found["classified"]) == (False, False)
    assert {row["class"] for row in found["items"]} == {"unclassified"}
    assert b"no key for a model: items are ranked and grouped, and left unclassified" in plain.err
    assert b"unclassified" in plain.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((" ",), "the query says nothing"),
        (("x" * 300,), "longer than 256 characters"),
        (("gh:none",), "gh:none names no issue"),
        (("gh:4",), "set aside for a maintainer"),
        (("timeouts", "--repo", "x/.."), "names no repository"),
        (("timeouts", "--max-wait", "soon"), "--max-wait soon"),
    ],
)
def test_wrong_words_are_answered_with_what_to_do(
    quay: Harbour, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Nothing is written and no model is asked."""
    asked = len(quay.server.requests)

    assert said in quay.survey(*words, "--out", str(tmp_path), code=2).err.decode()
    assert list(tmp_path.iterdir()) == []
    assert len(quay.server.requests) == asked


def test_a_survey_that_is_killed_or_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    """Kill -9 in the second reading, then Ctrl-C: the first reading is never asked again."""
    readings: list[list[int]] = []

    def slow(asked: Asked) -> Step:
        if not is_reader(asked) or len(place.server.requests) > 3:
            return honest(asked)
        readings.append(asked_of(asked)["classify"])
        return honest(asked) if len(readings) == 1 else hang()

    with harbour(tmp_path, slow) as place:
        for sign, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
            seen = len(place.server.requests)
            words = ["survey", "timeouts"]
            child = Warm(words, cwd=place.place, env=environment(**place.env))
            try:
                hanging = 2 if sign is signal.SIGKILL else 1
                while len(place.server.requests) < seen + hanging and child.poll() is None:
                    threading.Event().wait(0.01)
                child.send_signal(sign)
                told = child.communicate(timeout=30)[1]
                assert child.returncode == code
                assert (b"factory: interrupted" in told) == (code == 130)
            finally:
                end(child)
            assert not (place.place / "survey.json").exists()
        place.survey("timeouts")

    assert len(readings) == 3
    assert sorted(readings[1]) == sorted(readings[2])
    assert len(place.server.requests) == 5
