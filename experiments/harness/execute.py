"""Makes the runs that are not finished yet, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from experiments.harness.run import Run


def execute(runs: Sequence[Run], jobs: int, threads: int | None, finished: Callable[[Run], None]) -> dict[Run, str]:
    """Make runs; one that fails does not stop the others.

    Args:
        runs: those with a result are left alone.
        jobs: processes at a time.
        threads: of each process; None: as the environment says.
        finished: called after each run, one call at a time.

    Returns:
        The runs that failed, each with the last line that it wrote.
    """
    failed: dict[Run, str] = {}
    waiting = [run for run in runs if run.result() is None]
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(_make, run, threads): run for run in waiting}
        for future in as_completed(futures):
            if future.result():
                failed[futures[future]] = future.result()
            finished(futures[future])
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt nothing new is started
    return failed


def _make(run: Run, threads: int | None) -> str:
    """Make one run; return "" or what went wrong."""
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    arguments = run.arguments()
    run.folder.mkdir(parents=True, exist_ok=True)
    log = run.folder / "run.log"
    with log.open("ab") as output:
        command = [sys.executable, "-m", "experiments.harness.worker", str(run.folder), *arguments]
        subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
    if run.result() is not None:
        return ""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'no output'} (see {log})"
