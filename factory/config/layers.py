"""Layers: the sources of a configuration laid over each other, each value with its place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import BaseModel

from factory.config.mistakes import ConfigError, Fault, at, faults, masked, where
from factory.config.toml_places import Path, Place, Places

_LISTS: Final = frozenset({"station", "job"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value of a flag or variable: what was typed, and where in it the value begins."""

    origin: str
    text: str
    col: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source: its tables, and where each of its keys stands."""

    file: str
    tree: dict[str, object] = field(default_factory=dict)
    lines: Sequence[str] = ()
    places: Places | None = None
    under: Path = ()
    """The path of our tables in the document, such as ``tool.factory``."""
    given: Mapping[Path, Given] = field(default_factory=dict)
    written: Mapping[str, object] | None = None
    """The tables before mistakes were taken out: messages name things as they are written."""
    repository: bool = False
    """Whether the repository brings this source along: its commands need trust."""
    text: str = ""
    """The whole file as it was read."""

    def origin(self, path: Path) -> str:
        """Say where this value comes from, in the words of ``config show --origin``."""
        given = self._given(path)
        if given is not None:
            return given.origin
        return f"{self.file}:{self._place(path, at_key=True).line}"

    def error(self, fault: Fault) -> ConfigError:
        """Give the mistake with its place and its source line."""
        subject = fault.path if fault.about is None else fault.about
        given = self._given(fault.path)
        place = self._place(fault.path, at_key=fault.at_key)
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        if given is not None:
            place, line = Place(line=1, col=given.col), given.text
        return ConfigError(
            file=self.file,
            line=place.line,
            col=place.col,
            where=where(subject, self.written or self.tree),
            what=fault.what,
            hint=fault.hint,
            source_line=masked(line, fault.path, value_at=None if given is None else given.col),
        )

    def _place(self, path: Path, *, at_key: bool) -> Place:
        if self.places is None:
            return Place(line=1, col=1)
        find = self.places.key if at_key else self.places.value
        return find((*self.under, *path))

    def _given(self, path: Path) -> Given | None:
        tries = (self.given.get(path[:length]) for length in range(len(path), 0, -1))
        return next((given for given in tries if given is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """All sources laid over each other; each value knows its source."""

    tree: dict[str, object]
    owners: Mapping[Path, Source]

    def owner(self, path: Path) -> Source | None:
        """Give the source that a value, or the table around it, was taken from."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.owners:
                return self.owners[path[:length]]
        return None


def merge(sources: Iterable[Source]) -> Merged:
    """Lay sources over each other, the strongest first; lists replace, tables mix."""
    tree: dict[str, object] = {}
    owners: dict[Path, Source] = {}
    for source in sources:
        for path, value in _flat(source.tree, ()):
            if any(path[:length] in owners for length in range(1, len(path) + 1)):
                continue
            if any(known[: len(path)] == path for known in owners):
                continue
            owners[path] = source
            put(tree, path, value)
    return Merged(tree=tree, owners=owners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What the tables accept of one source, and what they do not: its mistakes and their paths."""

    source: Source
    errors: tuple[ConfigError, ...] = ()
    broken: frozenset[Path] = frozenset()


def sound(source: Source, model: type[BaseModel]) -> Sound:
    """Check one source against the tables' types, and go on with what they accept."""
    wrong = first = faults(model, source.tree)
    tree = source.tree
    broken: set[Path] = set()
    while wrong:
        broken |= {fault.path for fault in wrong}
        left = pruned(tree, wrong)
        # Without progress nothing can be told apart any more; the first mistakes are told.
        tree = left if left != tree else {}
        wrong = faults(model, tree)
    return Sound(
        source=replace(source, tree=tree, written=source.tree),
        errors=tuple(source.error(fault) for fault in first),
        broken=frozenset(broken),
    )


def station_names(sources: Iterable[Source]) -> frozenset[str]:
    """Give the names of all stations as they are written, also of those with mistakes."""
    names: set[str] = set()
    for source in sources:
        items = source.tree.get("station")
        for item in items if isinstance(items, list) else []:
            name = item.get("name") if isinstance(item, dict) else None
            names |= {name} if isinstance(name, str) else set()
    return frozenset(names)


def pruned(tree: dict[str, object], wrong: Iterable[Fault]) -> dict[str, object]:
    """Give the tree without what was not accepted; items of lists keep their positions."""
    left = _copied(tree)
    for fault in sorted(wrong, key=lambda fault: len(fault.path), reverse=True):
        path = fault.path
        items = left.get(str(path[0])) if path[0] in _LISTS and len(path) > 1 else None
        if not isinstance(items, list) or not isinstance(path[1], int):
            _drop(left, path)
            continue
        item = items[path[1]]
        if not isinstance(item, dict):
            items[path[1]] = item = {}
        _drop(left, path)
        if path[0] == "station":
            item.setdefault("name", f"unnamed-{path[1]}")
    return left


def put(tree: dict[str, object], path: Path, value: object) -> None:
    """Set a value below tables that are made where they miss."""
    for part in path[:-1]:
        inner = tree.setdefault(str(part), {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree[str(path[-1])] = value


def _flat(tree: Mapping[str, object], above: Path) -> Iterator[tuple[Path, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, key))
        else:
            yield (*above, key), value


def _copied(tree: dict[str, object]) -> dict[str, object]:
    return {key: _copy(value) for key, value in tree.items()}


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return _copied(value)
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _drop(tree: dict[str, object], path: Path) -> None:
    """Take the nearest key of a table at or above the path out, but never a whole list of items."""
    items = 2 if path[0] in _LISTS and len(path) > 1 and isinstance(path[1], int) else 0
    for length in range(len(path), items, -1):
        table = at(tree, path[: length - 1])
        if isinstance(table, dict) and path[length - 1] in table:
            del table[path[length - 1]]
            return
