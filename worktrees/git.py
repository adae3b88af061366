"""The one door to git for the host side: pinned environment, explicit git dir, bounded calls.

::

    GitError                a call ended with a code that was not asked for, or could not be read
      GitTimeout            it did not end in time and was killed with its process group
      NotARepository        discovery found no repository

Only `open_repository` discovers; every other call names its git dir, runs in an empty directory of
ours and inherits nothing of the environment. Paths and output are bytes.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from worktrees.names import OID_PATTERN, Oid
from worktrees.pinned import PATH, SETTINGS, listed, personal, pinned
from worktrees.pipes import Flooded, Late, exchange

OUT_CAP: Final = 256 * 1024 * 1024
SHA1: Final = 40
"""The longest object id that GitPython reads."""


class GitError(Exception):
    """A git call failed; the message holds its own last words."""

    def __init__(self, argv: Sequence[str | bytes], code: int, stderr: bytes) -> None:
        self.argv = tuple(os.fsdecode(word) for word in argv)
        self.code = code
        self.stderr = stderr
        said = stderr.decode(errors="backslashreplace").strip()[-2000:]
        super().__init__(f"{' '.join(self.argv)[:400]}: {said or f'exit {code}'}")


class GitTimeout(GitError):  # noqa: N818  the name the other modules know
    """A git call did not end in time; its process group was killed."""


class NotARepository(GitError):  # noqa: N818  the name the other modules know
    """There is no usable repository at the place that was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a git call gave: its exit code and its bounded output."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """The output as stripped text; bytes that are no UTF-8 survive as surrogates."""
        return self.out.decode("utf-8", "surrogateescape").strip()

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The NUL-terminated records of a ``-z`` output."""
        return tuple(self.out.split(b"\0")[:-1]) if self.out else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who makes a commit."""

    name: str
    email: str


FACTORY_IDENTITY: Final = Identity(name="Factory", email="factory@localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the kernel lets one git call use: seconds of processor and bytes of memory."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """Runs git on one git dir of the host, never on one that an agent can write.

    ``empty`` is an empty directory of ours and the working directory of every call: without a work
    tree git would read ``.gitattributes`` from where it stands.
    """

    git_dir: Path
    empty: Path
    identity: Identity = FACTORY_IDENTITY
    timeout: float = 30.0
    extra_env: tuple[tuple[str, str], ...] = ()

    def __call__(
        self,
        *args: str | bytes,
        stdin: bytes = b"",
        ok: Collection[int] = (0,),
        timeout: float | None = None,
        fsync: bool = False,
        env: Mapping[str, str] | None = None,
        cap: int = OUT_CAP,
        limits: Limits | None = None,
        fds: Collection[int] = (),
    ) -> Answer:
        """Run one git command and give its answer; a code outside ``ok`` raises `GitError`.

        ``fds`` are open files that git and the programs it starts inherit, under these numbers.
        """
        durable = ("-c", "core.fsync=all") if fsync else ()
        argv = (program(), f"--git-dir={self.git_dir}", *SETTINGS, *durable, *args)
        answer = _run(
            argv,
            env={**self.environment(), **(env or {})},
            cwd=self.empty,
            stdin=stdin,
            timeout=self.timeout if timeout is None else timeout,
            cap=cap,
            limits=limits,
            fds=fds,
        )
        if answer.code not in ok:
            raise GitError(("git", *args), answer.code, answer.err)
        return answer

    def environment(self) -> dict[str, str]:
        """Give the whole environment of a call: built, not inherited."""
        return {
            **pinned(self.empty, name=self.identity.name, email=self.identity.email),
            **dict(self.extra_env),
        }

    def with_env(self, **env: str) -> "Git":
        """Give the same git with further variables."""
        return replace(self, extra_env=(*self.extra_env, *env.items()))

    def with_index(self, path: Path) -> "Git":
        """Give the same git on another index file."""
        return self.with_env(GIT_INDEX_FILE=str(path))

    def with_work_tree(self, path: Path) -> "Git":
        """Give the same git with ``path`` as its work tree."""
        return self.with_env(GIT_WORK_TREE=str(path))

    def with_objects(self, quarantine: Path, alternates: Sequence[Path]) -> "Git":
        """Give the same git that writes objects to ``quarantine`` and reads ``alternates`` too."""
        return self.with_env(
            GIT_OBJECT_DIRECTORY=str(quarantine),
            GIT_ALTERNATE_OBJECT_DIRECTORIES=":".join(map(listed, alternates)),
        )

    def resolve(self, name: str) -> Oid | None:
        """Give the object that a full ref name or object id means; None when there is none."""
        return self._parse(name, "object")

    def tree_of(self, commit: str) -> Oid:
        """Give the tree of a commit or full ref name; raises `GitError` when there is none."""
        tree = self._parse(commit, "tree")
        if tree is None:
            raise GitError(("git", "rev-parse", commit), 1, b"no such commit")
        return tree

    def version(self) -> tuple[int, ...]:
        """Give the version of git, as numbers."""
        return version()

    def read_blob(self, oid: Oid, *, cap: int = OUT_CAP) -> bytes:
        """Give the bytes of a blob of this host-owned git dir."""
        if len(oid) > SHA1:
            return self("cat-file", "blob", oid, cap=cap).out
        from git import Repo  # slow to import: only who reads objects pays for it

        with Repo(self.git_dir) as repo:
            repo.git.update_environment(**self.environment(), GIT_DIR=str(self.git_dir))
            try:
                found = repo.odb.info(bytes.fromhex(oid))
            except ValueError as error:
                raise GitError(("read_blob", oid), 1, b"no such object") from error
            if found.type != b"blob" or found.size > cap:
                raise GitError(("read_blob", oid), 1, b"not a blob, or larger than it may be")
            return bytes(repo.odb.stream(bytes.fromhex(oid)).read())

    def _parse(self, name: str, kind: str) -> Oid | None:
        if not (name.startswith("refs/") or name == "HEAD" or OID_PATTERN.fullmatch(name)):
            raise GitError(("git", "rev-parse", name), 1, b"neither a full ref name nor an id")
        found = self(
            "rev-parse", "--verify", "-q", "--end-of-options", f"{name}^{{{kind}}}", ok=(0, 1, 128)
        )
        return Oid(found.text) if found.code == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """The user's repository: its common git dir, the checkout that was named, git on it.

    ``user`` holds the variables (HOME ...) that git gets when it works in the user's own checkout.
    """

    common: Path
    checkout: Path | None
    git: Git
    object_format: str
    user: Mapping[str, str] = field(default_factory=dict)

    @property
    def factory(self) -> Path:
        """The directory in the common git dir that holds everything of ours."""
        return self.common / "factory"

    @property
    def objects(self) -> Path:
        """Give the object store."""
        return self.common / "objects"

    @property
    def personal(self) -> Git:
        """The same git with the user's own global configuration, which signing needs."""
        return self.git.with_env(**personal(self.user))


