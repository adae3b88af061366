"""What the tests of configuration share: a line, and a way to load settings from a text."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from factory import settings
from factory.settings import ConfigErrors, Settings

LINE = """
[[station]]
name = "api"
scope = ["src/api/**", "!src/api/made/**"]
agent = { runtime = "command", run = ["sh", "agent.sh"] }

[[station]]
name = "imports"
scope = ["src/**"]
run = ["ruff", "check", "--fix", "src"]

[[station]]
name = "tests"
kind = "test"
run = ["pytest", "-q"]
"""


class Load:
    """Loads settings from a text of factory.toml, with an environment of its own."""

    def __init__(self, around: Path) -> None:
        self.checkout = around / "checkout"
        self.home = around / "home"
        self.user = self.home / ".config/coding-agent-factory/factory.toml"
        self.checkout.mkdir()
        self.user.parent.mkdir(parents=True)

    def __call__(
        self,
        text: str | None = None,
        *,
        flags: Mapping[str, object] | None = None,
        tracked: tuple[str, ...] | None = None,
        **environ: str,
    ) -> Settings:
        """Write the text, if any, as the checkout's factory.toml, and load."""
        if text is not None:
            (self.checkout / "factory.toml").write_text(text)
        return settings.load(
            self.checkout,
            flags=flags or {},
            tracked=None if tracked is None else lambda: tracked,
            environ={"HOME": str(self.home), **environ},
        )

    def mistakes(self, text: str, **environ: str) -> list[str]:
        """Give the first line of every mistake, without the name of the file."""
        with pytest.raises(ConfigErrors) as caught:
            self(text, **environ)
        return [str(error).split("\n")[0] for error in caught.value.errors]

    def mistake(self, text: str, **environ: str) -> str:
        """Give the one mistake there is, without its place."""
        (only,) = self.mistakes(text, **environ)
        return only.partition(": error: ")[2]


def _quoted(text: str) -> str:
    """Give a text as a basic TOML string."""
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\0": "\\u0000"}
    return '"' + "".join(named.get(c, c) for c in text) + '"'


def as_toml(value: object) -> str:
    """Give a value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case list():
            return "[" + ",\n ".join(map(as_toml, value)) + " ]"
        case dict():
            inner = (f"{_quoted(key)} = {as_toml(item)}" for key, item in value.items())
            return "{ " + ", ".join(inner) + " }"
        case _:
            return repr(value)


def every_table(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Give a model and all models that its keys name."""
    found = {model}
    for info in model.model_fields.values():
        for kind in _types_in(info.annotation):
            if issubclass(kind, BaseModel) and kind not in found:
                found |= every_table(kind)
    return found


def _types_in(annotation: object) -> set[type]:
    """Give the classes an annotation is made of."""
    arguments = getattr(annotation, "__args__", ())
    inner = {kind for argument in arguments for kind in _types_in(argument)}
    return inner | ({annotation} if isinstance(annotation, type) and not arguments else set())
