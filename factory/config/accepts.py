"""What the values of factory.toml accept: ids, commands, path patterns, addresses, quantities."""

import re
import shlex
from decimal import Decimal
from typing import Annotated, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StringConstraints

from factory.config import quantities
from worktrees.globs import glob
from worktrees.names import ID_PATTERN

_ID_WHAT: Final = "an id: a-z, 0-9 and '-', at most 64, beginning with a letter or digit"
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_REF: Final = re.compile(
    r"(?!/|-)(?!.*(?:\.\.|//|@\{|/\.|/$|\.$|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+"
)


def _identifier(given: str) -> str:
    if not ID_PATTERN.fullmatch(given):
        near = re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-")[:64]
        raise ValueError(
            f'"{given[:80]}" is not {_ID_WHAT}' + (f'; write "{near}"' if near else "")
        )
    return given


def _argv(given: object) -> object:
    return _listed(given) if isinstance(given, str) else given


def _listed(line: str) -> NoReturn:
    try:
        words = shlex.split(line)
    except ValueError:
        words = [line]
    listed = ", ".join(f'"{word}"' for word in words)
    msg = f"a command is a list of words, never a shell line; write [{listed}]"
    raise ValueError(msg)


def _words(given: tuple[str, ...]) -> tuple[str, ...]:
    if not given or not given[0]:
        raise ValueError("a command needs at least the name of its program")
    if any("\0" in word for word in given):
        raise ValueError("a command's words cannot hold a NUL character")
    return given


def _glob(given: str) -> str:
    glob(given)
    if given.removeprefix("!").lstrip("/").split("/")[0].lower() == ".git":
        msg = f'"{given[:80]}" lies in the git directory, which no job may write'
        raise ValueError(msg)
    return given


def _inner(given: str) -> str:
    parts = given.rstrip("/").split("/")
    if given.startswith(("/", "~")) or ".." in parts or not given.strip("/") or "\0" in given:
        msg = f'"{given[:80]}" is not a path inside the repository; write it from its top'
        raise ValueError(msg)
    if parts[0].lower() == ".git":
        msg = f'"{given[:80]}" lies in the git directory, which is never shown'
        raise ValueError(msg)
    return given


def _outer(given: str) -> str:
    if not (given == "~" or given.startswith(("/", "~/"))) or "\0" in given:
        msg = f'"{given[:80]}" is not an absolute path; begin it with "/" or "~/"'
        raise ValueError(msg)
    return given


def _branch(given: str) -> str:
    if not _REF.fullmatch(given) or given.startswith("refs/") or given in {"HEAD", "@"}:
        msg = f'"{given[:80]}" is not a branch name; write it without "refs/heads/"'
        raise ValueError(msg)
    return given


def _variable(given: str) -> str:
    if not _VARIABLE.fullmatch(given):
        # The value is not repeated: people paste the secret itself here.
        raise ValueError(
            "is not the NAME of an environment variable; secrets stay out of files: "
            'write the variable that holds it, such as "ANTHROPIC_API_KEY"'
        )
    return given


def _url(given: str) -> str:
    try:
        parts = urlsplit(given)
        host, user = parts.hostname, parts.username or parts.password
    except ValueError:
        host, user, parts = None, None, urlsplit("")
    if user:
        raise ValueError("holds a user name or password; secrets stay out of files")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError('is not a web address; write one such as "https://host/path"')
    return given


def _hook(given: str) -> str:
    parts = urlsplit(_url(given))
    host = parts.hostname or ""
    if parts.scheme == "http" and host not in {"localhost", "::1"} and not host.startswith("127."):
        raise ValueError("would be sent in the clear; write an https address")
    return given


def _host(given: str) -> str:
    if not re.fullmatch(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?", given):
        msg = f'"{given[:80]}" is not a host; write one such as "packages.example"'
        raise ValueError(msg)
    return given


def _hours(given: str) -> str:
    quantities.hours(given)
    return given


def _minutes(given: object) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return quantities.duration(quantities.duration(given) * 60)
    return quantities.duration(given)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise ValueError("must be longer than 0 seconds")
    return seconds


Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    Field(json_schema_extra={"pattern": f"^{ID_PATTERN.pattern}$"}),
]
Text = Annotated[str, StringConstraints(min_length=1)]
Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_argv, json_schema_input_type=list[str]),
    AfterValidator(_words),
]
Glob = Annotated[str, AfterValidator(_glob)]
Inner = Annotated[str, AfterValidator(_inner)]
Outer = Annotated[str, AfterValidator(_outer)]
BranchName = Annotated[str, AfterValidator(_branch)]
Variable = Annotated[str, AfterValidator(_variable)]
Url = Annotated[str, AfterValidator(_url)]
Hook = Annotated[str, AfterValidator(_hook)]
Host = Annotated[str, AfterValidator(_host)]
Count = Annotated[StrictInt, Field(ge=1, le=10_000)]
Duration = Annotated[
    float, BeforeValidator(quantities.duration, json_schema_input_type=str | int | float)
]
Timeout = Annotated[Duration, AfterValidator(_positive)]
Minutes = Annotated[
    float,
    BeforeValidator(_minutes, json_schema_input_type=str | int | float),
    AfterValidator(_positive),
]
Tokens = Annotated[int, BeforeValidator(quantities.tokens, json_schema_input_type=str | int)]
Dollars = Annotated[
    Decimal, BeforeValidator(quantities.dollars, json_schema_input_type=str | int | float)
]
Price = Annotated[
    Decimal, BeforeValidator(quantities.price, json_schema_input_type=str | int | float)
]
Rate = Annotated[float, BeforeValidator(quantities.rate, json_schema_input_type=str)]
Hours = Annotated[str, AfterValidator(_hours)]