def open_repository(where: Path, *, user: Mapping[str, str] | None = None) -> Repository:
    """Find the repository that ``where`` lies in and make our directory in it.

    ``user`` may name HOME, so that the user's global configuration (``safe.directory``) counts.
    """
    mine = dict(user or {})
    if not where.is_dir():
        raise NotARepository(("git", "-C", str(where)), 128, b"there is no such directory")
    try:
        told = _discover(
            where,
            mine,
            *("--git-common-dir", "--is-inside-work-tree", "--is-bare-repository"),
            "--show-object-format",
        )
    except GitError as error:
        raise NotARepository(error.argv, error.code, error.stderr) from error
    # A path may hold line breaks, the other answers cannot.
    place, inside, bare, form = os.fsdecode(told).rsplit("\n", 3)
    common = Path(place)
    if inside == "true":
        checkout: Path | None = Path(os.fsdecode(_discover(where, mine, "--show-toplevel")))
    elif bare == "true":
        checkout = None
    else:
        checkout = common.parent if common.name == ".git" else None
    empty = common / "factory" / "empty"
    if not empty.is_dir():
        # What agents wrote lies below, set-user-id files among it: nobody else may enter.
        empty.parent.mkdir(mode=0o700, exist_ok=True)
        empty.mkdir(exist_ok=True)
    git = Git(git_dir=common, empty=empty)
    if git("config", "--get", "core.worktree", ok=(0, 1)).text:
        git = git.with_work_tree(empty)
    return Repository(common=common, checkout=checkout, git=git, object_format=form, user=mine)


@cache
def program() -> str:
    """Give the absolute path of git, looked up once."""
    found = shutil.which("git", path=PATH)
    if found is None:
        raise GitError(("git",), 127, f"git was not found in {PATH}; install it".encode())
    return found


@cache
def version() -> tuple[int, ...]:
    """Give the version of the git program, as numbers."""
    said = _run((program(), "version"), env={"PATH": PATH, "LC_ALL": "C"}, cwd=Path("/")).text
    return tuple(int(number) for number in re.findall(r"\d+", said)[:3])


def _discover(where: Path, user: Mapping[str, str], *what: str) -> bytes:
    argv = (program(), "rev-parse", "--path-format=absolute", *what)
    env = {**pinned(Path("/nonexistent")), **personal(user)}
    answer = _run(argv, env=env, cwd=where)
    if answer.code:
        raise GitError(("git", "-C", str(where), *argv[1:]), answer.code, answer.err)
    return answer.out.removesuffix(b"\n")


def in_checkout(
    repository: Repository, checkout: Path, *args: str, ok: Collection[int] = (0,)
) -> Answer:
    """Run one git command in the user's own checkout; hooks off, their filters theirs."""
    env = {**pinned(repository.git.empty), **personal(repository.user)}
    argv = (program(), "-C", str(checkout), *SETTINGS, *args)
    answer = _run(argv, env=env, cwd=checkout, timeout=120)
    if answer.code not in ok:
        raise GitError(("git", "-C", str(checkout), *args), answer.code, answer.err)
    return answer


def _run(
    argv: Sequence[str | bytes],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes = b"",
    timeout: float = 30.0,
    cap: int = OUT_CAP,
    limits: Limits | None = None,
    fds: Collection[int] = (),
) -> Answer:
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env,
        bufsize=0,
        start_new_session=True,
        pass_fds=tuple(fds),
    ) as child:
        try:
            if limits is not None:
                # Before the first byte of input: nothing hostile was read yet.
                resource.prlimit(child.pid, resource.RLIMIT_CPU, (limits.cpu, limits.cpu))
                resource.prlimit(child.pid, resource.RLIMIT_AS, (limits.memory, limits.memory))
            deadline = time.monotonic() + timeout
            out, err = exchange(child, stdin=stdin, deadline=deadline, cap=cap)
            code = child.wait(max(0.0, deadline - time.monotonic()))
            return Answer(code=code, out=out, err=err)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            shown = tuple(word for word in argv if word not in SETTINGS)
            if isinstance(error, Late | subprocess.TimeoutExpired):
                raise GitTimeout(shown, -1, f"killed after {timeout:g} s".encode()) from None
            if isinstance(error, Flooded):
                raise GitError(shown, -1, f"more than {cap} bytes of output".encode()) from None
            raise
