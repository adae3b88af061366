"""Place: the empty repository of ours in which a role without a checkout speaks with the server."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.action.inputs import Workflow
from factory.forge.access import Access
from factory.forge.connecting import Forge, connect
from worktrees.git import Git, open_repository


@contextmanager
def entered(
    flow: Workflow,
    access: Access,
    *,
    say: Callable[[str], None],
    wait: Callable[[float], object] | None = None,
) -> Iterator[Forge]:
    """Give the forge of the workflow's repository; nothing of any checkout has a part in it."""
    with tempfile.TemporaryDirectory(prefix="factory-", dir=flow.temp) as held:
        place, empty = Path(held) / "repository.git", Path(held) / "empty"
        empty.mkdir()
        git = Git(git_dir=place, empty=empty)
        git("init", "--quiet", "--bare", "--template=")
        git("config", "remote.origin.url", flow.remote)
        with connect(open_repository(place), access, say=say, wait=wait) as forge:
            yield forge
