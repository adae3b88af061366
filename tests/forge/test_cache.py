"""The cache: answers of last time, bounded, shared, and never in the way."""

import threading
from pathlib import Path

from factory.forge.cache import Cache, Known


def known(body: str = "{}", etag: str = '"1"') -> Known:
    """Give an answer."""
    return Known(etag=etag, link="", body=body)


def test_what_is_kept_is_found_again_by_another_process(tmp_path: Path) -> None:
    """An answer survives the one who kept it; the newest of an address counts."""
    path = tmp_path / "below" / "forge.sqlite"
    Cache(path=path).keep("/a", known())
    Cache(path=path).keep("/a", Known(etag='"2"', link="<x>", body="\N{SNOWMAN}\ud800"[:1]))

    assert Cache(path=path).find("/a") == Known(etag='"2"', link="<x>", body="\N{SNOWMAN}")
    assert Cache(path=path).find("/b") is None


def test_the_oldest_answers_go_when_there_are_too_many(tmp_path: Path) -> None:
    """No more than the allowed bytes are held, and an answer larger than that is not kept."""
    cache = Cache(path=tmp_path / "c", size=1000)
    for number in range(20):
        cache.keep(f"/{number}", known("x" * 100))
    cache.keep("/large", known("x" * 1001))

    held = [number for number in range(20) if cache.find(f"/{number}")]
    assert held == list(range(10, 20))
    assert cache.find("/large") is None


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    """A broken cache costs requests and nothing else."""
    path = tmp_path / "forge.sqlite"
    path.write_bytes(b"not a database, and longer than a header of one is" * 50)
    cache = Cache(path=path)

    assert cache.find("/a") is None
    cache.keep("/a", known())
    assert cache.find("/a") == known()


def test_threads_may_share_it(tmp_path: Path) -> None:
    """Threads that keep and find at once neither fail nor lose an answer."""
    cache = Cache(path=tmp_path / "c")
    wrong: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(10):
                cache.keep(f"/{name}/{number}", known())
                assert cache.find(f"/{name}/{number}") is not None
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert not wrong
