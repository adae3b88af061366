"""What a person should hear of a run, and where it goes: real HTTP, real programs, real kills."""

import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from factory.balancing import seeded
from factory.events import Closed, Closing, Reason
from factory.ledger import Ledger
from factory.notices import Notice, Notices, message, summary
from factory.notified import Notified, Told
from factory.notifying import PAUSE, Teller
from factory.settings import ConfigErrors, load
from factory.sinks import Desktop, Program, Terminal, Webhook, allowed
from stations.contract import Escalated, Failed
from tests.factory.hooks import hook
from tests.factory.planted import Tale, job
from worktrees.names import JobId, RunId

TOKEN = "hush-" + "a1B2" * 5
EVERY = frozenset({"waits", "died", "ended", "budget", "shifted"})
HOSTILE = "a\x1b]0;x\x07b\u202e\n<!channel> sk-" + "x" * 30


def heard(tale: Tale) -> list[Notice]:
    """Give what a person should hear of a run."""
    notices = Notices(seeded)
    return [
        notice
        for record in tale.records()
        for notice in notices.take(record.event, record.at, run=record.run, seq=record.seq)
    ]


def eventful() -> Tale:
    """Give a run in which a job asks, one dies, the budget is reached, and the run ends."""
    tale = Tale(job("a"), job("b"), job("c"), seats=3)
    tale.finish("a", Escalated(reason=HOSTILE)).finish("b", Failed(fault=HOSTILE))
    tale.tell(Closing(reason=Reason.BUDGET, why="the budget of this run is spent"))
    return tale.tell(Closed(exit=3))


def test_a_run_tells_what_a_person_must_know_once_each() -> None:
    """A question, a death, the budget and the end are one notice each, harmless and masked."""
    found = heard(eventful())

    assert [(each.kind, each.job) for each in found] == [
        *(("waits", "a"), ("died", "b"), ("budget", None), ("ended", None)),
    ]
    assert all(each.text.isprintable() and "sk-xxx" not in each.text for each in found)
    assert summary(found) == (
        "factory, run r1: the budget is reached, 1 job waits for you (a), 1 job gave up (b),"
        " ended: 1 gave up, 1 waiting for you, 1 not done; factory inbox"
    )


def test_a_constraint_that_moves_is_told_and_one_that_stays_is_not() -> None:
    """While coding takes longest nobody hears of it; when tests do, that is told once."""
    names = [f"j{n:02}" for n in range(70)]
    needs = [(), *((JobId(name),) for name in names)]
    jobs = (job(name, needs=need) for name, need in zip(names, needs, strict=False))
    tale = Tale(*jobs, seats=1, slots=1)
    for number, name in enumerate(names):
        tale.done(name, after=40 if number < 20 else 1).compose(after=0)
        tale.test(after=1 if number < 20 else 60).compose(known=True, after=0).land()

    found = [each.text for each in heard(tale) if each.kind == "shifted"]

    assert len(found) == 1
    assert found[0].endswith("limits the line now, no longer api")


def test_a_webhook_gets_the_document_and_shows_no_secret() -> None:
    """The message is JSON with the token in its header; redirects and errors name no address."""
    found = heard(eventful())
    with hook() as there:
        sink = Webhook(address=there.address, repository="shop", token=TOKEN)
        assert sink.send(found) == ""
        (body,) = there.bodies
        assert body == message(found, repository="shop")
        assert there.tokens == [f"Bearer {TOKEN}"]
        there.answer = 302
        assert sink.send(found) == "it answered 302"
        assert len(there.bodies) == 2
        there.answer = 500
        assert sink.send(found) == "it answered 500"
        gone = there.address

    said = replace(sink, address=gone).send(found)
    torn = replace(sink, token=f"{TOKEN}\r\nX: b").send(found)
    for text in (said, torn, repr(sink)):
        assert text
        assert TOKEN not in text
        assert "address-secret" not in text
    assert [allowed(each) for each in ("http://127.0.0.1:1", "https://h/x", "http://[::1]/")] == [
        True
    ] * 3
    assert not any(map(allowed, ("http://h/", "http://127.0.0.1.evil/", "file:///x", "https:///")))


