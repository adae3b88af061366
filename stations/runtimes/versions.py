"""Which release of an agent's program is installed, beside the one it was measured with."""

import re
import shutil
import tempfile
from typing import Final

from stations.runtimes.task import Probe
from stations.shell import run

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:[-+.][0-9A-Za-z.-]+)?")
_SECONDS: Final = 20.0


def probe(program: str, *, package: str, pinned: str, path: str = PATH) -> Probe:
    """Ask a program of the user's own for its version; no model is called for it."""
    install = f"install it: scripts/agents, or npm install -g {package}@{pinned}"
    found = shutil.which(program, path=path)
    if found is None:
        return Probe(ok=False, detail=f"{program} is not on PATH", fix=install)
    with tempfile.TemporaryDirectory(prefix="factory-probe-") as home:
        env = {"PATH": path, "HOME": home, "TMPDIR": home, "DISABLE_AUTOUPDATER": "1"}
        ran = run([found, "--version"], env=env, cwd=home, deadline=_SECONDS)
    version = _VERSION.search(ran.text)
    if not ran.good or version is None:
        said = " ".join(ran.text.split())[:200]
        return Probe(ok=False, detail=f"{program} --version fails: {said}", fix=install)
    if version[0] != pinned:
        detail = f"{program} {version[0]} is not {pinned}, with which this was measured"
        return Probe(ok=True, version=version[0], detail=detail, fix=install)
    return Probe(ok=True, version=version[0], detail=f"{program} {version[0]} at {found}")
