"""Command line: `python -m benchmarks [measure|sweep|chaos|clean]`.

`measure`, the default, is a quick set; with `FULL=1` in the environment, all there is. `BENCH_JSON=path`
writes the figures there too. It exits with 0 whatever the figures are. `sweep` is what the app's constants
were chosen by. `chaos` is one backup through everything at once; it exits with 1 if anything is lost. `clean`
deletes the trees that are kept between runs.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks import trees
from benchmarks.chaos import Chaos, endure
from benchmarks.large_files import medium_files, one_large_file
from benchmarks.memory import listing_memory, upload_memory
from benchmarks.millions import a_million, ten_million
from benchmarks.others import is_installed
from benchmarks.report import say, show, show_facts, write_json
from benchmarks.scale import scale
from benchmarks.small_files import small_files
from benchmarks.sweeps import sweep
from benchmarks.unchanged import unchanged, unchanged_alone


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the backup is.")
    parser.add_argument(
        "command", nargs="?", default="measure", choices=["measure", "sweep", "chaos", "clean"]
    )
    match parser.parse_args().command:
        case "measure":
            _measure(full=os.environ.get("FULL", "") not in ("", "0"), path=os.environ.get("BENCH_JSON"))
        case "sweep":
            sweep()
        case "chaos":
            sys.exit(_chaos())
        case _:
            trees.delete()


def _chaos() -> int:
    say("A backup with 100 workers killed and 20 stops of storage: about ten minutes ...")
    endured = endure(Chaos(files=20_000, kills=100, stops=20))
    show_facts(endured.to_facts())
    say("Everything is saved." if endured.ok else "It has not endured what it has to.")
    return 0 if endured.ok else 1


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
            *unchanged(files=100_000, rounds=3),
            unchanged_alone(files=100_000, rounds=3),
            *a_million(files=1_000_000),
            *ten_million(entries=10_000_000),
        ]
    else:
        figures = [
            *small_files(rounds=2, rounds_of_others=1),
            one_large_file(rounds=2),
            *scale(files=10_000, rounds=1),
            upload_memory(mebibytes=512),
            *unchanged(files=20_000, rounds=2),
            unchanged_alone(files=20_000, rounds=2),
        ]
    conditions = [f"{'All' if full else 'The quick set'}, in {time.monotonic() - begin:.0f} s"]
    missing = [program for program in ("rclone", "azcopy") if not is_installed(program)]
    conditions += [f"Without the figures of {program}, which is not installed" for program in missing]
    show(figures, conditions)
    if path:
        write_json(figures, Path(path))
        say(f"Written to {path}")


if __name__ == "__main__":
    main()
