"""Passages are found in glossary, notebook and reports; any text is a query."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simulator
from pipeline.retrieval import augment, search


def test_a_term_an_experiment_and_a_report_are_found(lab):
    with lab.notebook() as notebook:
        result = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=8, depth=3, seed=7)
    (lab.root / "reports").mkdir()
    (lab.root / "reports" / "monday.md").write_text("# Monday\n\n## Zebra chain\n\nThe zebra chain drifts least.\n")
    first = search(lab, "What does TRI measure?")[0]
    assert (first.kind, first.source) == ("glossary", "tri")
    found = [passage for passage in search(lab, "spt_cluster system_size 8 seed 7", 5) if passage.kind == "experiment"]
    assert found[0].source == result["experiment_id"]
    report = search(lab, "the zebra chain")[0]
    assert (report.kind, report.source, report.title) == ("report", "monday.md", "Zebra chain")


def test_a_new_experiment_is_found_by_the_next_search_and_only_once(lab):
    assert [p for p in search(lab, "pseudorandom seed 41", 9) if p.kind == "experiment"] == []
    for _ in range(2):
        with lab.notebook() as notebook:
            simulator.run_now("run_phase", notebook, phase_type="pseudorandom", system_size=6, depth=2, seed=41)
        found = [p for p in search(lab, "pseudorandom seed 41", 9) if p.kind == "experiment"]
        assert len(found) == 1


def test_a_deleted_run_is_not_found_and_the_run_that_gets_its_row_is(lab):
    def experiments(words: str) -> list[str]:
        return [passage.source for passage in search(lab, words, 9) if passage.kind == "experiment"]

    with lab.notebook() as notebook:
        simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=6, depth=2, seed=1)
        gone = simulator.run_now("run_phase", notebook, phase_type="pseudorandom", system_size=6, depth=2, seed=41)
    assert experiments("pseudorandom") == [gone["experiment_id"]]
    with lab.notebook() as notebook:
        notebook.delete(gone["experiment_id"])
        new = simulator.run_now("run_phase", notebook, phase_type="trivial_product", system_size=6, depth=2, seed=7)
    assert experiments("pseudorandom") == []
    assert experiments("trivial product") == [new["experiment_id"]]
    with lab.notebook() as notebook:
        notebook.put(gone)
    assert experiments("pseudorandom") == [gone["experiment_id"]]


def test_the_prompt_cites_by_number_and_stays_short(lab):
    text, passages = augment(lab, "How do I interpret replay drift?")
    assert text.endswith("Question: How do I interpret replay drift?")
    assert f"[{len(passages)}] " in text
    assert len(text) < 3 * 800 + 200
    assert augment(lab, "???") == ("???", [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_any_text_is_a_query(lab, query):
    search(lab, query)


def _add(lab, path):
    from pipeline.documents import add
    from simulator.events import last_result

    return last_result(add(lab, path))


def test_documents_are_cited_replaced_and_removed(lab, tmp_path):
    from pipeline.documents import documents, remove

    folder = tmp_path / "papers"
    (folder / "old").mkdir(parents=True)
    (folder / "notes.md").write_text("# Notes\n\n## Quokka protocol\n\nThe quokka protocol cools for 17 hours.\n")
    (folder / "old" / "notes.md").write_text("The wombat protocol heats.\n")
    (folder / "bad.txt").write_bytes(b"\0\1\2" * 50)
    value = _add(lab, folder)
    assert value["added"] == ["notes.md", "old/notes.md"] and "bad.txt is not text" in value["skipped"][0]
    assert search(lab, "quokka protocol")[0].citation == "document notes.md: Quokka protocol"
    (folder / "notes.md").write_text("The numbat protocol waits.\n")
    _add(lab, folder / "notes.md")
    assert [p.source for p in search(lab, "quokka numbat", 9) if p.kind == "document"] == ["notes.md"]
    remove(lab, "old/notes.md")
    assert [document.source for document in documents(lab)] == ["notes.md"]
    assert not [p for p in search(lab, "wombat", 9) if p.kind == "document"]


def test_a_document_that_cannot_be_read_is_one_sentence(lab, tmp_path):
    import pytest

    from pipeline.errors import BadInput

    (tmp_path / "empty.txt").write_text("  \n")
    (tmp_path / "table.csv").write_text("a,b\n")
    for name, said in [("empty.txt", "holds no text"), ("table.csv", "not a document"), ("none.md", "not a file")]:
        with pytest.raises(BadInput, match=said):
            _add(lab, tmp_path / name)
