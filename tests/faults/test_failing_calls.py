"""EIO and ENOSPC from the system calls of a commit and of an export, injected by strace; and a kill at each of them.

What is looked at: a writer that has failed takes nothing more, nothing acknowledged is lost, nothing is half there, and a start
without the fault goes on.
"""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger import verify
from ledger.verify import read_key, verify_folder
from tests.faults.audit import Lost, audit, goes_on
from tests.faults.exporter import FAILED, SIGNER, sign_and_export
from tests.faults.writers import write
from tests.processes import PROJECT

AT_ONCE = 2
GROUPS = 4
FIRST = 100
TIME_MAX_S = 60


@dataclass(frozen=True)
class Ended:
    status: int
    lines: Sequence[str]
    err: str


def under_strace(fault: str, *program: str) -> Ended:
    """Run a program of these tests with a fault in a system call: ``fdatasync:error=EIO:when=3``, counted in each thread."""
    name = fault.partition(":")[0]
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={fault}"]
    done = subprocess.run(
        [*trace, sys.executable, "-m", *program],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=TIME_MAX_S,
    )
    return Ended(done.returncode, done.stdout.splitlines(), done.stderr)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of a few groups, closed."""
    path = tmp_path_factory.mktemp("begun") / "x.db"
    asyncio.run(write(path, 0, 5, lambda number: None, "awaits"))
    return path


def copies(begun: Path, folder: Path, faults: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for number, fault in enumerate(faults):
        path = folder / f"{number}.db"
        shutil.copy(begun, path)
        yield fault, path


def written(fault: str, path: Path, *options: str) -> Ended:
    return under_strace(fault, "tests.faults.writers", str(path), str(FIRST), str(GROUPS), *options)


def acknowledged(ended: Ended) -> set[int]:
    return {*range(5), *(int(line) for line in ended.lines if line.isdigit())}


# In the thread that commits: fdatasync 1 is that of the log's header, 2 of the folder (SQLite overlooks its failure), 3 of the
# first commit. The first eight writes are those of the shared memory's file, at the opening.
COMMIT_FAULTS = [
    *(f"fdatasync:error={error}:when={when}" for error in ("EIO", "ENOSPC") for when in (1, 4)),
    *(f"pwrite64:error=EIO:when={when}" for when in ("2", "9", "30")),
    *(f"pwrite64:error=ENOSPC:when={when}" for when in ("10+", "45+")),
    *(f"pread64:error=EIO:when={when}" for when in (5, 8)),
]


def test_a_writer_whose_system_call_fails_takes_no_more_and_loses_nothing(begun: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cases = list(copies(begun, tmp_path, COMMIT_FAULTS))
        for (fault, path), ended in zip(cases, pool.map(lambda case: written(*case), cases), strict=True):
            assert ended.status == 0, (fault, ended.err)
            outcome = ended.lines[-1]
            assert outcome in ("failed input_output poisoned", "failed disk_full poisoned", "unusable"), (
                fault,
                outcome,
            )
            there = audit(path, acknowledged(ended))
            assert len(there) <= 5 + GROUPS
            goes_on(path, FIRST + GROUPS)


KILLS = [
    *(f"fdatasync:signal=SIGKILL:when={when}" for when in (1, 2, 4)),
    *(f"pwrite64:signal=SIGKILL:when={when}" for when in (3, 10, 18, 44)),
]


def test_a_writer_that_is_killed_at_a_system_call_loses_nothing(begun: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cases = list(copies(begun, tmp_path, KILLS))
        for (fault, path), ended in zip(cases, pool.map(lambda case: written(*case), cases), strict=True):
            assert ended.status == -signal.SIGKILL, (fault, ended)
            audit(path, acknowledged(ended))
            goes_on(path, FIRST + GROUPS)


def test_a_writer_that_swallows_a_failed_commit_is_found_out(begun: Path, tmp_path: Path) -> None:
    """The control: it acknowledges what its disk refused."""
    ((fault, path),) = copies(begun, tmp_path, ["pwrite64:error=ENOSPC:when=20+"])
    ended = written(fault, path, "swallows")
    assert ended.lines[-1] == "whole"
    with pytest.raises(Lost):
        audit(path, acknowledged(ended))


@dataclass(frozen=True)
class Log:
    """A database, its last checkpoint and its export: ``old`` covers the first of its entries, ``whole`` all of them."""

    folder: Path

    @property
    def arguments(self) -> tuple[Path, Path, Path]:
        return self.folder / "x.db", self.folder / "signed", self.folder / "export"

    @property
    def exported(self) -> dict[str, bytes]:
        export = self.folder / "export"
        return {str(path.relative_to(export)): path.read_bytes() for path in export.rglob("*") if path.is_file()}

    def copy(self, folder: Path) -> "Log":
        shutil.copytree(self.folder, folder)
        return Log(folder)

    def covers(self) -> int:
        return verify_folder(self.folder / "export", [read_key(SIGNER.verifier().text())]).checkpoint.size


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Exported at some 200 entries, and grown beyond two full tiles since."""
    log = Log(tmp_path_factory.mktemp("log"))
    asyncio.run(write(log.arguments[0], 0, 100, lambda number: None, "awaits"))
    asyncio.run(sign_and_export(*log.arguments))
    asyncio.run(write(log.arguments[0], 100, 180, lambda number: None, "awaits"))
    return log


