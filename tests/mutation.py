"""Flips signs, masks and margins in losses, miners and their functions, and shows that their tests notice.

    make mutation                                         (eight to fifteen minutes)
    OMP_NUM_THREADS=1 python -m tests.mutation triplet    (mutations of files whose path holds the word)

The mutations are in mutations.py. Each is made in a copy of the repository, never in the repository itself. The status
is 1 where one survives, or did not run: an error of Python's, such as a name that is not defined, shows nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent
PACKAGE = "src/metric_lightning"
CAUGHT, SURVIVES, DID_NOT_RUN = "caught", "SURVIVES", "DID NOT RUN"
_BROKEN = re.compile(
    r"^E +(\w*\.)*(NameError|UnboundLocalError|SyntaxError|IndentationError|ImportError|ModuleNotFoundError"
    r"|AttributeError|TypeError)\b",
    re.MULTILINE,
)


def stale(root: Path, mutations: list[Mutation]) -> list[str]:
    """Say of each mutation whose text does not stand exactly once in its file how often it does."""
    found = []
    for mutation in mutations:
        times = (root / PACKAGE / mutation.file).read_text().count(mutation.before)
        if times != 1:
            found.append(f"{mutation.file} holds {mutation.before!r} {times} times, not once")
    return found


def copy_of_the_repository(folder: Path) -> None:
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def outcome(status: int, output: str) -> str:
    """Say what pytest's exit status and output mean for a mutation."""
    if status == 0:
        return SURVIVES
    # 1: a test failed; all else (no file to collect, no test of that name) is no test's judgement.
    return CAUGHT if status == 1 and not _BROKEN.search(output) else DID_NOT_RUN


def run_tests(folder: Path, tests: str, cases: str) -> tuple[str, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider", tests, "-k", cases]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    output = result.stdout + result.stderr
    return outcome(result.returncode, output), output


def fate(folder: Path, mutation: Mutation) -> str:
    """Return what became of a mutation made in the copy, which is afterwards as it was."""
    path = folder / PACKAGE / mutation.file
    original = path.read_text()
    path.write_text(original.replace(mutation.before, mutation.after))
    try:
        return run_tests(folder, mutation.tests, mutation.cases)[0]
    finally:
        path.write_text(original)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [mutation for mutation in MUTATIONS if wanted in mutation.file]
    if problems := stale(ROOT, MUTATIONS):
        print("\n".join(problems))
        return 1
    fates = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_repository(folder)
        for tests, cases in sorted({(mutation.tests, mutation.cases) for mutation in chosen}):
            result, output = run_tests(folder, tests, cases)
            if result != SURVIVES:
                raise RuntimeError(f"{tests} -k {cases!r} fails without any mutation:\n{output[-2000:]}")
        for mutation in chosen:
            fates.append(fate(folder, mutation))
            words = f"{mutation.file}: {mutation.before}  ->  {mutation.after or '(nothing)'}"
            print(f"{fates[-1]:12}{words}", flush=True)
    caught = fates.count(CAUGHT)
    print(f"{caught} of {len(fates)} mutations caught")
    return 0 if caught == len(fates) else 1


if __name__ == "__main__":
    sys.exit(main())
