"""Check what a change touches, in about a minute: `make quick`; `make test` checks everything.

Changed is what differs from where the branch left main (on main: from the last commit), with the
files that git does not know yet. Their tests run but those marked slow: of a module the files
tests/test_<package>_<room>_<module>*.py, then some tests that import it or a module above it.
"""

import ast
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PACKAGES = ("lnscore", "trainer", "engines", "db", "ground")
TYPED = (*PACKAGES, "benchmarks")
IMPORTERS = 8
"""Test files of importers that are run: more of them would not end in the time."""


def changed() -> list[str]:
    """Every file that the change has touched and that is still there."""
    base = subprocess.run(
        ["git", "merge-base", "HEAD", "main"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    since = base.stdout.strip() or "HEAD"
    found = _git("diff", "--name-only", "--diff-filter=d", since)
    return sorted({*found, *_git("ls-files", "--others", "--exclude-standard")})


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def module_of(file: str) -> str:
    """`lnscore/masks/seg.py` is lnscore.masks.seg, `tests/fake_ct.py` is fake_ct."""
    parts = Path(file.removeprefix("tests/")).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def own_tests(file: str, tests: Iterable[str]) -> list[str]:
    """The test files that are named after a file, and the file itself where it is one."""
    if file.startswith("tests/test_"):
        return [file]
    if not file.endswith((".py", ".md")):
        return []
    stem = f"tests/test_{module_of(file).replace('.', '_')}"
    return [test for test in tests if test == f"{stem}.py" or test.startswith(f"{stem}_")]


def imported(source: str) -> set[str]:
    """Every module that a file may mean in its import statements, wherever they stand in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return names


def importers(module: str, imports: Mapping[str, set[str]]) -> list[str]:
    """The files that import a module themselves."""
    return [file for file, names in imports.items() if module in names]


def tests_for(files: Sequence[str], imports: Mapping[str, set[str]]) -> tuple[list[str], list[str]]:
    """The tests of the changed files, and those of their importers, the nearest first.

    Args:
        files: What has changed, as paths from the root.
        imports: What every Python file of the project imports.
    """
    tests = [file for file in imports if file.startswith("tests/test_")]
    own = {test: None for file in files for test in own_tests(file, tests)}
    near, far = {}, {}
    for file in files:
        users = importers(module_of(file), imports) if file.endswith(".py") else []
        near |= {user: None for user in users if user in tests}
        far |= {test: None for user in users for test in own_tests(user, tests)}
    return list(own), [test for test in near | far if test not in own]


def read_imports() -> dict[str, set[str]]:
    """What every Python file of the packages and the tests imports."""
    files = sorted(file for folder in (*TYPED, "tests") for file in (ROOT / folder).rglob("*.py"))
    return {str(f.relative_to(ROOT).as_posix()): imported(f.read_text("utf-8")) for f in files}


def run(*words: str) -> bool:
    """Run a tool of the environment; say how long it took."""
    began = time.monotonic()
    done = subprocess.run([BIN / words[0], *words[1:]], cwd=ROOT, check=False)
    print(f"{words[0]}: {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode in (0, 5 if words[0] == "pytest" else 0)  # 5: all tests are slow


def main() -> int:
    """Run what belongs to the change; exit code 1 if anything failed."""
    files = changed()
    own, others = tests_for(files, read_imports())
    print(f"{len(files)} files changed; {len(own)} test files of theirs, {len(others)} of others")
    good = [run("ruff", "check", "."), run("ruff", "format", "--check", "."), run("lint-imports")]
    if typed := [f for f in files if f.endswith(".py") and f.split("/")[0] in TYPED]:
        good.append(run("pyright", "--pythonpath", sys.executable, *typed))
    if left := others[IMPORTERS:]:
        print(f"left to `make test`: {' '.join(left)}")
    if tests := [*own, *others[:IMPORTERS]]:
        good.append(run("pytest", "-n", "2", "--dist", "loadfile", "-q", "-m", "not slow", *tests))
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
