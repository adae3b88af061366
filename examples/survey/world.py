"""The sample repository on the loopback forge: its issues, its pull requests, and its people."""

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.forge.hub import Hub
from tests.run import run

HERE = Path(__file__).resolve().parent
FERRY = "octo/ferry"
OWNER = "octocat"
MERGED = "scheme.patch"
"""What a merged pull request brought; the sample's files have it already."""
PARTS = ("address", "environment", "login", "tunnel", "session")
"""The modules in the order of the history; each has come with its tests."""
SECURITY = 20
ORDERS, ORDERED = 22, 7
"""The issue whose text gives orders to whoever reads it, and which one they are about."""
DUPLICATES = {14: 3, 19: 12}
MENDED = {8: 9}
"""Issues by the merged pull request that mended them."""
BEGUN = {6: 15}
"""Issues by the contributor's open pull request that begins to mend them."""
CANARIES = ("CANARY-EXPLOIT-7731", "CANARY-ORDERS-4242", "CANARY-HIDDEN-9001")
"""Words of the security report, of the orders, and of what a reader of the page does not see."""


def read(name: str) -> dict[str, Any]:
    """Read one of the files beside this one."""
    return tomllib.loads((HERE / name).read_text("utf-8"))


def grown(place: Path, config: str = "") -> Path:
    """Make the sample's repository as it was before anybody's pull request; give its checkout.

    `config` stands in for the factory.toml that the sample has.
    """
    shutil.copytree(HERE / "ferry", place, ignore=shutil.ignore_patterns("__pycache__"))
    if config:
        (place / "factory.toml").write_text(config, "utf-8")
    git(place, "init", "--quiet", "--initial-branch=main")
    git(place, "apply", "--reverse", str(HERE / "pulls" / MERGED))
    for name in PARTS:
        git(place, "add", f"src/ferry/{name}.py", f"tests/test_{name}.py")
        git(place, "commit", "--quiet", f"--message=Begin with the {name}")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message=Put the parts together")
    return place


def opened(hub: Hub, place: Path, config: str = "") -> None:
    """Have the forge hold the repository, and every item of `items.toml` under its number."""
    told = read("items.toml")
    hub.repository(FERRY, seed=grown(place, config))
    owner = hub.act(OWNER)
    for number, item in enumerate(told["item"], start=1):
        author = hub.act(item["author"])
        text = item["body"].strip("\n")
        if patch := item.get("patch"):
            source = hub.fork(FERRY, item["fork"]).full if "fork" in item else FERRY
            author.commit(source, item["head"], _patched(place, patch), item["title"])
            made = author.open_pull(FERRY, item["head"], item["title"], body=text, source=source)
        else:
            made = author.open(FERRY, item["title"], text)
        if labels := item.get("labels"):
            owner.label(FERRY, made, *labels)
        if item.get("kind") == "merged":
            owner.merge(FERRY, made)
        _same(made, number)
    for remark in told["comment"]:
        hub.act(remark["author"]).comment(FERRY, remark["on"], remark["body"])


def twelve(answers: Mapping[str, Any]) -> tuple[int, ...]:
    """Give the issues about proxies: those that get a test, and the one that is mended already."""
    told = (each for each in answers["verdict"] if {"test", "proof"} & each.keys())
    return tuple(sorted(each["item"] for each in told))


def git(place: Path, *words: str) -> str:
    """Ask git in a checkout."""
    return run(["git", *words], cwd=place).text


def _patched(place: Path, patch: str) -> dict[str, str | None]:
    """Give the files of a patch as they are with it; the checkout goes on with the merged one."""
    path = str(HERE / "pulls" / patch)
    git(place, "apply", path)
    names = git(place, "diff", "--name-only").splitlines()
    found: dict[str, str | None] = {name: (place / name).read_text("utf-8") for name in names}
    if patch == MERGED:
        git(place, "commit", "--quiet", "--all", "--message=Merge")
    else:
        git(place, "apply", "--reverse", path)
    return found


def _same(found: object, wanted: object) -> None:
    if found != wanted:
        msg = f"the sample's forge has {found!r} where {wanted!r} was to be"
        raise AssertionError(msg)
