"""A bounded number of workspaces, grown ahead of need in one background thread."""

import os
import threading
from collections import Counter
from errno import ENOSPC
from typing import Final, Self

from worktrees.failpoint import FailpointError, failpoint
from worktrees.git import GitError, Repository
from worktrees.lock import LockTimeout
from worktrees.names import Oid, RunId, workspace_name
from worktrees.workspace import Grower, Workspace, hand_out

DISK_FLOOR: Final = 200 * 1024 * 1024
"""Nothing grows while fewer bytes than these are free."""
GrowthError = (GitError, OSError, LockTimeout, FailpointError)
"""What may go wrong while growing; `Pool.take` raises it."""


class PoolError(Exception):
    """The pool was asked for what it cannot give: a spent serial, or anything after its end."""


class Pool:
    """Workspaces of one run: serials grow in ascending order and each is handed out at most once.

    At most ``bound`` are grown or handed out at a time, and at most ``ahead`` stand grown before
    anybody asks for them. A serial that nobody asked for is felled when its place is needed, and at
    the end.
    """

    def __init__(
        self,
        repository: Repository,
        run: RunId,
        *,
        grower: Grower,
        bound: int,
        base: Oid,
        first_serial: int = 0,
        ahead: int | None = None,
        disk_floor: int = DISK_FLOOR,
    ) -> None:
        self._repository = repository
        self._run = run
        self._grower = grower
        self._bound = bound
        self._ahead = bound if ahead is None else ahead
        self._base = base
        self._next = first_serial
        self._disk_floor = disk_floor
        self._ready: dict[int, Workspace] = {}
        self._wanted: Counter[int] = Counter()
        self._growing: int | None = None
        self._out: dict[str, int] = {}
        self._spent: set[int] = set()
        self._faults: dict[int, Exception] = {}
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="factory-pool", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, serial: int, *, ref: str, start: Oid, expected: Oid | None) -> Workspace:
        """Wait until this serial is grown and hand it out on ``ref`` at ``start``."""
        with self._changed:
            if serial in self._spent:
                msg = f"{workspace_name(self._run, serial)} was handed out before"
                raise PoolError(msg)
            self._spent.add(serial)
            self._wanted[serial] += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: self._closed or serial in self._ready or serial in self._faults
                )
                if serial in self._faults:
                    raise self._faults.pop(serial)
                if serial not in self._ready:
                    msg = "the pool has ended"
                    raise PoolError(msg)
                workspace = self._ready.pop(serial)
                self._out[workspace.name] = serial
            finally:
                del self._wanted[serial]
                self._changed.notify_all()
        try:
            return hand_out(self._repository, workspace, ref=ref, start=start, expected=expected)
        except BaseException:
            self.give_back(workspace)
            raise

    def rebase(self, base: Oid, *, ahead: int) -> None:
        """Grow what grows from now on at another commit, and so many before they are asked for."""
        with self._changed:
            self._base = base
            if ahead > self._ahead:
                self._changed.notify_all()
            self._ahead = ahead

    def give_back(self, workspace: Workspace) -> None:
        """Fell a workspace that was handed out; its work was exported before."""
        failpoint("pool.give_back.before")
        try:
            self._grower.fell(workspace)
        finally:
            with self._changed:
                self._out.pop(workspace.name, None)
                self._changed.notify_all()
        failpoint("pool.give_back.after")

    def ready(self) -> int:
        """Say how many workspaces stand grown and not handed out."""
        with self._changed:
            return len(self._ready)

    def close(self) -> None:
        """End the thread and fell what nobody took; those handed out are given back by hand."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        while True:
            with self._changed:
                if not self._ready:
                    return
                _, workspace = self._ready.popitem()
            self._grower.fell(workspace)

    def _work(self) -> None:
        try:
            while (serial := self._turn()) is not None:
                self._grow(serial)
        finally:
            with self._changed:
                self._closed = True
                self._growing = None
                self._changed.notify_all()

    def _turn(self) -> int | None:
        """Wait for the next serial to grow; None at the end."""
        with self._changed:
            while not self._closed:
                missing = self._missing()
                alive = len(self._ready) + len(self._out)
                enough = alive >= self._bound or len(self._ready) >= self._ahead
                if missing is None and (self._faults or enough):
                    self._changed.wait()
                elif alive < self._bound:
                    self._growing = self._next if missing is None else missing
                    self._next = max(self._next, self._growing + 1)
                    return self._growing
                elif unasked := sorted(set(self._ready) - set(self._wanted)):
                    self._fell_unasked(unasked[0])
                else:
                    self._changed.wait()
            return None

    def _missing(self) -> int | None:
        asked = (
            serial
            for serial in self._wanted
            if serial not in self._ready and serial not in self._faults
        )
        return min(asked, default=None)

    def _fell_unasked(self, serial: int) -> None:
        workspace = self._ready.pop(serial)
        try:
            self._grower.fell(workspace)
        except GrowthError as error:
            self._blame(error)

    def _grow(self, serial: int) -> None:
        try:
            free = os.statvfs(self._repository.factory)
            if free.f_bavail * free.f_frsize < self._disk_floor:
                megabytes = free.f_bavail * free.f_frsize // 1_000_000
                why = f"only {megabytes} MB free; make room (`factory clean`) and resume"
                raise OSError(ENOSPC, why, str(self._repository.factory))
            failpoint("pool.grow.before")
            grown = self._grower.grow(workspace_name(self._run, serial), self._base)
            failpoint("pool.grow.after")
        except GrowthError as error:
            with self._changed:
                self._growing = None
                self._faults[serial] = error
                self._changed.notify_all()
            return
        with self._changed:
            self._growing = None
            self._ready[serial] = grown
            # It works again: a fault that nobody asked for is not worth a serial.
            self._faults = {key: self._faults[key] for key in self._faults if key in self._wanted}
            self._changed.notify_all()

    def _blame(self, error: Exception) -> None:
        for serial in self._wanted:
            self._faults.setdefault(serial, error)
        self._changed.notify_all()
