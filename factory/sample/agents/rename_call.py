"""An agent that renames calls of a method, keeping every comment and blank (it needs libcst).

    python rename_call.py PATH...

The names come from the brief on standard input: Replace calls of `old` with `new`.
"""

import re
import sys
from pathlib import Path

import libcst as cst
import libcst.matchers as m


def renamed(module: cst.Module, old: str, new: str) -> cst.Module:
    """Give the module with every call of `something.old(...)` renamed; definitions stay."""
    calls = m.Call(func=m.Attribute(attr=m.Name(old)))

    def called(call: cst.CSTNode, _: object) -> cst.CSTNode:
        assert isinstance(call, cst.Call)
        return call.with_deep_changes(call.func, attr=cst.Name(new))

    after = m.replace(module, calls, called)
    assert isinstance(after, cst.Module)
    return after


def main(words: list[str]) -> int:
    """Rename in every module below the paths and say where."""
    found = re.search(r"`(\w+)` with `(\w+)`", sys.stdin.read())
    if found is None:
        print("the brief does not say: Replace calls of `old` with `new`")
        return 2
    for file in sorted(each for word in words for each in Path(word).rglob("*.py")):
        before = cst.parse_module(file.read_text())
        after = renamed(before, found[1], found[2])
        if after.code != before.code:
            file.write_text(after.code)
            print(f"{file}: calls {found[2]} now")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
