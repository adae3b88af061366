"""Cut GitHub's examples of webhooks to what an event file is read for.

Addresses, pictures and counters go; who did what to what, where, and every text stays.
`scripts/openapi-cut` runs this.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from tests.forge.webhooks import FILE
from tests.run import ROOT

_GONE: Final = frozenset(
    {"_links", "avatar_url", "gravatar_id", "node_id", "forks", "watchers", "size", "homepage"}
    | {"language", "license", "topics", "open_issues", "mirror_url", "is_template", "pushed_at"}
    | {"web_commit_signoff_required", "custom_properties", "site_admin", "manifest"}
    | {"installation_command", "package_files", "container_metadata", "body_html"}
)
_HOST: Final = re.compile(r"(?:https?|git)://[^/\"\s)]+")
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+\w")
_LARGEST: Final = 600_000


class CutError(Exception):
    """The cut would be too large."""


def cut(events: list[dict[str, Any]], source: str) -> str:
    """Give the examples, one a line."""
    lines = [
        json.dumps(
            {"event": event["name"], "payload": _bare(example)},
            sort_keys=True,
            separators=(",", ":"),
        )
        for event in events
        for example in event["examples"]
    ]
    text = ",\n".join(dict.fromkeys(lines))
    text = _EMAIL.sub("someone@example.org", _HOST.sub("http://127.0.0.1", text))
    return f'{{"source": {json.dumps(source)}, "examples": [\n{text}\n]}}\n'


def main(words: list[str]) -> int:
    """Write the cut of the examples at a path; the second word says where they came from."""
    path, source = words
    text = cut(json.loads(Path(path).read_text()), source)
    if len(text.encode()) > _LARGEST:
        msg = f"the cut has {len(text.encode())} bytes, more than {_LARGEST}"
        raise CutError(msg)
    FILE.write_text(text)
    sys.stdout.write(f"{FILE.relative_to(ROOT)}: {len(text.encode())} bytes\n")
    return 0


def _bare(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list):
        return [_bare(one, depth) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _bare(inner, depth + 1)
        for name, inner in value.items()
        if name not in _GONE
        and not name.startswith("has_")
        and not name.endswith("_count")
        and (not name.endswith("url") or (name == "html_url" and depth in {1, 2}))
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
