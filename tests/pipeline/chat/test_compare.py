"""Side by side: base, tuned and a checkpoint from one server."""

from __future__ import annotations

import shutil
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from pipeline.chat import ChatOptions, Delta, open_side_by_side
from pipeline.errors import ChatError
from pipeline.install.registry import Registry, Version
from pipeline.lab import Lab


@pytest.fixture
def installed(lab_with_base: Lab, base: Any, adapter_gguf: Path) -> Lab:
    folder = Registry(lab_with_base).folder_of("one")
    folder.mkdir(parents=True)
    shutil.copy(adapter_gguf, folder / "adapter.gguf")
    version = Version("ben-lab:one", "models/ben-lab/one/adapter.gguf", "smollm2", base.sha256, "now", "one")
    Registry(lab_with_base).add(version)
    return lab_with_base


async def first_words(engine: Any) -> str:
    options = ChatOptions(temperature=0.0, max_tokens=24)
    async with aclosing(
        engine.chat([{"role": "user", "content": "Tell me a story about a river."}], options=options)
    ) as events:
        return "".join([event.text async for event in events if isinstance(event, Delta)])


async def test_three_models_answer_from_one_server(installed: Lab, adapter_gguf: Path) -> None:
    engines = await open_side_by_side(installed, ["base", "ben-lab", str(adapter_gguf)])
    try:
        base, tuned, same = [await first_words(engine) for engine in engines]
        assert base != tuned and tuned == same
        assert len({id(engine.server) for engine in engines}) == 1
    finally:
        for engine in engines:
            await engine.aclose()
    assert not engines[0].server.alive


@pytest.mark.parametrize(("models", "words"), [([], "nothing to compare"), (["base", "nobody"], "no model 'nobody'")])
async def test_what_cannot_be_compared_is_a_sentence(models: list[str], words: str, installed: Lab) -> None:
    with pytest.raises(ChatError, match=words):
        await open_side_by_side(installed, models)


async def test_versions_of_two_bases_are_not_compared(installed: Lab) -> None:
    Registry(installed).add(Version("ben-lab:two", "x", "other", "0" * 64, "now", "two"), make_current=False)
    with pytest.raises(ChatError, match="compare one base"):
        await open_side_by_side(installed, ["base", "ben-lab:two"])
