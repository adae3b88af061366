"""An agent of the example: it mends the one defect that the issue tells of, and tests it.

Its remedy is written down here, as no model is asked. Everything around it is as with any agent:
the brief comes from the issue, the work is done in a sandbox, and the tests decide.
"""

import json
import os
import sys
from pathlib import Path

CODE = Path("src/shopkit/stock/levels.py")
TESTS = Path("tests/stock/test_stock.py")
WRONG = "        taken = min(there, wanted)\n"
RIGHT = "        taken = max(0, min(there, wanted))\n"
TEST = """

def test_nobody_fills_a_shelf_by_taking_from_it():
    shelf = Shelf({"MUG-1": 3})
    assert shelf.take("MUG-1", -2) == 0
    assert shelf.counts == {"MUG-1": 3}
"""


def main() -> int:
    """Mend it, when this is what the brief asks for and it is not mended yet."""
    told = json.loads(Path(os.environ["FACTORY_BRIEF"]).read_text())
    if "shelf" not in f"{told['title']} {told['brief']}".lower():
        print("I only know about shelves", file=sys.stderr)
        return 2
    source = CODE.read_text()
    if WRONG not in source:
        print(f"{CODE} is not as I know it", file=sys.stderr)
        return 1
    CODE.write_text(source.replace(WRONG, RIGHT))
    TESTS.write_text(TESTS.read_text() + TEST)
    print("a shelf gives nothing to whoever asks for less than nothing; a test says so")
    return 0


if __name__ == "__main__":
    sys.exit(main())
