"""The file and run tools of a model's agent: one program that runs INSIDE the sandbox.

It knows nothing but the standard library and is started by the factory's own interpreter with
``-I``. One JSON request a line on standard input, one JSON answer a line on standard output. The
mounts enforce the scope; what is checked here first only makes a refusal readable. Its pure
functions (``outline`` and what it uses) also serve the host, on what git holds.

An agent waits for its start, so nothing is imported or compiled before it is needed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import json
import os
import re
import select
import signal
import stat
import sys
import time

TYPE_CHECKING = False  # a checker knows the name; to import `typing` for it takes 3 ms
if TYPE_CHECKING:
    import ast
    import subprocess
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType
    from typing import Any, BinaryIO, Final

    Rules = Sequence[Sequence[Any]]
    """Pairs of a sign and a regular expression of whole paths with a slash; the last counts."""
    Read = Callable[[str], bytes | None]

LINE_BYTES: Final = 4 * 1024 * 1024
"""A request longer than this is refused unread."""
READ_CHARACTERS: Final = 16_000
TAIL_CHARACTERS: Final = 4_000
SEARCH_CHARACTERS: Final = 8_000
_MATCHES: Final = 60
_LISTED: Final = 200
_WIDTH: Final = 400
_SEARCH_SECONDS: Final = 10.0
_FILE_BYTES: Final = 16 * 1024 * 1024
_SEARCHED_BYTES: Final = 2 * 1024 * 1024
_OUTPUT_BYTES: Final = 8 * 1024 * 1024
_PARSED_BYTES: Final = 200_000
_RUN_SECONDS: Final = 3_600
_LISTING_SECONDS: Final = 20
_LAST_WORDS: Final = 0.5
_COUNTED: Final = 400
_PARSED: Final = 24
_HOPS: Final = 16
_NAMED: Final = 200
"""At most so many definitions of a file are named."""
_SKILLS: Final = 40
_TEXT_BYTES: Final = 8_192
_PATH_BYTES: Final = 4_000
_STATUS: Final = 3
"""Characters before the path in a line of git's porcelain status."""
_WORD: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36


class Wrong(Exception):  # noqa: N818 - what the agent is told, not a fault of ours
    """A request that is not done; the message is one short sentence of our own."""


class _Late(Exception):  # noqa: N818 - raised by the alarm
    """The time of one request is over."""


