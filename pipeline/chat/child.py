"""`python -m pipeline.chat.child`: llama.cpp's server, alone in a process, for as long as its parent lives.

The parent writes one JSON line on stdin (files, slots, threads, the key); the child answers one JSON line on
stdout, `{"url": …}` or `{"error": …}`. The key never stands in argv or the environment, which other processes
may read. End of file on stdin means that the parent has closed the pipe or is gone: the child ends at once.
The kernel's parent-death signal would not do: it fires when the *thread* that started the child ends, and a
console starts its engine in a worker thread.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any


def main() -> int:
    """Reads the settings, loads the model, serves until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    line = sys.stdin.readline()
    if not line:
        return 0
    settings: dict[str, Any] = json.loads(line)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        server = _serve(settings)
        answer = {"url": server.listening_address}
    except Exception as error:
        answer = {"error": " ".join(str(error).split()) or type(error).__name__}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    if "error" in answer:
        os._exit(1)
    threading.Event().wait()
    return 0


def _serve(settings: dict[str, Any]) -> Any:
    import xllamacpp

    slots = int(settings["parallel"])
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.api_keys = [settings["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = slots * int(settings["context"])
    params.n_threads_http = slots + 3
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = int(settings["threads"])
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in settings["adapters"]]
    # The cache in memory is looked up by tokens alone: it would hand the base's states to the tuned model.
    params.cache_ram_mib = 0 if settings["adapters"] else int(settings["cache_mib"])
    params.endpoint_slots = False
    params.ui = False
    # The prompt of a first message warms the model up just as well, and the first token comes sooner.
    params.warmup = False
    params.verbosity = 1
    return xllamacpp.Server(params)


def _die_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
