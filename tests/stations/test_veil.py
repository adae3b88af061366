"""The veil: no exact secret stands in what is kept of an agent's work."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stations.runtimes.task import Attempt, Proposal, Report
from stations.seat import Log
from stations.veil import Veil

KEY = "key-abcabc-key-abcd"


@given(
    parts=some.lists(some.sampled_from([KEY, KEY[:7], "key-", "ab", "\n", KEY[5:]]), max_size=12),
    sizes=some.lists(some.integers(1, 9), min_size=1, max_size=60),
)
def test_a_log_never_holds_a_secret_however_it_is_cut(parts: list[str], sizes: list[int]) -> None:
    """Whatever pieces the output comes in, the file is the masked whole."""
    data, file = "".join(parts).encode(), io.BytesIO()
    log = Log(file=file, veil=Veil([KEY]), room=10_000)

    for size in (*sizes, len(data)):
        log(data[:size])
        data = data[size:]
    log.end()

    assert KEY.encode() not in file.getvalue()
    assert file.getvalue() == "".join(parts).replace(KEY, "***").encode()


def test_a_log_keeps_to_its_room() -> None:
    """What comes beyond the room is dropped."""
    file = io.BytesIO()
    log = Log(file=file, veil=Veil(), room=5)

    log(b"abc")
    log(b"defg")
    log.end()

    assert file.getvalue() == b"abcde"


def test_an_attempt_is_told_without_secrets() -> None:
    """Fault, tail, answer, report and proposals are masked; the rest stays."""
    proposal = Proposal(title=f"t {KEY}", brief=KEY, scope=(KEY,), needs=(1,))
    report = Report(status="done", summary=f"s {KEY}", needs_scope=(KEY,), data=f'"{KEY}"')
    attempt = Attempt(
        status="failed", fault=KEY, tail=KEY, answer=KEY.encode(), report=report, split=(proposal,)
    )

    shown = Veil([KEY]).attempt(attempt)

    assert KEY not in repr(shown)
    assert (shown.status, shown.fault, shown.split[0].needs) == ("failed", "***", (1,))
    assert Veil([]).attempt(attempt) is attempt


@pytest.mark.parametrize("secrets", [["short"], []])
def test_short_words_are_no_secrets(secrets: list[str]) -> None:
    """Hiding a common word would spoil the text around it."""
    assert Veil(secrets).text("a short text") == "a short text"
    assert KEY not in repr(Veil([KEY]))
