"""`.funcignore` says the same to both tools that read it, and leaves the app and nothing else.

azd and `make package` read it as a .gitignore. The Core Tools have a matcher of their own, ported here from
https://github.com/Azure/azure-functions-core-tools (src/Azure.Functions.Cli/Common/GitIgnoreParser.cs).
"""

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from deployment.package import SITE_PACKAGES, app_files
from localstack.settings import PROJECT

type Ignores = Callable[[str], bool]

# What a working tree has besides the files under version control.
LEFT_BY_TOOLS = [
    ".azure/site/.env",
    ".azurite/__azurite_db_blob__.json",
    ".env",
    ".git/config",
    ".hypothesis/unicode_data/x",
    ".pytest_cache/README.md",
    ".ruff_cache/0/1",
    ".venv/bin/python",
    ".vscode/settings.json",
    "__pycache__/function_app.cpython-313.pyc",
    "blueprints/__pycache__/backup.cpython-313.pyc",
    "sitebackup/__pycache__/copy.cpython-313.pyc",
    "dist/site-backup.zip",
    "local.settings.json",
    "node_modules/.bin/azurite",
    "node_modules/azurite/docs/a.md",
]
# Names in dependencies that are also names of this project.
DEPENDENCIES = [
    f"{SITE_PACKAGES}/{name}"
    for name in (
        "azure/storage/blob/__init__.py",
        "cffi/tests/test_c.py",
        "durabletask/docs/index.md",
        "grpc/_cython/cygrpc.cpython-313-x86_64-linux-gnu.so",
        "msal-1.39.0.dist-info/METADATA",
        "samples/dist/infra/package.json",
    )
]


def core_tools(patterns: Iterable[str]) -> Ignores:
    """The Core Tools' matcher: prefixes from the root that end at the end of a word."""
    ignored: list[str] = []
    kept: list[str] = []
    for line in map(str.strip, patterns):
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("/")
            escaped = re.sub(r"[-\[\]/{}()+?.\\^$|]", r"\\\g<0>", pattern)
            regex = escaped.replace("**", "(.+)").replace("*", r"([^\/]+)")
            (kept if line.startswith("!") else ignored).append(regex)

    def matches(regexes: list[str], path: str) -> bool:
        return bool(regexes) and bool(re.match(rf"(({')|('.join(sorted(regexes))}))\b", path, re.ASCII))

    return lambda path: matches(ignored, path) and not matches(kept, path)


def gitignore(patterns: Iterable[str]) -> Ignores:
    return GitIgnoreSpec.from_lines(patterns).match_file


def patterns_of_the_project() -> list[str]:
    return (PROJECT / ".funcignore").read_text().splitlines()


def files_under_version_control() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - the git of whoever runs the tests
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return listed.stdout.strip("\0").split("\0")


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("tests", "tests/unit/test_plan.py", True),
        ("tests", "tests.md", True),
        ("tests", "src/tests/test_plan.py", False),
        ("tests", "testsuite.py", False),
        ("/tests", "tests/unit/test_plan.py", True),
        ("__pycache__", "src/__pycache__/a.pyc", False),
        ("**/__pycache__", "src/__pycache__/a.pyc", True),
        ("**/__pycache__", "__pycache__/a.pyc", False),
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "src/a.pyc", False),
        ("*.py[cod]", "a.pyc", False),
        (".git", ".github/workflows/ci.yml", False),
    ],
)
def test_the_matcher_of_the_core_tools_is_no_gitignore(pattern: str, path: str, ignored: bool) -> None:
    assert core_tools([pattern])(path) is ignored


def test_what_the_core_tools_are_told_to_keep_they_keep() -> None:
    ignores = core_tools(["# the rest goes", "docs", "!docs/keep", ""])
    assert [ignores(path) for path in ("docs/a", "docs/keep/a", "src/a")] == [True, False, False]


def test_both_tools_leave_the_same_files_out() -> None:
    patterns = patterns_of_the_project()
    one, other = core_tools(patterns), gitignore(patterns)
    paths = [*files_under_version_control(), *LEFT_BY_TOOLS, *DEPENDENCIES]
    assert [path for path in paths if one(path) != other(path)] == []


def test_what_tools_leave_behind_stays_out_and_prebuilt_dependencies_do_not() -> None:
    ignores = gitignore(patterns_of_the_project())
    assert [path for path in LEFT_BY_TOOLS if not ignores(path)] == []
    assert [path for path in DEPENDENCIES if ignores(path)] == []


def test_only_the_app_is_left() -> None:
    files, ignores = files_under_version_control(), gitignore(patterns_of_the_project())
    sources = {path for path in files if path.startswith(("blueprints/", "sitebackup/"))}
    kept = {path for path in files if not ignores(path)}
    assert kept == sources | {"function_app.py", "host.json", "requirements.txt"}


def test_a_project_is_walked_without_entering_what_is_ignored(tmp_path: Path) -> None:
    for path in ("app.py", "tests/a.py", "src/b.py", "src/__pycache__/b.pyc", f"{SITE_PACKAGES}/c.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".funcignore").write_text("/tests\n**/__pycache__\n/.funcignore\n")
    assert sorted(app_files(tmp_path)) == ["app.py", "src/b.py"]
