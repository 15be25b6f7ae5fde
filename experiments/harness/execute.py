"""Makes the runs that are not finished yet, each in a process of its own."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from experiments.harness.run import Run

# Processes are forked from one that has imported everything and computed nothing: a run begins at once.
_WARM = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload(["experiments.harness.worker"])


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
    run.folder.mkdir(parents=True, exist_ok=True)
    log = run.folder / "run.log"
    in_a_process(run.folder, run.arguments(), log, threads)
    if run.result() is not None:
        return ""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'no output'} (see {log})"


def in_a_process(folder: Path, arguments: list[str], log: Path, threads: int | None) -> None:
    """Train as `arguments` say, in a process of its own whose output goes to `log`."""
    process = _WARM.Process(target=_train, args=(folder, arguments, log, threads))
    process.start()
    process.join()


def _train(folder: Path, arguments: list[str], log: Path, threads: int | None) -> None:
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    from experiments.harness.worker import train, use_threads

    use_threads(threads)
    train(folder, arguments)