def test_a_webhook_goes_through_the_companys_proxy() -> None:
    """The proxy is asked for a tunnel, with its own login; the message and token stay inside."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _ = server.accept()
            with link:
                asked.append(link.recv(4096))
                link.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        proxy = f"http://me:p%40ss@127.0.0.1:{server.getsockname()[1]}"
        sink = Webhook(address="https://hook.example/x", repository="s", token=TOKEN, proxy=proxy)
        said = sink.send(heard(eventful()))
        thread.join()

    assert said == "it does not answer (OSError)"
    assert asked[0].startswith(b"CONNECT hook.example:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in asked[0]
    assert TOKEN.encode() not in asked[0]
    assert "p%40ss" not in repr(sink)


def test_programs_and_terminals_are_told_harmlessly(tmp_path: Path) -> None:
    """A command reads the document, a desktop gets escaped markup, a terminal only our words."""
    found = heard(eventful())
    env = {"PATH": "/usr/bin:/bin", "OUT": str(tmp_path)}
    script = 'cat > "$OUT/in"; printf %s "$FACTORY_NOTICE" > "$OUT/text"'
    program = Program(argv=("sh", "-c", script), env=env, cwd=tmp_path, repository="shop")
    assert program.send(found) == ""
    assert json.loads((tmp_path / "in").read_text()) == message(found, repository="shop")
    assert (tmp_path / "text").read_text() == summary(found)
    assert replace(program, argv=("sh", "-c", "exit 7")).send(found) == "sh ended with 7"
    assert "cannot be started" in replace(program, argv=("no-such",)).send(found)

    fake = tmp_path / "notify-send"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$OUT/args"\n')
    fake.chmod(0o755)
    assert Desktop(program=str(fake), env=env).send(found[:1]) == ""
    args = (tmp_path / "args").read_text()
    assert args.startswith("--app-name=factory\n--\nfactory, run r1: 1 job waits for you (a)")
    assert "&lt;!channel&gt;" in args
    assert "\x1b" not in args

    for kind, begin in (("bell", "\a"), ("osc9", "\x1b]9;factory"), ("osc777", "\x1b]777;notify;")):
        stream = StringIO()
        assert Terminal(stream=stream, kind=kind).send(found) == ""  # type: ignore[arg-type]
        rung = stream.getvalue()
        assert rung.startswith(begin)
        assert rung.endswith("\a")
        assert not any(ord(char) < 32 for char in rung[1:-1])
        assert "channel" not in rung


class Listener:
    """A sink that keeps what it was told, and fails while told to."""

    name = "listener"

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.fault = ""

    def send(self, notices: Sequence[Notice]) -> str:
        """Keep it."""
        self.told.append([f"{notice.kind} {notice.job}" for notice in notices])
        return self.fault


class Desk:
    """A teller over a real ledger, with a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 1000.0
        self.said: list[str] = []
        self.sink = Listener()
        self.begin()

    def begin(self) -> None:
        """Start anew, as another process does."""
        with Ledger(self.path):
            pass
        self.teller = Teller(
            path=self.path,
            sinks=(self.sink,),
            kinds=EVERY,
            now=lambda: self.now,
            say=self.said.append,
        )
        self.teller.begin()

    def plant(self, events: Sequence[tuple[object, float]]) -> None:
        """Let things happen."""
        with Ledger(self.path) as ledger:
            for event, at in events:
                ledger.append(RunId("r1"), [event], at)  # type: ignore[list-item]

    def round(self, *, last: bool = False) -> None:
        """Let the teller look once."""
        with Ledger(self.path, read_only=True) as ledger, Notified(self.path) as told:
            self.teller.round(ledger, told, last=last)


