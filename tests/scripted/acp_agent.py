#!/usr/bin/env python3
"""A small real agent of the Agent Client Protocol: it does what its script says, faults included.

Run with a script as its one argument: ``{"hello": {...}, "new": {...}, "turns": [[[act, ...]]]}``.
Standard library only, and nothing of ours: it runs inside the sandbox.
"""

import json
import os
import select
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HELLO = {
    "protocolVersion": 1,
    "agentCapabilities": {"promptCapabilities": {}},
    "agentInfo": {"name": "scripted-acp", "version": "1.0"},
    "authMethods": [],
}
OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "once", "name": "Once", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


class Agent:
    """One connection and its one session."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.turns = iter(script["turns"])
        self.last = 1000
        self.cancelled = False
        self.steered: list[str] = []
        self.queued: list[dict[str, Any]] = []
        self.pending: list[int] = []
        self.prompts: list[str] = []

    def serve(self) -> None:
        """Answer what is asked until nobody asks any more."""
        while True:
            message = self.queued.pop(0) if self.queued else self.read()
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        """Answer one message."""
        number, method = message.get("id"), message.get("method")
        if method == "initialize":
            self.reply(number, {**HELLO, **self.script.get("hello", {})})
        elif method == "session/new":
            given = message["params"]
            assert given["cwd"] == str(Path.cwd())
            assert given["mcpServers"] == []
            assert given["_meta"]["claudeCode"]["options"]["settingSources"] == []
            self.reply(number, {"sessionId": "s1", **self.script.get("new", {})})
        elif method == "session/prompt":
            self.prompts.append(message["params"]["prompt"][0]["text"])
            self.turn(number)
        elif method == "session/set_config_option":
            self.say(f"model set to {message['params']['value']}")
            self.reply(number, {"configOptions": []})
        elif method == "session/set_model":
            self.say(f"model set to {message['params']['modelId']}")
            self.reply(number, {})
        elif method == "_session/steering":
            self.reply(number, {"outcome": "promptRequired"})
        elif method == "session/cancel":
            self.cancelled = True

    def turn(self, number: object) -> None:
        """Do the acts of the next turn; without a last act it ends by itself."""
        for name, *given in next(self.turns, []):
            if name == "stop":
                self.reply(number, {"stopReason": given[0]})
                return
            if name == "error":
                self.send({"id": number, "error": {"code": given[0], "message": given[1]}})
                return
            getattr(self, name)(*given)
        self.reply(number, {"stopReason": "cancelled" if self.cancelled else "end_turn"})

    def say(self, text: str) -> None:
        """Say something."""
        content = {"type": "text", "text": text}
        self.update({"sessionUpdate": "agent_message_chunk", "content": content})

    def write(self, path: str, text: str) -> None:
        """Write a file, as far as the sandbox lets it."""
        try:
            Path(path).write_text(text)
        except OSError as error:
            self.say(f"kernel: {error.strerror}")

    def report(self, report: object) -> None:
        """Leave a report."""
        Path("/.factory/out/report.json").write_text(json.dumps(report))

    def reported(self) -> None:
        """Leave a report where the prompt says."""
        place = self.prompts[-1].split("one JSON object to the file ")[1].split()[0]
        Path(place).write_text(json.dumps({"status": "done", "summary": "by path"}))

    def ask(self, kind: str | None, given: dict[str, Any], options: object = OPTIONS) -> str:
        """Ask leave, and say what the answer was."""
        path = given.pop("location", None)
        call = {
            "toolCallId": "t1",
            "title": f"{kind} {path or given}",
            "kind": kind,
            "rawInput": given,
            "locations": [{"path": path}] if path else [],
        }
        asked = {"sessionId": "s1", "toolCall": call, "options": options}
        outcome = self.request("session/request_permission", asked)["result"]["outcome"]
        answer: str = outcome.get("optionId", outcome["outcome"])
        self.say(f"leave: {answer}")
        return answer

    def edit(self, path: str, text: str) -> None:
        """Ask leave to write a file, and write it when it was given."""
        call = {"toolCallId": "e1", "title": f"Edit {path}", "kind": "edit", "status": "pending"}
        self.update({"sessionUpdate": "tool_call", **call})
        if self.ask("edit", {"location": str(Path.cwd() / path)}) == "once":
            self.write(path, text)
        done = {"toolCallId": "e1", "status": "completed", "title": f"Edit {path}"}
        self.update({"sessionUpdate": "tool_call_update", **done})

    def files(self) -> None:
        """Ask for what clients need not offer."""
        for method in ("fs/read_text_file", "fs/write_text_file", "terminal/create"):
            answer = self.request(method, {"sessionId": "s1", "path": "/etc/passwd"})
            self.say(f"{method}: {answer['error']['code']}")

    def echo(self) -> None:
        """Say how the last prompt begins, and how it ends."""
        self.say(f"prompt: {self.prompts[-1][:200]}")
        self.update({"sessionUpdate": "tool_call", "toolCallId": "c1", "title": "think"})
        self.say(f"... {self.prompts[-1][-250:]}")

    def call(self, size: int = 1) -> None:
        """Call the model, and say what came."""
        url = f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages"
        asked = {
            "model": os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5"),
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "x" * size}],
        }
        headers = {
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "x-api-key": os.environ["ANTHROPIC_API_KEY"],
        }
        request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
        try:
            with urllib.request.urlopen(request) as answer:
                self.say(f"model: {json.load(answer)['content'][0]['text']}")
        except urllib.error.HTTPError as error:
            self.say(f"model: {error.code}")

    def until_cancel(self) -> None:
        """Wait to be told to stop."""
        while not self.cancelled:
            self.hear()

    def until_steered(self) -> None:
        """Wait for a word in mid-turn."""
        while not self.steered:
            self.hear(steers=True)
        self.say(f"steered: {self.steered.pop()}")

    def refuse_steering(self) -> None:
        """Take no word in mid-turn, and say how many there were."""
        count = 0
        while not count:
            message = self.read()
            if message.get("method") == "_session/steering":
                count += 1
                self.send({"id": message["id"], "error": {"code": -32603, "message": "not now"}})
        while select.select([sys.stdin], [], [], 0.5)[0]:
            count += self.read().get("method") == "_session/steering"
        self.say(f"refused {count}")

    def until_prompted(self) -> None:
        """Wait for a second prompt in mid-turn, and answer that one as well."""
        while not self.pending:
            self.hear(prompts=True)
        self.say(f"also: {self.prompts[-1]}")
        self.reply(self.pending.pop(), {"stopReason": "end_turn"})

    def hang(self) -> None:
        """Read on and say nothing any more."""
        while True:
            self.read()

    def deaf(self, times: int) -> None:
        """Ask a great deal without ever reading an answer, then say nothing any more."""
        for _ in range(times):
            self.send({"id": "x" * 4000, "method": "fs/read_text_file", "params": {}})
        threading.Event().wait()

    def die(self, code: int) -> None:
        """Say a last word and be gone."""
        sys.stderr.write("my last word\n")
        sys.stderr.flush()
        os._exit(code)

    def leave_child(self, marker: str) -> None:
        """Leave a process behind in a session of its own."""
        os.posix_spawn("/bin/sleep", ["sleep", marker], {}, setsid=True)

    def raw(self, text: str, times: int = 1) -> None:
        """Write a line that may be anything."""
        for _ in range(times):
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def flood(self, times: int) -> None:
        """Say a great deal."""
        for number in range(times):
            self.say(f"{number} ")

    def long_line(self, size: int) -> None:
        """Write a line without an end."""
        sys.stdout.write("x" * size)
        sys.stdout.flush()
        threading.Event().wait()

    def wrong_ids(self) -> None:
        """Answer what nobody asked."""
        for number in (999, -1, "1", None, True, {"a": 1}, 1.5):
            self.reply(number, {"stopReason": "end_turn"})
        self.send({"id": {"a": 1}, "method": "session/request_permission", "params": []})

    def hear(self, *, steers: bool = False, prompts: bool = False) -> None:
        """Take what comes in mid-turn."""
        message = self.read()
        method = message.get("method")
        if method == "session/cancel":
            self.cancelled = True
        elif method == "_session/steering" and steers:
            self.steered.append(message["params"]["prompt"][0]["text"])
            self.reply(message["id"], {"outcome": "injected"})
        elif method == "session/prompt" and prompts:
            self.prompts.append(message["params"]["prompt"][0]["text"])
            self.pending.append(message["id"])
        else:
            self.queued.append(message)

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask the client, and wait for its answer."""
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        while True:
            message = self.read()
            if message.get("id") == self.last and "method" not in message:
                return message
            if message.get("method") == "session/cancel":
                self.cancelled = True
            else:
                self.queued.append(message)

    def update(self, update: dict[str, Any]) -> None:
        """Tell the client what happens."""
        self.send({"method": "session/update", "params": {"sessionId": "s1", "update": update}})

    def reply(self, number: object, result: object) -> None:
        """Answer the client."""
        self.send({"id": number, "result": result})

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def read(self) -> dict[str, Any]:
        """Read one message; the end of input ends the program."""
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message


if __name__ == "__main__":
    Agent(json.loads(sys.argv[1])).serve()
