"""Models work in servers of their own, and every server ends with the iterator."""

import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.bases import Base
from pipeline.chat import EmbeddedServer
from pipeline.errors import ChatError
from pipeline.evaluate.generation import CONTEXT, STOP, EmbeddedTalker, Part, choice_grammar, outcomes_of
from pipeline.evaluate.graders import NUMBER_GRAMMAR, RANKINGS

PROMPTS = [[{"role": "user", "content": f"What is {number} and {number}?"}] for number in range(4)]
LONGEST = [4, 9, 6, 5]


def part(model: str, base: Base, folder: Path, adapters: tuple[Path, ...] = (), longest: list[int] = LONGEST) -> Part:
    def asking(place: int):
        return lambda talker: talker.reply(PROMPTS[place], tools=False, most=longest[place]).text

    return Part(model, base, adapters, [(place, asking(place)) for place in range(4)], folder / f"{model}.log")


def servers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "pipeline.chat.child" in " ".join(child.cmdline())]


@pytest.mark.parametrize("together", [True, False])
def test_every_model_does_every_task(base: Base, adapter_gguf: Path, tmp_path: Path, together: bool) -> None:
    parts = [part("base", base, tmp_path), part("tuned", base, tmp_path, (adapter_gguf,))]
    found = {(model, place): text for model, place, text in outcomes_of(parts, parallel=2, together=together)}
    assert set(found) == {(model, place) for model in ("base", "tuned") for place in range(4)}
    assert servers() == []
    with EmbeddedServer.start(base, parallel=1, context=CONTEXT) as server:
        for place, longest in enumerate(LONGEST):
            answer = server.complete(PROMPTS[place], adapter=False, n_predict=longest, stop=list(STOP))
            assert answer["tokens_predicted"] <= longest
            assert found["base", place][:6] == answer["content"][:6]


def test_verdicts_keep_to_their_grammar(base: Base, tmp_path: Path) -> None:
    """Whatever was said before, the verdict is one of the options, or a number."""
    messages = [{"role": "user", "content": "Name a fruit."}]
    whole = part("base", base, tmp_path)
    with EmbeddedServer.start(base, parallel=1, context=CONTEXT) as server, server.client() as client:
        talker = EmbeddedTalker(server, client, whole)
        for options in (("A", "B"), ("spt_cluster", 'with "quotes"'), RANKINGS):
            assert talker.choose(messages, "Apples are a fruit.", "\nVerdict:", options) in options
        float(talker.complete(messages, "Apples.\nentropy_final =", NUMBER_GRAMMAR))
        assert not talker.reply(messages, tools=False, most=3).ended


def test_a_grammar_escapes_its_options() -> None:
    assert choice_grammar(["a", 'b"\\']) == 'root ::= " "? ("a" | "b\\"\\\\")'


def test_closing_the_iterator_ends_the_servers_amid_an_answer(base: Base, tmp_path: Path) -> None:
    parts = [part(model, base, tmp_path, longest=[4, 900, 900, 900]) for model in ("one", "two")]
    outcomes = outcomes_of(parts, parallel=4, together=True)
    next(outcomes)
    assert servers()
    began = time.monotonic()
    outcomes.close()
    assert servers() == [] and time.monotonic() - began < 20


def test_a_model_that_cannot_be_loaded_ends_the_others(base: Base, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF nonsense")
    parts = [part("base", base, tmp_path), part("tuned", replace(base, path=tmp_path / "x.gguf"), tmp_path)]
    with pytest.raises(ChatError, match=r"x\.gguf is no whole GGUF file"):
        list(outcomes_of(parts, parallel=1, together=True))
    assert servers() == []
