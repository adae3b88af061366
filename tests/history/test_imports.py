"""Which files name which others."""

import pytest

from factory.history.imports import imports

PYTHON = {
    "src/app/__init__.py": "",
    "src/app/users.py": "from app import store\nfrom .text import clean\nimport os, app.deep.low\n",
    "src/app/store.py": "def get():\n    try:\n        from . import text\n    finally: ...\n",
    "src/app/text.py": "def clean(): ...\n",
    "src/app/deep/__init__.py": "from ..store import get\n",
    "src/app/deep/low.py": "",
    "tests/test_users.py": "from app.users import name\n",
}


def test_python_is_read_as_a_tree() -> None:
    """Absolute, relative and nested imports are found, of modules and of names in them."""
    found = imports(PYTHON, PYTHON)

    assert found["src/app/users.py"] == {
        "src/app/store.py",
        "src/app/text.py",
        "src/app/deep/low.py",
    }
    assert "src/app/text.py" in found["src/app/store.py"]
    assert "src/app/store.py" in found["src/app/deep/__init__.py"]
    assert found["tests/test_users.py"] == {"src/app/users.py"}
    assert "src/app/text.py" not in found


@pytest.mark.parametrize(
    ("sources", "path", "wanted"),
    [
        (
            {
                "web/a.ts": 'import x from "./b.js";\nexport * from "./c";\nrequire("./d/");\n',
                **dict.fromkeys(("web/b.ts", "web/c.tsx", "web/d/index.js"), ""),
            },
            "web/a.ts",
            {"web/b.ts", "web/c.tsx", "web/d/index.js"},
        ),
        (
            {
                "go.mod": "module example.org/shop\n",
                "main.go": 'package main\nimport (\n\t"fmt"\n\tx "example.org/shop/cart"\n)\n',
                **dict.fromkeys(("cart/cart.go", "cart/cart_test.go"), "package cart\n"),
            },
            "main.go",
            {"cart/cart.go"},
        ),
        (
            {
                "crates/core/src/lib.rs": "pub mod walk;\nuse crate::walk::Dir;\nuse text::Line;\n",
                "crates/core/src/walk.rs": "",
                "crates/text/src/lib.rs": "",
            },
            "crates/core/src/lib.rs",
            {"crates/core/src/walk.rs", "crates/text/src/lib.rs"},
        ),
        (
            {
                "src/java/org/shop/App.java": "import org.shop.cart.Cart;\nimport java.io.*;",
                "src/java/org/shop/cart/Cart.java": "",
            },
            "src/java/org/shop/App.java",
            {"src/java/org/shop/cart/Cart.java"},
        ),
        (
            {
                "src/a.c": '#include "a.h"\n#include "net/wire.h"\n#include <stdio.h>\n',
                **dict.fromkeys(("src/a.h", "include/net/wire.h"), ""),
            },
            "src/a.c",
            {"src/a.h", "include/net/wire.h"},
        ),
    ],
    ids=["typescript", "go", "rust", "java", "c"],
)
def test_other_languages_are_read_by_their_patterns(
    sources: dict[str, str], path: str, wanted: set[str]
) -> None:
    """What an import names is found where the language would look, and nothing else is."""
    assert imports(sources, sources)[path] == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("def (", "(" * 100_000, "\0", "import " + "a." * 5_000 + "b", "from . import *"),
        *("from .......... import x", "import ../../etc/passwd", "\ud800"),
    ],
)
def test_what_cannot_be_read_imports_nothing(text: str) -> None:
    """A hostile text is no error, and leads out of no repository."""
    sources = {f"a/x{end}": text for end in (".py", ".js", ".go", ".rs", ".java", ".c")}

    assert imports(sources, sources) == {}


def test_a_script_cannot_climb_out() -> None:
    """A relative import that leaves the repository means nothing in it."""
    sources = {"a.js": 'import "../../../a";\nimport "..//a";', "b.js": 'require("./a\\0")'}

    assert imports(sources, sources) == {}


def test_blank_lines_cost_nothing() -> None:
    """A file of nothing but line ends is read at once, and what stands behind them is found."""
    gap = "\n" * 150_000
    lines = {
        "main.go": 'import "example.org/shop/cart"',
        "src/lib.rs": "pub(crate) mod walk;",
        "app/A.java": "import app.B;",
        "c/a.c": '#include "b.h"',
    }
    others = {"go.mod": "module example.org/shop\n", "cart/cart.go": "", "src/walk.rs": ""}
    others |= {"app/B.java": "", "c/b.h": ""}

    found = imports({path: gap + line for path, line in lines.items()} | others, {*lines, *others})

    assert {path: set(names) for path, names in found.items()} == {
        "main.go": {"cart/cart.go"},
        "src/lib.rs": {"src/walk.rs"},
        "app/A.java": {"app/B.java"},
        "c/a.c": {"c/b.h"},
    }
