"""The Modelfile: read as Ollama reads it, written so that it reads back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.lab import Lab
from pipeline.modelfile import load, parse, render


def test_the_shipped_modelfile_is_the_guides() -> None:
    shipped = load()
    assert shipped.from_ == "llama3.2:1b" and shipped.adapter == "./ben-lab-adapter.gguf"
    assert shipped.parameters == {"temperature": 0.2, "top_p": 0.9}
    assert shipped.system.startswith("You are Ben's Lab AI (Jarvis-2v).\nYou understand")


def test_the_labs_own_modelfile_wins(lab: Lab) -> None:
    lab.modelfile.write_text(
        'from x\nSYSTEM "be kind"\nPARAMETER stop a\nPARAMETER stop "b c"\nPARAMETER num_ctx 512\n'
    )
    own = load(lab)
    assert own.system == "be kind" and own.parameters == {"stop": ["a", "b c"], "num_ctx": 512}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SYSTEM hello", "no FROM"),
        ("FROM x\nNONSENSE y", "line 2 starts with 'NONSENSE'"),
        ('FROM x\nSYSTEM """never closed', "line 2 are never closed"),
        ("FROM x\nPARAMETER temperature hot", "temperature is 'hot': give a number"),
        ("FROM x\nPARAMETER num_ctx 1.5", "give a whole number"),
        ("FROM x\nPARAMETER temperature", "has no value"),
    ],
)
def test_a_broken_line_is_named(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("system", "words"),
    [("a\0b", "control character"), ('a"""\nb"\nc', "cannot hold"), ('"""\n"\n', "cannot hold")],
)
def test_what_no_modelfile_can_hold_is_refused(system: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        render("x", system=system)


@pytest.mark.parametrize("path", ["/a b/c.gguf", '/it"s/x.gguf', "./plain.gguf", "/é/x.gguf"])
def test_paths_with_spaces_and_quotes_read_back(path: str) -> None:
    made = parse(render(path, adapter=path))
    assert made.from_ == path and made.adapter == path


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(BadInput, match="one line"):
        render("/a\nb.gguf")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from('ab"\n {}#PARAMETER'), max_size=40))
def test_every_system_text_reads_back_or_is_refused(text: str) -> None:
    try:
        made = render("x", system=text, parameters={"temperature": 0.5, "stop": ["a b", "c"]})
    except BadInput:
        return
    back = parse(made)
    assert back.system == text.strip() and back.from_ == "x"
    assert back.parameters == {"temperature": 0.5, "stop": ["a b", "c"]}
