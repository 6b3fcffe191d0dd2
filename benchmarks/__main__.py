"""Command line: `python -m benchmarks [measure|sweep|clean]`.

`measure`, the default, is a quick set; with `FULL=1` in the environment, all there is. `BENCH_JSON=path`
writes the figures there too. It exits with 0 whatever the figures are. `sweep` is what the app's constants
were chosen by. `clean` deletes the trees that are kept between runs.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

from benchmarks import trees
from benchmarks.large_files import medium_files, one_large_file
from benchmarks.memory import listing_memory, upload_memory
from benchmarks.report import say, show, write_json
from benchmarks.scale import scale
from benchmarks.small_files import small_files
from benchmarks.sweeps import sweep


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the backup is.")
    parser.add_argument("command", nargs="?", default="measure", choices=["measure", "sweep", "clean"])
    match parser.parse_args().command:
        case "measure":
            _measure(full=os.environ.get("FULL", "") not in ("", "0"), path=os.environ.get("BENCH_JSON"))
        case "sweep":
            sweep()
        case _:
            trees.delete()


def _measure(full: bool, path: str | None) -> None:
    begin = time.monotonic()
    if full:
        figures = [
            *small_files(rounds=7, rounds_of_others=3),
            one_large_file(rounds=5),
            medium_files(rounds=5),
            *scale(files=100_000, rounds=3),
            *listing_memory(files=1_000_000),
            upload_memory(mebibytes=2048),
        ]
    else:
        figures = [
            *small_files(rounds=2, rounds_of_others=1),
            one_large_file(rounds=2),
            *scale(files=10_000, rounds=1),
            upload_memory(mebibytes=512),
        ]
    conditions = [f"{'All' if full else 'The quick set'}, in {time.monotonic() - begin:.0f} s"]
    if not shutil.which("rclone"):
        conditions.append("Without the figure of rclone, which is not installed")
    show(figures, conditions)
    if path:
        write_json(figures, Path(path))
        say(f"Written to {path}")


if __name__ == "__main__":
    main()
