"""What the Agent Client Protocol's messages mean, as values; every field is hostile data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stations.ran import printable
from stations.runtimes.permissions import Deed, Wish
from stations.runtimes.task import Step

VERSION: Final = 1
"""The version of the protocol that is spoken here."""
HELLO: Final[Mapping[str, object]] = {
    "protocolVersion": VERSION,
    "clientCapabilities": {
        "fs": {"readTextFile": False, "writeTextFile": False},
        "terminal": False,
    },
    "clientInfo": {"name": "factory", "title": "Factory", "version": "1"},
}
_NAME: Final = 80
_LINE: Final = 300
_ITEMS: Final = 64
_DEEDS: Final[Mapping[str, Deed]] = {
    "read": "read",
    "search": "read",
    "think": "read",
    "switch_mode": "read",
    "edit": "write",
    "delete": "write",
    "move": "write",
    "execute": "run",
    "fetch": "fetch",
}
_PATH_KEYS: Final = (
    *("path", "file_path", "filePath", "abs_path", "notebook_path", "old_path", "new_path"),
    *("source", "destination", "target"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What an agent says of itself when it is greeted.

    ``steers``: a word reaches the turn under way. ``queues``: a prompt may be sent during one.
    """

    version: int
    agent: str
    release: str
    steers: bool = False
    queues: bool = False
    logins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a session is given its model: what to ask, and with which words beside its name."""

    method: str
    params: Mapping[str, object]


def hello(result: Mapping[str, object]) -> Hello:
    """Read the answer to a greeting."""
    info, meta = _map(result, "agentInfo"), _map(_map(result, "agentCapabilities"), "_meta")
    version = result.get("protocolVersion")
    return Hello(
        version=version if isinstance(version, int) and not isinstance(version, bool) else 0,
        agent=_word(info.get("name")) or "an agent without a name",
        release=_word(info.get("version")),
        steers=_map(_map(result, "_meta"), "steering").get("supported") is True,
        queues=any(_is_queueing(value) for value in (meta, *list(meta.values())[:_ITEMS])),
        logins=tuple(_word(one.get("name")) for one in _maps(result.get("authMethods"))),
    )


def new_session(place: str, *, runs: bool) -> Mapping[str, object]:
    """Give what a session is made from; what an agent does not know in ``_meta`` it passes over.

    Claude's agent then has the few tools of a coding task (a third of its default first request)
    and takes no settings from the repository, which could give leave in advance.
    """
    tools = ["Read", "Edit", "Write", "Grep", "Glob", *(["Bash"] if runs else [])]
    options = {"settingSources": [], "promptSuggestions": False, "tools": tools}
    return {"cwd": place, "mcpServers": [], "_meta": {"claudeCode": {"options": options}}}


def session_id(result: Mapping[str, object]) -> str:
    """Read the name of a new session; empty when there is none."""
    name = result.get("sessionId")
    return name if isinstance(name, str) and len(name) <= _LINE else ""


def model_choice(result: Mapping[str, object], model: str) -> Choice | None:
    """Find how a new session is given this model; None when it has it, or does not offer it.

    Agents offer it among their options, or (older ones) as a list of its own.
    """
    for option in _maps(result.get("configOptions")):
        if option.get("category") != "model" or not isinstance(option.get("id"), str):
            continue
        values = [one.get("value") for one in _ungrouped(option.get("options"))]
        if model in values and option.get("currentValue") != model:
            return Choice(
                method="session/set_config_option",
                params={"configId": option["id"], "value": model},
            )
    offered = _map(result, "models")
    names = [one.get("modelId") for one in _maps(offered.get("availableModels"))]
    if model in names and offered.get("currentModelId") != model:
        return Choice(method="session/set_model", params={"modelId": model})
    return None


def stop_reason(result: Mapping[str, object]) -> str:
    """Read why a turn ended; a word of the agent's own when it is none of the protocol's."""
    return _word(result.get("stopReason")) or "nothing"


def wish(params: Mapping[str, object]) -> Wish:
    """Read what an agent asks leave for."""
    call = _map(params, "toolCall")
    given = _map(call, "rawInput")
    kind = call.get("kind")
    deed = _DEEDS.get(kind, "other") if isinstance(kind, str) else "other"
    return Wish(deed=deed, paths=tuple(dict.fromkeys(_paths(call))), command=_command(given))


def title(params: Mapping[str, object]) -> str:
    """Name a call of a tool in one line."""
    call = _map(params, "toolCall")
    return _line(call.get("title")) or _word(call.get("toolCallId"))


def option_for(params: Mapping[str, object], *, granted: bool) -> str | None:
    """Choose among the offered options, always for this once; None when there is none like it."""
    wanted = ("allow_once",) if granted else ("reject_once", "reject_always")
    offered = {
        kind: name
        for one in _maps(params.get("options"))
        if isinstance(kind := one.get("kind"), str) and isinstance(name := one.get("optionId"), str)
    }
    return next((offered[kind] for kind in wanted if kind in offered), None)


def spoken(update: Mapping[str, object]) -> str | None:
    """Give what an agent says in an update; None when it is of another kind."""
    if update.get("sessionUpdate") != "agent_message_chunk":
        return None
    text = _map(update, "content").get("text")
    return text if isinstance(text, str) else ""


def opened(update: Mapping[str, object], calls: dict[str, str]) -> None:
    """Keep which calls of tools are under way, by the title that they were last given."""
    name, title = _word(update.get("toolCallId")), _line(update.get("title"))
    if not name:
        return
    match update.get("sessionUpdate"), update.get("status"):
        case "tool_call" | "tool_call_update", "completed" | "failed":
            calls.pop(name, None)
        case "tool_call", _ if len(calls) < _ITEMS:
            calls[name] = title
        case "tool_call_update", _ if title and name in calls:
            calls[name] = title
        case _:
            return


def step(update: Mapping[str, object], calls: Mapping[str, str]) -> Step | None:
    """Give an update as a step for people; None when it tells them nothing.

    An end often names its call by nothing but its id: its title is among ``calls``.
    """
    match update.get("sessionUpdate"), update.get("status"):
        case "tool_call", _:
            name = _line(update.get("title")) or _word(update.get("kind"))
            paths = [_line(one.get("path")) for one in _maps(update.get("locations"))[:3]]
            return Step(kind="tool", text=" ".join([name, *(p for p in paths if p not in name)]))
        case "tool_call_update", ("completed" | "failed") as ended:
            call = _word(update.get("toolCallId"))
            name = _line(update.get("title")) or calls.get(call) or call
            return Step(kind="result", text=f"{name} {ended}")
        case _:
            return None


def _is_queueing(value: object) -> bool:
    return isinstance(value, dict) and value.get("promptQueueing") is True


def _paths(call: Mapping[str, object]) -> Iterator[str]:
    given = _map(call, "rawInput")
    for one in (*_maps(call.get("locations")), *_maps(call.get("content"))):
        if isinstance(path := one.get("path"), str):
            yield path
    for key in _PATH_KEYS:
        if isinstance(path := given.get(key), str):
            yield path
    changes = given.get("changes")  # a patch: the paths are the names
    if isinstance(changes, dict):
        yield from (str(path) for path in changes)


def _command(given: Mapping[str, object]) -> str | tuple[str, ...]:
    command = given.get("command")
    if isinstance(command, list):
        return tuple(str(word) for word in command)
    return command if isinstance(command, str) else ""


def _map(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _maps(value: object) -> list[Mapping[str, object]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict)]


def _ungrouped(value: object) -> Iterator[Mapping[str, object]]:
    """Give the options of a choice, also those that stand in groups."""
    for one in _maps(value):
        yield from _maps(one.get("options")) or (one,)


def _word(value: object) -> str:
    return _line(value)[:_NAME]


def _line(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return printable(text[:_LINE].encode("utf-8", "replace")).replace("\n", " ").strip()