class Toolbox:
    """The tools of one agent in one tree."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.root = os.path.realpath(str(told["root"]))
        self.globs = [str(glob) for glob in told["globs"]]
        self.write_rules: Rules = told["write"]
        self.read_rules: Rules = told["read"]
        self.shown_rules: Rules = told["shown"]
        self.commands = [[str(word) for word in argv] for argv in told["commands"]]
        self.names = [str(name) for name in told["names"]]
        self.outputs = f"{os.environ['HOME']}/runs-{os.urandom(8).hex()}"
        os.mkdir(self.outputs, 0o700)
        self.ran = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request; whatever happens it is answered."""
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "read": self.read,
            "search": self.search,
            "edit": self.edit,
            "write": self.write,
            "run": self.run,
            "outline": self.outline,
            "scope": self.scope,
        }
        do, given = request.get("do"), request.get("with")
        try:
            if not isinstance(do, str) or do not in known or not isinstance(given, dict):
                return _no("there is no such tool")
            return known[do](given)
        except Wrong as wrong:
            return _no(str(wrong))
        except _Late:
            return _no("that took too long; narrow it")
        except OSError as error:
            return _no(f"that did not work: {_plainly(error)}")
        except Exception:  # noqa: BLE001 - one request never ends the loop
            return _no("that could not be done")

    def read(self, given: dict[str, Any]) -> dict[str, Any]:
        """Give lines of a file, or what lies in a directory."""
        start = _number(given, "start", default=1)
        end = _number(given, "end", default=0)
        path, shown = self._readable(_text(given, "path"))
        if os.path.isdir(path):
            return _yes(self._listing(path, shown))
        data = _contents(path, shown)
        if b"\0" in data[:8192]:
            return _yes(f"{shown}: a binary file of {len(data)} bytes")
        lines = _lines(data.decode("utf-8", "replace"))
        start, last = max(1, start), min(end or len(lines), len(lines))
        if start > max(1, len(lines)):
            return _no(f"{shown} has only {len(lines)} lines")
        kept, room = [], READ_CHARACTERS
        for line in lines[start - 1 : last]:
            text = line if len(line) <= _WIDTH * 5 else f"{line[: _WIDTH * 5]} [line cut]\n"
            if len(text) > room:
                break
            kept.append(text)
            room -= len(text)
        seen = start + len(kept) - 1
        more = f"; go on with start={seen + 1}" if seen < last else ""
        return _yes(f"{shown} lines {start}-{seen} of {len(lines)}{more}\n{''.join(kept)}")

    def search(self, given: dict[str, Any]) -> dict[str, Any]:
        """Give the lines of the tree's files that a regular expression matches."""
        pattern, glob = _text(given, "pattern"), _text(given, "glob", default="")
        note = ""
        try:
            wanted = re.compile(pattern, re.MULTILINE)
        except (re.error, RecursionError, OverflowError):
            wanted = re.compile(re.escape(pattern), re.MULTILINE)
            note = "(not a regular expression: taken literally)\n"
        where = _glob(glob)
        found: list[str] = []
        room, more = SEARCH_CHARACTERS, False
        with _alarm(_SEARCH_SECONDS):
            for path in self._files():
                if not where.fullmatch(path) or not allowed(self.read_rules, path):
                    continue
                for line in self._matches(path, wanted):
                    if len(found) >= _MATCHES or len(line) > room:
                        more = True
                        break
                    found.append(line)
                    room -= len(line)
                if more:
                    break
        if not found:
            return _yes(f"{note}no match")
        cut = "\n(more: narrow it)" if more else ""
        return _yes(f"{note}{chr(10).join(found)}{cut}")

    def edit(self, given: dict[str, Any]) -> dict[str, Any]:
        """Replace a text that stands in a file exactly as often as is expected."""
        old, new = _text(given, "old", empty=True), _text(given, "new", empty=True)
        expected = _number(given, "expected", default=1)
        path, shown = self._writable(_text(given, "path"))
        if not old or old == new:
            return _no("old must be a text that stands in the file, and new another one")
        before = _contents(path, shown)
        try:
            text = before.decode("utf-8")
        except UnicodeDecodeError:
            return _no(f"{shown} is not UTF-8 text and cannot be edited")
        if old not in text and "\r\n" in text:
            old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        count = text.count(old)
        if count == 0:
            return _no(f"old was not found in {shown}{_near(text, old)}")
        if count != expected:
            places = ", ".join(str(n) for n in _places(text, old)[:20])
            return _no(
                f"old stands {count} times in {shown} (lines {places}), not {expected}: "
                f"give more of its surroundings, or say expected={count}"
            )
        line = _places(text, old)[0]
        self._put(path, shown, _encoded(text.replace(old, new), "new"), before)
        times = "" if count == 1 else f" {count} times"
        return _yes(f"edited {shown}{times}, first at line {line}", path=shown)

    def write(self, given: dict[str, Any]) -> dict[str, Any]:
        """Make a file, or put other content in one that is there."""
        content = _text(given, "content", empty=True)
        path, shown = self._writable(_text(given, "path"))
        data = _encoded(content, "content")
        if os.path.isdir(path):
            return _no(f"{shown} is a directory")
        there = os.path.lexists(path)
        if there:
            self._put(path, shown, data, _contents(path, shown))
        else:
            self._make(path, shown, data)
        lines = content.count("\n") + (not content.endswith("\n") and bool(content))
        return _yes(f"{'wrote' if there else 'made'} {shown}, {lines} lines", path=shown)

    def run(self, given: dict[str, Any]) -> dict[str, Any]:
        """Run one of the station's commands; its output goes to a file, its tail comes back."""
        name, seconds = _text(given, "name"), _number(given, "timeout_s", default=60)
        number = self._command(name)
        self.ran += 1
        output = f"{self.outputs}/{self.ran}.log"
        with open(output, "wb") as file:
            how, tail, took = _ran(
                self.commands[number],
                cwd=self.root,
                output=file,
                seconds=max(1, min(seconds, _RUN_SECONDS)),
            )
        text = tail.decode("utf-8", "replace")
        cut = f", all of it in {output}" if len(text) > TAIL_CHARACTERS else ""
        said = text[-TAIL_CHARACTERS:].strip("\n")
        return _yes(
            f"{how} after {took:.1f} s; output{cut}:\n{said or '(none)'}",
            how=how,
            good=how == "exit 0",
        )

    def scope(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - as every tool
        """Say what may be written and what has been changed so far."""
        listed = _git(self.root, "status", "--porcelain", "-z", "--no-renames", "-uall")
        changed = sorted({entry[_STATUS:] for entry in listed or []} - {""})
        said = ", ".join(map(_line, changed[:50]))
        said += f" and {len(changed) - 50} more" if changed[50:] else ""
        return _yes(
            f"you may write: {', '.join(self.globs) or 'nothing'}\nchanged so far: {said or '-'}",
            changed=changed[:_LISTED],
        )

    def outline(self, given: dict[str, Any]) -> dict[str, Any]:
        """Give the files of the scope, what they define, and the notes for agents."""
        words = [str(word) for word in given.get("words", ())]
        paths = list(self._files(meanwhile=lambda: _grammar("")))

        def read(path: str) -> bytes | None:
            try:
                place, shown = self._readable(path)
                return _contents(place, shown)
            except (Wrong, OSError):
                return None

        size = 0
        for path in paths:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(self.root, path)).st_size
        with _alarm(_LISTING_SECONDS):
            found = outline(
                paths,
                read=read,
                allowed=lambda path: allowed(self.shown_rules, path),
                words=words,
                heads=[str(head) for head in given.get("heads", ())],
            )
        return _yes("", **found, bytes=size)

    def _files(self, *, meanwhile: Callable[[], object] = bool) -> Iterator[str]:
        words = ("ls-files", "-z", "-c", "-o", "--exclude-standard")
        listed = _git(self.root, *words, meanwhile=meanwhile)
        yield from dict.fromkeys(listed) if listed is not None else _walked(self.root)

    def _matches(self, path: str, wanted: re.Pattern[str]) -> Iterator[str]:
        try:
            if os.path.islink(os.path.join(self.root, path)):
                return
            place, shown = self._readable(path)
            if not os.path.isfile(place) or os.path.getsize(place) > _SEARCHED_BYTES:
                return
            data = _contents(place, shown)
        except (Wrong, OSError):
            return
        if b"\0" in data[:8192]:
            return
        text = data.decode("utf-8", "replace")
        line, at, last = 1, 0, 0
        for match in wanted.finditer(text):
            line += text.count("\n", at, match.start())
            at = match.start()
            if line != last:
                last = line
                begin = text.rfind("\n", 0, at) + 1
                end = text.find("\n", at)
                whole = text[begin : end if end >= 0 else len(text)].strip()
                yield f"{_line(path)}:{line}: {whole[: _WIDTH // 2]}"

    def _listing(self, path: str, shown: str) -> str:
        with os.scandir(path) as entries:
            rows = [
                f"{_line(entry.name)}{'/' if entry.is_dir(follow_symlinks=False) else ''}"
                for entry in sorted(entries, key=lambda one: one.name)
                if entry.name.casefold() != ".git"
            ]
        more = "\n(more)" if len(rows) > _LISTED else ""
        return f"{shown} holds:\n{chr(10).join(rows[:_LISTED])}{more}"

    def _readable(self, path: str) -> tuple[str, str]:
        """Give a path that may be read, and how it is called."""
        plain = os.path.normpath(path)
        if plain.startswith(f"{self.outputs}/") and plain.count("/") == self.outputs.count("/") + 1:
            return plain, plain
        place, shown = self._inside(path)
        real = os.path.realpath(place)
        if real != self.root and not real.startswith(f"{self.root}/"):
            raise Wrong(f"{shown} leads out of the repository and cannot be read")
        name = os.path.relpath(real, self.root)  # what a link leads to is what is judged
        _no_git(name, shown)
        free = os.path.isdir(real) or _is_note(name)
        if not free and not allowed(self.read_rules, name):
            raise Wrong(f"{shown} is not yours to read")
        return real, shown

    def _writable(self, path: str) -> tuple[str, str]:
        """Give a path that may be written, and how it is called."""
        place, shown = self._inside(path)
        if os.path.islink(place):
            raise Wrong(f"{shown} is a symbolic link; links cannot be written through")
        real = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        if not real.startswith(f"{self.root}/"):
            raise Wrong(f"{shown} leads out of the repository; {self._denial()}")
        name = os.path.relpath(real, self.root)
        _no_git(name, shown)
        if not allowed(self.write_rules, name):
            raise Wrong(f"{name} is outside your scope; {self._denial()}")
        return real, name

    def _inside(self, path: str) -> tuple[str, str]:
        if "\0" in path or len(path.encode("utf-8", "surrogatepass")) > _PATH_BYTES:
            raise Wrong("that is not a path")
        place = os.path.normpath(os.path.join(self.root, path))
        if place != self.root and not place.startswith(f"{self.root}/"):
            raise Wrong("paths are relative to the repository and cannot leave it")
        shown = os.path.relpath(place, self.root)
        _no_git(shown, shown)
        return place, shown

    def _denial(self) -> str:
        return (
            f"you may write: {', '.join(self.globs) or 'nothing'}. "
            "If the job needs more, call escalate"
        )

    def _command(self, name: str) -> int:
        wanted = name.strip()
        for number, known in enumerate(self.names):
            if wanted in {str(number + 1), known}:
                return number
        listed = "; ".join(f"{n}: {known}" for n, known in enumerate(self.names, 1))
        raise Wrong(f"there is no such command; you may run {listed or 'none'}")

    def _put(self, path: str, shown: str, data: bytes, before: bytes) -> None:
        """Put other content in a file, or leave it as it was: a mount allows no rename over it."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Wrong(self._refused(error, shown)) from None
        try:
            if len(data) > len(before):
                os.posix_fallocate(handle, 0, len(data))  # a full disk shows before a byte changed
            _write_all(handle, data)
        except OSError as error:
            _write_all(handle, before)
            raise Wrong(f"{shown} is unchanged: {_plainly(error)}") from None
        finally:
            os.close(handle)

    def _make(self, path: str, shown: str, data: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            handle = os.open(path, flags, 0o644)
        except OSError as error:
            raise Wrong(self._refused(error, shown)) from None
        try:
            _write_all(handle, data)
        except OSError as error:
            os.unlink(path)
            raise Wrong(f"{shown} was not made: {_plainly(error)}") from None
        finally:
            os.close(handle)

    def _refused(self, error: OSError, shown: str) -> str:
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            return f"{shown} is read-only here; {self._denial()}"
        return f"{shown} cannot be written: {_plainly(error)}"


def outline(
    paths: Sequence[str],
    *,
    read: Read,
    allowed: Callable[[str], bool],
    words: Sequence[str],
    heads: Sequence[str],
) -> dict[str, Any]:
    """Give what an agent is shown of a tree before it reads: files, definitions, notes, skills.

    ``words`` are the job's, which say what comes first; ``heads`` the directories its scope begins
    with. Pure but for ``read``.
    """
    known = frozenset(paths)
    mine = rank([path for path in paths if allowed(path)], words)
    counted = mine[: _COUNTED if len(mine) <= _COUNTED else _COUNTED // 10]
    texts: dict[str, str] = {}
    lines: list[list[Any]] = []
    for path in counted:
        data = read(path)
        if data is None or b"\0" in data[:8192]:
            continue
        lines.append([path, data.count(b"\n") + (not data.endswith(b"\n") and bool(data))])
        if len(texts) < _PARSED and len(data) <= _PARSED_BYTES:
            texts[path] = data.decode("utf-8", "replace")
    inner: list[list[Any]] = []
    reached: dict[str, None] = {}
    for path, text in texts.items():  # both of one file together, which is then read once
        found = symbols(path, text)
        inner += [[path, found[:_NAMED]]] if found else []
        reached |= dict.fromkeys(hops(path, text, known))
    beside: list[list[Any]] = []
    for path in [hop for hop in reached if hop not in texts and not allowed(hop)][:_HOPS]:
        data = read(path)
        if data is not None and len(data) <= _PARSED_BYTES:
            found = symbols(path, data.decode("utf-8", "replace"))
            beside += [[path, found[:_NAMED]]] if found else []
    return {
        "files": lines,
        "count": len(mine),
        "symbols": inner,
        "beside": beside,
        "agents": [[path, _note(read, path)] for path in notes(known, heads)],
        "skills": [[path, _note(read, path)] for path in sorted(known) if _is_skill(path)][
            :_SKILLS
        ],
    }


def rank(paths: Iterable[str], words: Sequence[str]) -> list[str]:
    """Order paths by how many words of a job they hold; the rest as they came."""
    wanted = {word.casefold() for word in words}
    return sorted(paths, key=lambda path: -_score(path, wanted))


def symbols(path: str, text: str) -> list[str]:
    """Name what a file defines, a line each with its number: by its grammar, else by sight."""
    if path.endswith((".py", ".pyi")):
        try:
            return [line for node in _grammar(text).body for line in _defined(node, "")]
        except _NO_GRAMMAR:
            return []
    if not path.endswith(_CODE):
        return []
    found = []
    defines = re.compile(_DEFINES)
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) <= _WIDTH and (match := defines.match(line)):
            found.append(f"{number} {' '.join(match[0].split())[:100]}")
    return found


def hops(path: str, text: str, known: frozenset[str]) -> list[str]:
    """Name the files of the tree that a file imports."""
    parent = path.rpartition("/")[0]
    if path.endswith((".py", ".pyi")):
        return [hit for name in _imported(text, parent) if (hit := _module(name, parent, known))]
    found = []
    for match in re.finditer(_IMPORTS, text):
        stem = os.path.normpath(f"{parent}/{match[1]}" if parent else match[1])
        tries = [stem, *(f"{stem}{end}" for end in _SCRIPT), *(f"{stem}/index{e}" for e in _SCRIPT)]
        found += [hit for hit in tries if hit in known][:1]
    return found


def notes(known: frozenset[str], heads: Sequence[str]) -> list[str]:
    """Name the AGENTS.md that counts for each directory of a scope: the closest one."""
    found: list[str] = []
    for head in heads or ("",):
        parts = [part for part in head.split("/") if part]
        for depth in range(len(parts), -1, -1):
            path = "/".join([*parts[:depth], "AGENTS.md"])
            if path in known:
                found.append(path)
                break
    return list(dict.fromkeys(found))[:8]


_CODE: Final = (
    *(".js", ".jsx", ".ts", ".tsx", ".mjs", ".go", ".rs", ".java", ".kt", ".cs", ".rb", ".php"),
    *(".swift", ".scala", ".c", ".h", ".cc", ".cpp", ".hpp", ".ex", ".lua", ".sh"),
)
_SCRIPT: Final = (".ts", ".tsx", ".js", ".jsx", ".mjs")
_DEFINES: Final = (
    r"\s{0,4}(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|internal|static|async"
    r"|abstract|final|override|unsafe|const|data|sealed|open)\s+){0,5}"
    r"(?:class|interface|struct|enum|trait|impl|type|module|namespace|def|defp|fn|func|fun|function"
    r"|object|protocol|extension)\b[^{;=]{1,120}|[a-z_]\w*\s*\(\)\s*(?=\{)"
)
_IMPORTS: Final = r"""(?:from|require\(|import\()\s*['"](\.{1,2}/[^'"\n]{1,200})['"]"""
_OF_SKILLS: Final = ((".claude", "skills"), (".agents", "skills"))
_NO_GRAMMAR: Final = (SyntaxError, ValueError, MemoryError, RecursionError)


def _is_skill(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] == "SKILL.md" and tuple(parts[-4:-2]) in _OF_SKILLS


def _is_note(path: str) -> bool:
    """Say whether a path is an AGENTS.md, or lies in the directory of a skill."""
    parts = path.split("/")
    pairs = itertools.pairwise(parts[:-2])
    return parts[-1] == "AGENTS.md" or any(pair in _OF_SKILLS for pair in pairs)


def _score(path: str, wanted: set[str]) -> int:
    if path.casefold() in wanted:
        return 100
    parts = {part for part in re.split(r"[^a-z0-9]+", path.casefold()) if len(part) >= _WORD}
    return len(parts & wanted) + sum(part.rstrip("s") in wanted for part in parts - wanted)


@functools.lru_cache(maxsize=1)
def _grammar(text: str) -> ast.Module:
    """Read a program of Python, whose odd escapes are nobody's business here."""
    import ast
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _defined(node: ast.stmt, indent: str) -> Iterator[str]:
    import ast

    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
        yield f"{indent}{node.lineno} def {node.name}({ast.unparse(node.args)}){gives}"[:120]
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield f"{indent}{node.lineno} class {node.name}{f'({bases})' if bases else ''}"[:120]
        for part in node.body:
            if not indent:
                yield from _defined(part, " ")


def _imported(text: str, parent: str) -> Iterator[str]:
    import ast

    try:
        tree = _grammar(text)
    except _NO_GRAMMAR:
        return
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # what an import can stand in: expressions are most of a program
        for part in ("body", "cases", "handlers", "orelse", "finalbody"):
            nodes += getattr(node, part, ())
        if isinstance(node, ast.Import):
            yield from (one.name.replace(".", "/") for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parent.split("/") if parent else []
            base = "/".join(above[: len(above) - node.level + 1]) if node.level else ""
            module = "/".join(
                part for part in (base, (node.module or "").replace(".", "/")) if part
            )
            yield from (f"{module}/{one.name}".lstrip("/") for one in node.names)
            yield module


def _module(name: str, parent: str, known: frozenset[str]) -> str | None:
    above = parent.split("/") if parent else []
    roots = ["", "src/", "lib/", *(f"{'/'.join(above[:depth])}/" for depth in range(1, len(above)))]
    for root in roots:
        for path in (f"{root}{name}.py", f"{root}{name}/__init__.py"):
            if path in known:
                return path
    return None


def _note(read: Read, path: str) -> str:
    return (read(path) or b"")[:_TEXT_BYTES].decode("utf-8", "replace")


def _yes(text: str, **more: object) -> dict[str, Any]:
    return {"ok": True, "text": text, **more}


def _no(text: str) -> dict[str, Any]:
    return {"ok": False, "text": text}


def _text(
    given: dict[str, Any], name: str, *, default: str | None = None, empty: bool = False
) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or (not value and not empty and default is None):
        raise Wrong(f"{name} must be a text")
    return value


def _number(given: dict[str, Any], name: str, *, default: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise Wrong(f"{name} must be a whole number")
    return value


def _no_git(path: str, shown: str) -> None:
    if any(part.casefold().rstrip(". ") == ".git" for part in path.split("/")):
        raise Wrong(f"{shown} belongs to git and is not part of the work")


def allowed(rules: Rules, path: str) -> bool:
    """Say whether the last rule that matches a path is a positive one."""
    last = False
    for positive, pattern in rules:
        if re.fullmatch(pattern, f"{path}/", re.DOTALL):
            last = bool(positive)
    return last


def _glob(glob: str) -> re.Pattern[str]:
    """Read a search's glob: without a slash a name anywhere; a directory means what it holds."""
    stem = glob.strip().removeprefix("./").rstrip("/")
    if not stem:
        return re.compile(r".*", re.DOTALL)
    out = "" if "/" in stem else r"(?:.*/)?"
    at = 0
    while at < len(stem):
        if stem.startswith("**/", at):
            out, at = out + r"(?:.*/)?", at + 3
        elif stem.startswith("**", at):
            out, at = out + r".*", at + 2
        else:
            out += {"*": r"[^/]*", "?": r"[^/]"}.get(stem[at], re.escape(stem[at]))
            at += 1
    return re.compile(f"{out}(?:/.*)?", re.DOTALL)


def _contents(path: str, shown: str) -> bytes:
    """Read a whole file; nothing but a plain file of a sane size is opened."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise Wrong(f"there is no {shown}") from None
        raise Wrong(f"{shown} cannot be read: {_plainly(error)}") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Wrong(f"{shown} is no file")
        if status.st_size > _FILE_BYTES:
            raise Wrong(f"{shown} is too large: {status.st_size} bytes")
        return file.read(_FILE_BYTES)


def _lines(text: str) -> list[str]:
    """Give lines as editors count them: a form feed or a line separator ends none."""
    *whole, rest = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([rest] if rest else [])]


def _line(name: str) -> str:
    """Give a name that a repository chose as part of one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Wrong(f"{name} is not valid text") from None


def _write_all(handle: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(handle, data[done : done + 1024 * 1024], done)
    os.ftruncate(handle, len(data))


def _places(text: str, old: str) -> list[int]:
    found, at = [], text.find(old)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + len(old))
    return found


def _near(text: str, old: str) -> str:
    first = next((line.strip() for line in old.splitlines() if line.strip()), "")
    for number, line in enumerate(text.split("\n"), 1):
        if first and first in line:
            return f"; its first line stands at line {number}: read it and copy it exactly"
    return ""


def _plainly(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else "it failed").lower()


def _git(root: str, *words: str, meanwhile: Callable[[], object] = bool) -> list[str] | None:
    """Ask the agent's private git for a list; None when there is no git here.

    ``meanwhile`` is done while git works.
    """
    words = ("-C", root, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *words)
    ours, theirs = os.pipe()
    try:
        # Not `subprocess`, whose import takes longer than git: every agent's start waits for this.
        pid = os.posix_spawnp(
            "git",
            ("git", *words),
            os.environ,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
            setsigdef=(signal.SIGPIPE,),
        )
    except OSError:
        os.close(ours)
        return None
    finally:
        os.close(theirs)
    try:
        meanwhile()
        said = _drained(ours, time.monotonic() + _LISTING_SECONDS)
    except BaseException:
        _stopped(pid)
        raise
    finally:
        os.close(ours)
    if said is None:
        _stopped(pid)
        return None
    if os.waitpid(pid, 0)[1]:
        return None
    return [os.fsdecode(part) for part in said.split(b"\0") if part]


def _drained(pipe: int, until: float) -> bytes | None:
    """Read a pipe to its end; None when that does not come in time."""
    said = bytearray()
    while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
        data = os.read(pipe, 1024 * 1024)
        if not data:
            return bytes(said)
        said += data
    return None


def _stopped(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _walked(root: str) -> Iterator[str]:
    for here, directories, files in os.walk(root):
        directories[:] = sorted(d for d in directories if d.casefold() != ".git")
        for name in sorted(files):
            path = os.path.relpath(os.path.join(here, name), root)
            if path.casefold() != ".git":
                yield path


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Cut short what takes longer: also one regular expression, which looks for signals."""

    def ring(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal calls it
        raise _Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ran(
    argv: Sequence[str], *, cwd: str, output: BinaryIO, seconds: float
) -> tuple[str, bytes, float]:
    """Run a command to its end; nothing it started lives when this is back."""
    import subprocess

    _keep_to_ourselves()
    began = time.monotonic()
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise Wrong(f"{argv[0]} did not start: {_plainly(error)}") from None
    pidfd = os.pidfd_open(child.pid)
    try:
        tail, ended = _listen(child, pidfd, output, began + seconds)
    finally:
        _end(child)
        os.close(pidfd)
        if child.stdout is not None:
            child.stdout.close()
    took = time.monotonic() - began
    if ended:
        return ended, tail, took
    code = child.returncode
    return (f"exit {code}" if code >= 0 else f"killed by signal {-code}"), tail, took


def _listen(
    child: subprocess.Popen[bytes], pidfd: int, output: BinaryIO, until: float
) -> tuple[bytes, str]:
    import selectors

    tail, room = bytearray(), _OUTPUT_BYTES
    assert child.stdout is not None  # noqa: S101 - it was asked for
    pipe = child.stdout.fileno()
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        waiting.register(pidfd, selectors.EVENT_READ)
        while waiting.get_map():
            left = until - time.monotonic()
            if left <= 0:
                return bytes(tail), "" if child.poll() is not None else "ended, time was over,"
            for key, _ in waiting.select(left):
                if key.fd == pidfd:
                    waiting.unregister(pidfd)
                    until = min(until, time.monotonic() + _LAST_WORDS)
                    continue
                data = os.read(pipe, 65_536)
                if not data:
                    waiting.unregister(pipe)
                    continue
                output.write(data[:room])
                room -= len(data)
                tail += data
                del tail[: -TAIL_CHARACTERS * 4]
                if room < 0:
                    return bytes(tail), "ended, it wrote too much output,"
    return bytes(tail), ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command's process group and every orphan that it left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    while left := _children():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


@functools.cache
def _keep_to_ourselves() -> None:
    """Have orphans of commands come to us, and let no command write into our own pipes."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _requests(stream: BinaryIO) -> Iterator[bytes | None]:
    """Give each line; None for one that is too long to be looked at."""
    while line := stream.readline(LINE_BYTES):
        if line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _parsed(line: bytes | None) -> dict[str, Any]:
    if line is None:
        return {}
    try:
        value = json.loads(line)
    except (ValueError, RecursionError, MemoryError):
        return {}
    return value if isinstance(value, dict) else {}


def main() -> None:
    """Answer requests until there are no more; the first one says where and what may be done."""
    toolbox: Toolbox | None = None
    for line in _requests(sys.stdin.buffer):
        request = _parsed(line)
        if toolbox is None:
            toolbox = Toolbox(request["with"])
            said = _yes("ready")
        elif not request:
            said = _no("the request was too long or not valid JSON")
        else:
            said = toolbox.answer(request)
        sys.stdout.buffer.write(json.dumps({"id": request.get("id"), **said}).encode("ascii"))
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

__all__ = ["Toolbox", "Wrong", "allowed", "hops", "main", "notes", "outline", "rank", "symbols"]
