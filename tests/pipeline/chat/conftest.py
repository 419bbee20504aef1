"""An embedded server over the default base, and Ollama's contract server."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base
from pipeline.chat import EmbeddedServer


@pytest.fixture(scope="module")
def server(base: Base, adapter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Two slots of 512 tokens, the adapter at hand."""
    log = tmp_path_factory.mktemp("log") / "engine.log"
    with EmbeddedServer.start(base, [adapter_gguf], parallel=2, context=512, log=log) as running:
        yield running


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts contract servers: `ollama(version="0.33.0")`, each with the models "ben-lab" and "llama3.2:1b"."""
    place = Path(__file__).parent.parent / "install" / "ollama_contract.py"
    spec = importlib.util.spec_from_file_location("ollama_contract", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    servers: list[Any] = []

    def start(**options: Any) -> Any:
        made = module.ContractServer(tmp_path / f"ollama{len(servers)}", **options)
        servers.append(made)
        for name in ("ben-lab", "llama3.2:1b"):
            made.add_model(name, "0" * 64)
        return made

    yield start
    for made in servers:
        made.close()
