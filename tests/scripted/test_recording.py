"""Record and replay against a scripted server: what is kept, what is found again, what is not."""

import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from stations.models.anthropic_door import AnthropicDoor
from stations.models.asking import Reply, Request, Trouble
from stations.models.values import Provider
from tests.scripted.messages import MessagesServer, UnscriptedError, status, text
from tests.scripted.recording import SCHEMA, Live, RecordingServer, canonical_hash

KEY = "sk-ant-canary-recording-77aa"


def ask(url: str, say: str) -> Reply:
    """Ask a server one thing, as somebody who has no real key."""
    door = AnthropicDoor(Provider(name="anthropic", base_url=url, key="none"))
    message = {"role": "user", "content": say}
    request = Request(model="claude-haiku-5-5", max_tokens=100, messages=(message,))
    try:
        return door.stream(request, stop=threading.Event())
    finally:
        door.close()


def recorded(file: Path, *questions: str) -> None:
    """Record answers to these questions."""
    with (
        MessagesServer(lambda asked: text(f"re: {asked.first}"), key=KEY) as real,
        RecordingServer(file, live=Live(base_url=real.url, key=KEY)) as server,
    ):
        for say in questions:
            with suppress(Trouble):
                ask(server.url, say)


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    """A replay gives the same answer as the provider did, also when place and time are others."""
    file = tmp_path / "kept.json"
    recorded(file, "look at /tmp/a1/x.py of 2026-01-02 (toolu_1, toolu_2)")

    with RecordingServer(file) as server:
        reply = ask(server.url, "look at /tmp/b2/y of 2027-11-21T10:00:00Z (toolu_9, toolu_7)")

    assert reply.text == "re: look at /tmp/a1/x.py of 2026-01-02 (toolu_1, toolu_2)"
    assert reply.usage.total_input


def test_a_recording_holds_no_key_and_says_what_it_is(tmp_path: Path) -> None:
    """The file names its schema, when each answer came and whether a model gave it; no key."""
    file = tmp_path / "kept.json"
    recorded(file, "hello")

    document = json.loads(file.read_text())
    ((entry,),) = document["answers"].values()
    assert document["schema"] == SCHEMA
    assert document["scripted"] is entry["scripted"] is True
    assert entry["model"] == "claude-haiku-5-5"
    assert entry["recorded_at"].startswith("20")
    assert KEY not in file.read_text()
    assert "authorization" not in file.read_text().lower()
    assert KEY not in repr(Live(base_url="x", key=KEY))


def test_what_is_not_recorded_fails(tmp_path: Path) -> None:
    """A replay invents nothing: another question, or the same once more, fails the test."""
    file = tmp_path / "kept.json"
    recorded(file, "hello")

    def replay() -> None:
        with RecordingServer(file) as server:
            ask(server.url, "hello")
            for say in ("hello", "good bye"):
                with pytest.raises(Trouble):
                    ask(server.url, say)

    with pytest.raises(UnscriptedError, match=r"holds no answer[^$]*holds no answer"):
        replay()


@pytest.mark.parametrize("secret", [KEY, "ghp_" + "a1B2" * 9, "-----BEGIN RSA PRIVATE KEY"])
def test_a_secret_is_never_kept(tmp_path: Path, secret: str) -> None:
    """Nothing is written when a request or an answer holds what looks like a key."""
    file = tmp_path / "kept.json"

    with pytest.raises(UnscriptedError, match="secret"):
        recorded(file, "hello", f"what is {secret}?")

    assert not file.exists()


def test_an_error_is_recorded_as_it_was(tmp_path: Path) -> None:
    """An error answer with its wait comes back in the replay."""
    file = tmp_path / "kept.json"
    with MessagesServer([status(429, retry_after=7)]) as real:
        live = Live(base_url=real.url, key=KEY)
        with RecordingServer(file, live=live) as server, pytest.raises(Trouble):
            ask(server.url, "hello")

    with RecordingServer(file) as server, pytest.raises(Trouble) as caught:
        ask(server.url, "hello")

    assert (caught.value.status, caught.value.retry_after) == (429, 7.0)


def test_the_hash_sees_what_counts() -> None:
    """Ids, directories and dates do not count, but which id stands where does."""
    one = canonical_hash("/v1/messages", {"a": "toolu_1 toolu_2 toolu_1", "b": "/home/me/x"})

    assert one == canonical_hash(
        "/v1/messages", {"b": "/home/me/x", "a": "toolu_8 toolu_7 toolu_8"}
    )
    assert one != canonical_hash(
        "/v1/messages", {"b": "/home/me/x", "a": "toolu_8 toolu_7 toolu_7"}
    )
    assert one != canonical_hash(
        "/v1/responses", {"b": "/home/me/x", "a": "toolu_1 toolu_2 toolu_1"}
    )
    assert canonical_hash("", ["/home/me/x"], cwd="/home/me") == canonical_hash(
        "", ["/home/you/x"], cwd="/home/you"
    )


def test_a_real_provider_is_recorded_and_replayed(live: Live | None, tmp_path: Path) -> None:
    """Whoever has a key proves with --live that real answers are kept without it, and replayed."""
    if live is None:
        pytest.skip("asks no real provider: needs --live BASE_URL and FACTORY_LIVE_API_KEY")
    file = tmp_path / "kept.json"

    with RecordingServer(file, live=live) as server:
        said = ask(server.url, "Say hello in one word.")
    with RecordingServer(file) as server:
        again = ask(server.url, "Say hello in one word.")

    assert (again.text, again.usage) == (said.text, said.usage)
    assert live.key not in file.read_text()