EXPORT_FAULTS = [
    *(f"fsync:error=EIO:when={when}" for when in (1, 2, 4)),
    *(f"write:error=ENOSPC:when={when}" for when in (1, 3)),
    "write:error=EIO:when=2",
    "link,linkat:error=ENOSPC:when=1",
    *(f"rename,renameat,renameat2:error=EIO:when={when}" for when in (1, 2)),
    *(f"fsync:signal=SIGKILL:when={when}" for when in (2, 3, 5)),
    *(f"rename,renameat,renameat2:signal=SIGKILL:when={when}" for when in (1, 2)),
]


def test_an_export_whose_system_call_fails_publishes_nothing_that_is_not_whole(log: Log, tmp_path: Path) -> None:
    whole = log.copy(tmp_path / "whole")
    size = asyncio.run(sign_and_export(*whole.arguments))
    old = log.covers()
    assert (whole.covers(), old < size) == (size, True)
    cases = [(fault, log.copy(tmp_path / str(number))) for number, fault in enumerate(EXPORT_FAULTS)]

    def run(case: tuple[str, Log]) -> Ended:
        return under_strace(case[0], "tests.faults.exporter", *(str(path) for path in case[1].arguments))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for (fault, copy), ended in zip(cases, pool.map(run, cases), strict=True):
            killed = "SIGKILL" in fault
            assert ended.status == (-signal.SIGKILL if killed else FAILED), (fault, ended)
            assert copy.covers() in (old, size)
            for name, content in copy.exported.items():
                if not Path(name).name.startswith(
                    "."
                ):  # a draft that a kill left behind; a name is only given to a whole one
                    assert content in (whole.exported.get(name), log.exported.get(name)), (fault, name)
                else:
                    assert killed, (fault, name)
            assert asyncio.run(sign_and_export(*copy.arguments)) == size
            drafts = {name for name in copy.exported if Path(name).name.startswith(".")}
            assert {name: content for name, content in copy.exported.items() if name not in drafts} == whole.exported


def test_an_export_that_publishes_its_checkpoint_first_is_found_out(log: Log, tmp_path: Path) -> None:
    """The control: the checkpoint is there, what it covers is not."""
    copy = log.copy(tmp_path / "copy")
    asyncio.run(sign_and_export(*copy.arguments))
    first = (copy.folder / "export" / "checkpoint").read_bytes()
    eager = log.copy(tmp_path / "eager")
    (eager.folder / "export" / "checkpoint").write_bytes(first)
    with pytest.raises((verify.Incomplete, verify.NotVerified)):
        eager.covers()
