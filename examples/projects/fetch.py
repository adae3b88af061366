"""Fetches the example projects: pinned source distributions, each a git repository with a .venv.

    python fetch.py [NAME...]

For every project: download (checked by its sha256), unpack to work/NAME, commit, install the pinned
test requirements and the project itself (editable), and check that its own suite is green. What is
there already is kept.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
WHO = (
    "-c",
    "user.name=Example",
    "-c",
    "user.email=example@localhost",
    "-c",
    "commit.gpgsign=false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One source distribution, pinned, and the command that runs its tests."""

    name: str
    distribution: str
    version: str
    sha256: str
    tests: tuple[str, ...]
    built: tuple[str, ...] = ()
    """Files that the distribution was built with and that its .gitignore leaves out."""


PROJECTS = (
    Project(
        name="more-itertools",
        distribution="more-itertools",
        version="11.2.1",
        sha256="cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63",
        tests=("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
    ),
    Project(
        name="click",
        distribution="click",
        version="8.5.1",
        sha256="9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4",
        tests=("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
    ),
    Project(
        name="attrs",
        distribution="attrs",
        version="26.1.0",
        sha256="d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32",
        # This one test of attrs 26.1.0 fails on Python 3.11 before anything was changed.
        tests=(
            *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
            "--deselect=tests/test_converters.py::TestPipe::test_wrapped_annotation",
        ),
    ),
    Project(
        name="boltons",
        distribution="boltons",
        version="26.2.0",
        sha256="d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c",
        tests=("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
    ),
    Project(
        name="humanize",
        distribution="humanize",
        version="4.17.0",
        sha256="1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac",
        tests=("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
        built=("src/humanize/locale",),
    ),
)


def run(*argv: str | Path, cwd: Path = HERE, env: dict[str, str] | None = None) -> str:
    """Give what a command printed; a failure shows what it said and ends the program."""
    around = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(env or {})}
    around.pop("PYTHONPATH", None)
    done = subprocess.run(argv, cwd=cwd, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(map(str, argv))
        sys.exit(f"{words}\nended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def download(project: Project) -> Path:
    """Give the source distribution, downloaded unless it is here, and surely the pinned one."""
    kept = WORK / "sdists" / project.name
    if not list(kept.glob("*.tar.gz")):
        wanted = f"{project.distribution}=={project.version}"
        only = ("--no-deps", "--no-binary", project.distribution)
        run(sys.executable, "-m", "pip", "download", "-q", *only, "--dest", kept, wanted)
    (archive,) = kept.glob("*.tar.gz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != project.sha256:
        sys.exit(f"{archive} has the sha256 {found}, not the pinned {project.sha256}; remove it")
    return archive


def unpack(project: Project, archive: Path) -> Path:
    """Give the checkout of the project: its files as a commit on main, then our configuration."""
    checkout = WORK / project.name
    if not (checkout / ".git").exists():
        with tarfile.open(archive) as tar:
            top = tar.getnames()[0].split("/")[0]
            tar.extractall(WORK, filter="data")
        (WORK / top).rename(checkout)
        run("git", "init", "-q", "-b", "main", cwd=checkout)
        (checkout / ".git/info/exclude").write_text(".venv/\n")
        run("git", "add", "-A", cwd=checkout)
        for path in project.built:
            run("git", "add", "-f", path, cwd=checkout)
        commit(checkout, f"{project.name} {project.version}")
    configure(project, checkout)
    return checkout


def configure(project: Project, checkout: Path) -> None:
    """Bring the line's configuration and the agent up to date in the checkout."""
    (checkout / "agents").mkdir(exist_ok=True)
    for source in (HERE / "mend.py", *(HERE / project.name).glob("*.toml")):
        target = checkout / ("agents" if source.suffix == ".py" else "") / source.name
        target.write_bytes(source.read_bytes())
        run("git", "add", target, cwd=checkout)
    if run("git", "status", "--porcelain", "--untracked-files=no", cwd=checkout):
        commit(checkout, "Configure the line")


def commit(checkout: Path, message: str) -> None:
    """Commit what is staged, as nobody in particular."""
    run("git", *WHO, "commit", "-q", "-m", message, cwd=checkout)


def install(project: Project, checkout: Path) -> Path:
    """Give the interpreter of the project's .venv, which has its tests' needs and itself."""
    python = checkout / ".venv/bin/python"
    stamp = checkout / ".venv/.installed"
    if not stamp.exists():
        run(sys.executable, "-m", "venv", checkout / ".venv")
        pins = HERE / project.name / "requirements.txt"
        run(python, "-m", "pip", "install", "-q", "--require-hashes", "-r", pins)
        # A source distribution has no tags to read a version from.
        env = {"SETUPTOOLS_SCM_PRETEND_VERSION": project.version}
        local = ("--no-build-isolation", "--no-deps", "--editable", ".")
        run(python, "-m", "pip", "install", "-q", *local, cwd=checkout, env=env)
        stamp.touch()
    return python


def main(names: list[str]) -> int:
    """Fetch the projects of these names, or all."""
    WORK.mkdir(exist_ok=True)
    for project in PROJECTS:
        if names and project.name not in names:
            continue
        checkout = unpack(project, download(project))
        python = install(project, checkout)
        began = time.monotonic()
        run(python, *project.tests[1:], cwd=checkout, env={"PYTHONDONTWRITEBYTECODE": "1"})
        print(f"{project.name} {project.version}: green in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
