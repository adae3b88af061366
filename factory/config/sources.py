"""The sources of a configuration, read: TOML files, ``FACTORY_*`` variables, flags."""

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Final

from pydantic import BaseModel, ValidationError

from factory.config import quantities
from factory.config.layers import Given, Source, put
from factory.config.mistakes import ConfigError, Fault, masked, nearest
from factory.config.toml_places import Path, places

COMMAND_LINE: Final = "command line"
ENVIRONMENT: Final = "environment"
FLAGS: Final[Mapping[str, Path]] = {
    "onto": ("line", "target"),
    "deliver": ("line", "deliver"),
    "seats": ("line", "seats"),
    "budget": ("line", "budget"),
    "sandbox": ("line", "sandbox"),
}
"""The keys that words of the command line stand for."""
_SYNTAX: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LARGEST: Final = 1_000_000
_FREE: Final = frozenset({"version", "station", "job", "models", "provider"})


def toml_file(
    path: FilePath, *, name: str, under: Path = (), repository: bool = False
) -> Source | ConfigError | None:
    """Give a TOML file's tables, its one syntax mistake, or None when there is no such file."""
    try:
        # A repository may hold a link to a device or a pipe: only plain files are opened.
        if not stat.S_ISREG(path.stat().st_mode):
            return _unread(name, "is no plain file")
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unread(name, f"cannot be read: {error.strerror}")
    if len(raw) > _LARGEST:
        return _unread(name, f"has more than {_LARGEST} bytes")
    try:
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        col = len(before.rpartition(b"\n")[2].decode()) + 1
        return _unread(name, "is not UTF-8 text", line=line, col=col)
    try:
        tree: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax(name, text, str(error))
    except RecursionError:
        return _unread(name, "is nested too deeply")
    for part in under:
        tree = tree.get(str(part)) if isinstance(tree, dict) else None
    if tree is None:
        return None
    if not isinstance(tree, dict):
        return _unread(name, f"{'.'.join(map(str, under))} must be a table")
    return Source(
        file=name,
        tree=tree,
        lines=text.replace("\r\n", "\n").split("\n"),
        places=places(text),
        under=under,
        repository=repository,
        text=text,
    )


def variables(
    environ: Mapping[str, str], model: type[BaseModel]
) -> tuple[Source, tuple[Fault, ...]]:
    """Give what ``FACTORY_*`` variables set, and the variables that name no key.

    The rule: ``FACTORY_``, then the path of a key that stands in no list and under no free name,
    in capitals, joined by ``_``: ``FACTORY_LINE_SEATS``, ``FACTORY_LINE_BUDGET_USD``. The value is
    read as a TOML value; what is none is taken as the text it is: ``FACTORY_LINE_TARGET=main``.
    The flags' own words are known too, where they name one key: ``FACTORY_SEATS``.
    """
    paths = tuple(leaves(model))
    known = {"FACTORY_" + "_".join(map(str, path)).upper(): path for path in paths}
    known |= {f"FACTORY_{flag.upper()}": path for flag, path in FLAGS.items() if path in paths}
    heads = tuple(
        f"FACTORY_{key.upper()}_" for key in model.model_fields if key not in {"job", "station"}
    )
    values: dict[Path, tuple[object, Given]] = {}
    wrong: list[Fault] = []
    for name, text in sorted(environ.items()):
        typed = Given(origin=name, text=f"{name}={text}", col=len(name) + 2)
        if name in known:
            values[known[name]] = (_value(text, keep=_is_text(model, known[name])), typed)
        elif name.startswith(heads):
            values[(name,)] = (text, typed)
            wrong.append(
                Fault(path=(name,), what="names no key", hint=nearest(name, known), at_key=True)
            )
    source = _from_values(ENVIRONMENT, values)
    for fault in wrong:
        source.tree.pop(str(fault.path[0]), None)
    return source, tuple(wrong)


def flags(given: Mapping[str, object]) -> tuple[Source, tuple[Fault, ...]]:
    """Give what flags set, by their words or dotted keys, and the budgets that are none."""
    values: dict[Path, tuple[object, Given]] = {}
    wrong: list[Fault] = []
    for name, value in given.items():
        path = FLAGS.get(name) or tuple(name.split("."))
        plain: object = list(value) if isinstance(value, tuple) else value
        if name == "budget" and isinstance(value, str):
            try:
                plain = quantities.budget(value)
            except ValueError as error:
                what, _, hint = str(error).partition("; ")
                wrong.append(Fault(path=path, what=what, hint=hint))
                plain = {}
        flag = f"--{name.rpartition('.')[2].replace('_', '-')}"
        typed = Given(origin=f"flag {flag}", text=f"{flag} {value}", col=len(flag) + 2)
        values[path] = (plain, typed)
    source = _from_values(COMMAND_LINE, values)
    # The agent of a line without stations has no key in any table.
    source.tree.pop("agent", None)
    return source, tuple(wrong)


def leaves(model: type[BaseModel], above: Path = ()) -> Iterator[Path]:
    """Give the path of every key that stands in no list and under no free name."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, (*above, name))
        elif above or name not in _FREE:
            yield (*above, name)


def _is_text(model: type[BaseModel], path: Path) -> bool:
    """Say whether the key takes any text, so that ``FACTORY_LINE_TARGET=2026`` is a branch."""
    probe: object = "x2026"
    for part in reversed(path):
        probe = {part: probe}
    try:
        model.model_validate(probe)
    except ValidationError:
        return False
    return True


def _value(text: str, *, keep: bool) -> object:
    if keep:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _from_values(file: str, values: Mapping[Path, tuple[object, Given]]) -> Source:
    tree: dict[str, object] = {}
    for path, (value, _) in values.items():
        put(tree, path, value)
    return Source(file=file, tree=tree, given={path: given for path, (_, given) in values.items()})


def _unread(name: str, what: str, *, line: int = 1, col: int = 1) -> ConfigError:
    return ConfigError(file=name, line=line, col=col, where="file", what=what)


def _syntax(name: str, text: str, message: str) -> ConfigError:
    lines = text.replace("\r\n", "\n").split("\n")
    found = _SYNTAX.search(message)
    line, col = len(lines), len(lines[-1]) + 1
    if found is not None and found[1]:
        line, col = int(found[1]), int(found[2])
    what = _SYNTAX.sub("", message)
    return ConfigError(
        file=name,
        line=line,
        col=col,
        where="file",
        what=f"is not TOML: {what[:1].lower()}{what[1:]}",
        source_line=masked(lines[line - 1], (lines[line - 1].partition("=")[0],)),
    )