def test_at_most_one_message_a_minute_unless_somebody_is_blocked(tmp_path: Path) -> None:
    """Deaths are gathered for a minute; a question goes out at once, with what was gathered."""
    desk = Desk(tmp_path / "ledger.sqlite")
    tale = Tale(*(job(name) for name in "abcdef"), seats=6)
    known = 0

    def happened() -> None:
        nonlocal known
        desk.plant(tale.book[known:])
        known = len(tale.book)
        desk.round()

    tale.finish("a", Failed(fault="x"))
    happened()
    tale.finish("b", Failed(fault="x"))
    happened()
    desk.now += PAUSE - 1
    tale.finish("c", Failed(fault="x"))
    happened()
    assert desk.sink.told == [["died a"]]

    desk.now += 1
    desk.round()
    tale.finish("d", Failed(fault="x"))
    happened()
    tale.finish("e", Escalated(reason="may I?"))
    happened()
    desk.round()

    assert desk.sink.told == [["died a"], ["died b", "died c"], ["died d", "waits e"]]


def test_a_sink_that_fails_is_told_again_and_nothing_twice_after_that(tmp_path: Path) -> None:
    """A fault is said once, tried again a minute later and at the end, and by the next process."""
    desk = Desk(tmp_path / "ledger.sqlite")
    desk.sink.fault = "it answered 500"
    desk.plant(eventful().book)

    desk.round()
    desk.round()
    assert len(desk.sink.told) == 1
    desk.round(last=True)
    assert len(desk.sink.told) == 2
    assert desk.said == [
        "[notify] listener was not told: it answered 500; it is tried again",
        "[notify] listener was not told: it answered 500; the next run or resume tells it",
    ]

    desk.begin()
    desk.sink.fault = ""
    desk.round()
    desk.round(last=True)

    assert desk.sink.told[-1] == ["waits a", "died b", "budget None", "ended None"]
    assert len(desk.sink.told) == 3
    desk.begin()
    desk.round(last=True)
    assert len(desk.sink.told) == 3


def test_a_new_sink_hears_nothing_of_the_past(tmp_path: Path) -> None:
    """Whoever is told from now on is not told of runs that ended before."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        for event, at in eventful().book:
            ledger.append(RunId("r1"), [event], at)

    desk = Desk(path)
    desk.round(last=True)

    assert desk.sink.told == []
    with Notified(path) as told, Ledger(path, read_only=True) as ledger:
        assert told.of("listener") == Told(seq=ledger.seq)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('webhook = "http://h/x"', "in the clear"),
        ('webhook = "https://u:p@h/x"', "secrets stay out of files"),
        ('webhook = "https://h/x"\nwebhook_env = "HOOK"', "two addresses"),
        ('token_env = "T"', "a token for no webhook"),
        ('token_env = "s3cret"\nwebhook = "https://h/x"', "not the NAME"),
        ('events = ["deaths"]', "notify.events"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Addresses in the clear, secrets in the file and unknown events are mistakes of the file."""
    (tmp_path / "factory.toml").write_text(f"version = 1\n[notify]\n{text}\n")

    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, flags={}, tracked=None, environ={"HOME": str(tmp_path)})

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_repositorys_own_sinks_need_trust(tmp_path: Path) -> None:
    """What a repository's file would start or reach is named before anybody allows it."""
    (tmp_path / "factory.toml").write_text(
        'version = 1\n[notify]\nterminal = "bell"\nrun = ["sh", "x.sh"]\nwebhook_env = "HOOK"\n'
        'token_env = "TOKEN"\n'
    )

    found = load(tmp_path, flags={}, tracked=None, environ={"HOME": str(tmp_path)}).trusts

    assert {each.where for each in found} >= {
        *("notify.run", "notify.webhook_env", "notify.token_env"),
    }
    assert "notify.terminal" not in {each.where for each in found}
