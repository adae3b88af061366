"""What a text names is found where it is meant, and nowhere else."""

import pytest

from factory.survey import naming

KNOWN = naming.tracked(
    ["src/ferry/wait.py", "src/ferry/__init__.py", "tests/__init__.py", "setup.cfg"]
)


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("see src/ferry/wait.py please", "src/ferry/wait.py"),
        ('File "/usr/lib/python3/site-packages/ferry/wait.py", line 3', ""),
        ('File "/home/me/x/src/ferry/wait.py", line 3', "src/ferry/wait.py"),
        ("in ferry/wait.py:12 it stops", "src/ferry/wait.py"),
        ("wait.py is wrong", "src/ferry/wait.py"),
        (r"src\ferry\wait.py on Windows", "src/ferry/wait.py"),
        ("`setup.cfg`, too", "setup.cfg"),
        ("__init__.py is one of several", ""),
        ("ferry/__init__.py", "src/ferry/__init__.py"),
        ("await.py or wait.pyx or ../../etc/passwd", ""),
        ("mail me@wait.py", ""),
    ],
)
def test_a_path_counts_when_it_means_one_tracked_file(said: str, file: str) -> None:
    """By its whole path, an end of it, or a frame that ends in it."""
    assert naming.files(said, KNOWN) == ((file,) if file else ())


def test_errors_are_alike_when_only_values_differ() -> None:
    """Numbers, quoted words and paths vary between two reports of one error."""
    one = naming.errors("ferry.errors.RetryError: gave up after 3 tries on 'a'\n")
    other = naming.errors('RetryError: gave up after 12 tries on "b"')

    assert one == other == ("RetryError: gave up after * tries on",)
    assert naming.errors("error[E0308]: mismatched types here") == ("error: mismatched types here",)
    assert naming.errors("ECONNREFUSED at start") == ("ECONNREFUSED",)
    assert naming.errors("all is well, no error") == ()


def test_symbols_are_names_of_code() -> None:
    """Words in code spans and words that only code writes so."""
    found = naming.symbols("`wait_for(0)` of FerryPool calls maxTries; Timeout is a word")
    assert set(found) == {"wait_for", "FerryPool", "maxTries"}
