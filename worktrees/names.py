"""Names: ids, and the one place that says how refs, workspaces and trailers are called."""

import re
from typing import Final, NewType

Oid = NewType("Oid", str)
"""A full object id in lower-case hex, 40 or 64 characters."""
RunId = NewType("RunId", str)
JobId = NewType("JobId", str)
StationName = NewType("StationName", str)

ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
OID_PATTERN: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

PROOFS: Final = "refs/factory/proof/"
"""Where commits are remembered whose checks on the forge are, or shall be, awaited, by run."""
SPENT: Final = "refs/factory/spent/"
"""Where commits are remembered whose branch on the forge nobody needs any more, by run."""

TRAILER_RUN: Final = "Factory-Run"
TRAILER_JOB: Final = "Factory-Job"
TRAILER_TREE: Final = "Factory-Tested-Tree"
TRAILER_CHECKED: Final = "Factory-Checked"


def job_branch(run: RunId, job: JobId) -> str:
    """Give the branch (without ``refs/heads/``) that holds a job's work."""
    return f"factory/{run}/job/{job}"


def job_ref(run: RunId, job: JobId) -> str:
    """Give the full ref that holds a job's work."""
    return f"refs/heads/{job_branch(run, job)}"


def job_refs(run: RunId) -> str:
    """Give the ref prefix under which all work of a run lies."""
    return f"refs/heads/factory/{run}/job/"


def default_target(run: RunId) -> str:
    """Give the branch (without ``refs/heads/``) that a run lands on when none is named."""
    return f"factory/{run}/target"


def base_ref(run: RunId) -> str:
    """Give the ref that keeps a run's base commit from being collected."""
    return f"refs/factory/base/{run}"


def made_refs(run: RunId) -> str:
    """Give the ref prefix under which what a station made on a merged tree is held for a moment."""
    return f"refs/factory/made/{run}/"


def salvage_ref(run: RunId, job: JobId) -> str:
    """Give the ref that keeps work which did not land."""
    return f"refs/factory/salvage/{run}/{job}"


def proof_branch(tree: Oid) -> str:
    """Give the branch (without ``refs/heads/``) as which a tree is shown to the forge's checks."""
    return f"factory/proof/{tree[:12]}"


def proof_ref(run: RunId, commit: Oid) -> str:
    """Give the ref that remembers a commit whose checks on the forge are, or shall be, awaited."""
    return f"{PROOFS}{run}/{commit}"


def spent_ref(run: RunId, commit: Oid) -> str:
    """Give the ref that remembers a commit whose branch on the forge nobody needs any more."""
    return f"{SPENT}{run}/{commit}"


def workspace_name(run: RunId, serial: int) -> str:
    """Give the name of a workspace and its admin directory; no serial is used twice in a run."""
    return f"{run}-{serial}"
