"""HTML that cannot be broken out of: text becomes markup only by being escaped here.

`Html` is a type of its own, so that a plain string in its place is found by the type checker.
"""

from html import escape
from typing import Final, NewType

from factory.wording import block, clean, masked

Html = NewType("Html", str)
Value = str | int | float | bool | None
NOTHING: Final = Html("")
_ALONE: Final = frozenset({"meta", "link", "input", "br"})
_DRAWN: Final = frozenset({"path", "rect", "line", "circle", "polyline"})


def text(said: object) -> Html:
    """Give any text as markup that shows it: on one line, secrets masked, nothing invisible."""
    return Html(escape(clean(masked(str(said)))))


def words(*parts: Html) -> Html:
    """Give pieces of markup with a space between them."""
    return Html(" ".join(parts))


def lines(said: str) -> Html:
    """Give a text of several lines as markup that shows it, its spaces kept by a `pre`."""
    return Html(escape(block(masked(said))))


def tag(name: str, /, *inside: Html, **attributes: Value) -> Html:
    """Give an element; ``cls`` stands for class, an underscore for a hyphen.

    True is an attribute without a value; None and False are none.
    """
    return element(name, {_named(key): value for key, value in attributes.items()}, *inside)


def element(name: str, attributes: dict[str, Value], *inside: Html) -> Html:
    """Give an element whose attributes are named as they stand."""
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _ALONE:
        return Html(f"<{name}{said}>")
    if name in _DRAWN and not inside:
        return Html(f"<{name}{said}/>")
    return Html(f"<{name}{said}>{''.join(inside)}</{name}>")


def joined(*parts: Html) -> Html:
    """Give several pieces of markup as one."""
    return Html("".join(parts))


def number(value: float) -> str:
    """Give a coordinate with as few digits as drawing needs."""
    return f"{value:.1f}".removesuffix(".0")


def _named(key: str) -> str:
    return {"cls": "class", "for_": "for", "viewbox": "viewBox"}.get(key, key.replace("_", "-"))


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    return f' {key}="{text(number(value) if isinstance(value, float) else value)}"'
