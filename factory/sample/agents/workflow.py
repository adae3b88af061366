"""An agent that widens the continuous integration's matrix: a change that a person has to allow.

python workflow.py FILE
"""

import sys
from pathlib import Path

MATRIX = """    strategy:
      matrix:
        python: ["3.11", "3.12", "3.13"]
"""


def main(words: list[str]) -> int:
    """Add the matrix to the test job, once."""
    file = Path(words[0])
    text = file.read_text()
    if "matrix:" not in text:
        file.write_text(text.replace("    runs-on:", MATRIX + "    runs-on:", 1))
        print(f"{file}: three versions of Python")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
