"""The items of the scenes on a forge, and a person at a clone who surveys them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.forge.client import clone
from tests.forge.hub import Hub
from tests.run import Ran, command
from tests.scripted.messages import Asked, MessagesServer, Step
from tests.survey.scenes import ITEMS, REPORT, TRACKED, honest

FERRY = "octo/ferry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Harbour:
    """A clone, its forge, and the model that is asked."""

    place: Path
    home: Path
    hub: Hub
    server: MessagesServer
    token: str

    @property
    def env(self) -> Mapping[str, str]:
        """What the person's shell says."""
        return {
            "HOME": str(self.home),
            "GITHUB_TOKEN": self.token,
            "GITHUB_API_URL": self.hub.api_url,
        }

    def survey(self, *words: str, code: int = 0) -> Ran:
        """Type the command and see that it ends with this code."""
        ran = command(["survey", *words], cwd=self.place, env=self.env)
        assert ran.code == code, f"{words}: {ran.code}\n{ran.out.decode()}\n{ran.err.decode()}"
        assert b"Traceback" not in ran.err
        return ran


@contextmanager
def harbour(place: Path, script: Callable[[Asked], Step] = honest) -> Iterator[Harbour]:
    """Give a person at a clone of a repository with the items of the scenes and one report."""
    with Hub(place=place / "hub") as hub, MessagesServer(script) as server:
        hub.repository(FERRY, files=dict.fromkeys(TRACKED, "# as it was\n"))
        token = hub.token("mona", "write")
        mona = hub.act("mona")
        items = {one.number: one for one in (*ITEMS, REPORT)}
        for number in range(1, max(items) + 1):
            one = items.get(number)
            if one is not None and one.kind == "pull":
                mona.commit(FERRY, "patch", {"src/ferry/wait.py": "# zero is now\n"}, "Zero")
                mona.open_pull(FERRY, "patch", one.title, body=f"{one.body} Fixes #3")
                mona.merge(FERRY, number, "merge")
            elif one is not None:
                mona.open(FERRY, one.title, one.body, *one.labels)
            else:
                mona.open(FERRY, f"Something else {number}", "Nothing of the kind.")
        (place / "home").mkdir()
        (place / "home/.config/coding-agent-factory").mkdir(parents=True)
        (place / "home/.config/coding-agent-factory/factory.toml").write_text(
            f'version = 1\n[provider.anthropic]\nbase_url = "{server.url}"\n'
        )
        clone(hub, token, FERRY, place / "ferry")
        yield Harbour(
            place=place / "ferry", home=place / "home", hub=hub, server=server, token=token
        )
