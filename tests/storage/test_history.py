"""What a backup remembers, through changes, faults and kills: whole runs on containers in memory."""

import hashlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sitebackup.activities import saved
from tests.support.hub import Instance
from tests.support.past import Saved, manifest_of, run_of, tree_of
from tests.support.world import World

_NAMES = ("a", "a.txt", "a0", "b", "c d", "é")
_CONTENTS = tuple(bytes([letter]) * size for letter in b"xyz" for size in (1, 1000, 70_000))


@pytest.fixture(autouse=True)
def short_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written 20 milliseconds before they are read need no second reading."""
    monkeypatch.setattr(saved, "DOUBT", 0.02)


class Life:
    """A tree that changes at random, and what its completed runs saved."""

    def __init__(self, root: Path, seed: int, rate: float) -> None:
        self.root = root
        self.random = random.Random(seed)  # noqa: S311 - what changes, no secret
        self.world = World(root, seed, rate)
        self.completed: dict[str, Saved] = {}
        root.mkdir()
        for _ in range(12):
            self._change()

    def change(self) -> None:
        """Change some of the tree."""
        for _ in range(self.random.randrange(1, 8)):
            self._change()

    def backup(self, **options: Any) -> Instance:
        """Back it up, and if that completes, look at all that was ever saved."""
        self.settle()
        tree = tree_of(self.root)
        run = self.world.backup(maxDelete=1000, allowEmpty=True, **options)
        if run.failure is None:
            self.completed[run.id] = tree
            self.check_backups(tree)
            self.check_past()
            assert run.output == sum(len(data) for kind, data, _, _ in tree.values() if kind == "file")
        return run

    def settle(self) -> None:
        """Wait until what was written is not in doubt any more."""
        time.sleep(0.03)

    def read(self, container: str, name: str) -> bytes | None:
        """The content of a blob."""
        containers = {
            "backups": self.world.backups,
            "backup-history": self.world.history,
            "backup-catalog": self.world.catalog,
        }
        blob = containers[container].blobs.get(name)
        return None if blob is None else blob[0]

    def check_backups(self, tree: Saved) -> None:
        """Fail unless `backups` equals the tree: names, content, metadata."""
        prefix = f"{str(self.root).lstrip('/')}/"
        expected: dict[str, tuple[bytes, dict[str, str]]] = {}
        for path, (kind, content, mode, mtime) in tree.items():
            is_full = kind == "directory" and any(other != path and other.startswith(path) for other in tree)
            if not is_full and path:
                marks = {"link": {"is_symlink": "true"}, "directory": {"hdi_isfolder": "true"}}.get(kind, {})
                expected[prefix + path.rstrip("/")] = (content, {"mode": mode, "mtime": mtime, **marks})
        owner = {"uid": str(os.getuid()), "gid": str(os.getgid())}
        mark = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        found: dict[str, tuple[bytes, dict[str, str]]] = {}
        for name, (data, about) in self.world.backups.blobs.items():
            metadata = dict(about.metadata)
            is_ours = metadata.pop("backup_root") == mark
            if is_ours or name in expected:  # what another root's run has left is that one's
                found[name] = (data, metadata)
        assert found == {name: (data, about | owner) for name, (data, about) in expected.items()}

    def check_past(self) -> None:
        """Fail unless every completed run can be read back as it was."""
        for run, tree in self.completed.items():
            assert run_of(self.read, run) == tree

    def _change(self) -> None:
        folders = [
            self.root,
            *(path for path in self.root.rglob("*") if path.is_dir() and not path.is_symlink()),
        ]
        path = self.random.choice(folders) / self.random.choice(_NAMES)
        match self.random.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                if not path.is_dir() or path.is_symlink():
                    path.unlink(missing_ok=True)
                    path.write_bytes(self.random.choice(_CONTENTS))
            case 5:
                self._remove(path)
                path.mkdir()
            case 6:
                self._remove(path)
            case 7:
                self._remove(path)
                path.symlink_to(self.random.choice(_NAMES))
            case 8:
                if path.exists() and not path.is_symlink():
                    path.chmod(0o700 | self.random.randrange(8))
            case _:
                if path.exists() and not path.is_symlink():
                    os.utime(path, ns=(1, self.random.randrange(10**18)))

    def _remove(self, path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            for inner in path.iterdir():
                self._remove(inner)
            path.rmdir()


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[list[Life]]:
    """Lives of this test; their event loops are closed after it."""
    made: list[Life] = []
    yield made
    for life in made:
        life.world.close()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_changes_backups_mirrors_the_tree_and_every_earlier_state_comes_back(
    tmp_path: Path, lives: list[Life], seed: int
) -> None:
    life = Life(tmp_path / "site", seed, rate=0)
    lives.append(life)
    for _ in range(8):
        assert life.backup().failure is None
        life.change()
    manifest_of(life.read, "run-8")


@pytest.mark.parametrize("seed", range(40))
def test_through_faults_and_kills_and_processes_that_come_late_no_completed_run_is_ever_lost(
    tmp_path: Path, lives: list[Life], seed: int
) -> None:
    life = Life(tmp_path / "site", seed, rate=0.05)
    lives.append(life)
    for number in range(10):
        life.world.rate = 0 if number % 5 == 4 else 0.05
        run = life.backup()
        if number % 5 == 4:
            assert run.failure is None
            life.world.wake_the_late()
            life.check_past()
            assert life.backup().failure is None
        life.change()
    assert life.world.faults


@pytest.mark.parametrize("seed", range(20))
def test_runs_at_the_same_time_of_roots_that_overlap_lose_nothing_of_each_other(
    tmp_path: Path, lives: list[Life], seed: int
) -> None:
    life = Life(tmp_path / "site", seed, rate=0.01)
    lives.append(life)
    inner = life.root / "b"
    ran: list[str] = []

    def between() -> None:
        if life.random.random() >= 0.5:
            return
        life.world.between = lambda: None
        life.change()
        life.settle()
        root = life.random.choice([life.root, life.root, inner])
        run = life.world.backup(root, maxDelete=1000, allowEmpty=True)
        if run.failure is None:
            ran.append(run.id)
        life.world.between = between

    for _ in range(4):
        life.world.between = between
        life.settle()
        outer = life.world.backup(maxDelete=1000, allowEmpty=True)
        if outer.failure is None:
            ran.append(outer.id)
        life.world.between = lambda: None
        life.world.rate = 0
        assert life.backup().failure is None
        life.world.wake_the_late()
        assert life.backup().failure is None
        for run in ran:
            run_of(life.read, run)
        life.world.rate = 0.01
    assert len(ran) > 4
