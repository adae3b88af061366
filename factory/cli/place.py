"""The site that a command works on: the current directory's, under the options it was given."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from factory.site import Site


NO_SETTINGS: Final = frozenset(
    {
        *("trust", "no_sandbox", "label", "pr", "pr_head", "pr_round", "pr_credit"),
        *("plan", "plan_sha256", "plan_facts"),
        *("compare", "compare_turn"),
        *("rehearse", "rehearse_tip", "rehearse_misfits", "rehearse_approve", "rehearse_keep"),
    }
)
"""Options of a run that are kept with it and that no setting has."""


def here(options: Mapping[str, str], *, instead: Path | None = None) -> "Site":
    """Give the site of the current directory under these options.

    The file ``instead`` stands for the repository's own configuration.
    """
    from factory import settings, site
    from worktrees.failpoint import arm
    from worktrees.git import open_repository

    environment = settings.environment()
    arm(environment.failpoint or None)
    repository = open_repository(Path.cwd(), user={"HOME": str(environment.home)})
    place = repository.checkout or repository.common
    flags: dict[str, object] = {
        name: value for name, value in options.items() if name not in NO_SETTINGS
    }
    if "seats" in flags:
        flags["seats"] = int(options["seats"])
    loaded = settings.load(place, flags=flags, tracked=None, instead=instead)
    return site.at(repository, loaded, environment)
