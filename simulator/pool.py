"""Chunks of runs over worker processes, or over a Dask cluster; results come back as they are ready."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from simulator.errors import BadParameter, MissingExtra, SimulatorError
from simulator.extras import install_line
from simulator.python_child import command, environment
from simulator.worker import measure_chunk

Chunk = Sequence[dict[str, Any]]
Results = list[dict[str, Any]]

_ATTEMPTS = 3
_CONNECT_SECONDS = 5


class WorkerProcess:
    """One child that measures chunks or runs experiments; started again where it dies (killed for memory, say)."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def measure(self, chunk: Chunk) -> Results:
        """Raises SimulatorError where the child dies on the same chunk three times."""
        return self._answer(list(chunk), chunk[0])

    def run(self, experiment: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of any one experiment, for parameters that are valid. Raises SimulatorError as `measure` does."""
        return self._answer({"experiment": experiment, "params": params}, params)

    def _answer(self, request: Any, params: dict[str, Any]) -> Any:
        for _ in range(_ATTEMPTS):
            line = self._ask(request)
            if line:
                return json.loads(line)
            self._stop()
            if self._closed:
                break
        raise SimulatorError(
            f"a worker process died {_ATTEMPTS} times on runs of {params['system_size']} qubits: "
            "choose smaller sizes or fewer workers"
        )

    def close(self) -> None:
        """Kills the child."""
        self._closed = True
        self._stop()

    def _ask(self, request: Any) -> str:
        process = self._process or self._start()
        assert process.stdin and process.stdout
        if self._closed:
            self._stop()
            return ""
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return process.stdout.readline()
        except (OSError, ValueError):
            return ""

    def _start(self) -> subprocess.Popen[str]:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            command("simulator.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(threads),
        )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    continue


def local_results(chunks: Iterator[Chunk], workers: int) -> Generator[Results, None, None]:
    """Results of each chunk from `workers` child processes, as they are ready.

    Chunks are taken from the iterator only when a worker is about to be free. Closing this
    generator kills the children.
    """
    own = threading.local()
    started: list[WorkerProcess] = []

    def measure(chunk: Chunk) -> Results:
        if not hasattr(own, "worker"):
            own.worker = WorkerProcess()
            started.append(own.worker)
        return own.worker.measure(chunk)

    executor = ThreadPoolExecutor(workers, thread_name_prefix="sweep")
    try:
        pending: set[Future[Results]] = set()
        more = True
        while more or pending:
            while more and len(pending) < workers + 1:
                chunk = next(chunks, None)
                more = chunk is not None
                if chunk is not None:
                    pending.add(executor.submit(measure, chunk))
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in started:
            worker.close()
        executor.shutdown(wait=True)


def cluster_results(chunks: Iterator[Chunk], address: str) -> Generator[Results, None, None]:
    """Results of each chunk from a Dask cluster, which runs a lost worker's chunks again.

    Raises MissingExtra, BadParameter where no scheduler answers, or SimulatorError where
    the cluster gives a chunk up.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise MissingExtra(f"Dask is not installed: run `{install_line('cluster')}`") from None
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise BadParameter(
            f"cluster is {address!r}, where no Dask scheduler answers ({type(error).__name__}): start one with "
            "`dask scheduler` or name another address",
            "cluster",
        ) from None
    try:
        ahead = 2 * max(1, len(client.scheduler_info()["workers"])) + 2
        futures = as_completed(loop=client.loop)
        waiting = 0
        for chunk in chunks:
            futures.add(client.submit(measure_chunk, list(chunk), pure=False, retries=_ATTEMPTS))
            waiting += 1
            if waiting >= ahead:
                yield _gathered(next(futures))
                waiting -= 1
        for future in futures:
            yield _gathered(future)
    finally:
        client.close()


def _gathered(future: Any) -> Results:
    try:
        return future.result()
    except Exception as error:
        raise SimulatorError(
            f"the cluster gave a chunk of runs up ({type(error).__name__}: {str(error)[:120]}): "
            "look at its workers and run the sweep again, which goes on from here"
        ) from error
