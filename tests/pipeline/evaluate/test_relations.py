"""Definitions pass by saying relations, and by nothing else."""

import re

import pytest

from pipeline.data.glossary import by_key, entries
from pipeline.evaluate.relations import claims, grade_relations, holds, is_list_of_words
from pipeline.evaluate.sealed import evaluation_set

TERMS = {term["term"]: term for term in evaluation_set().table("definitions.toml")["term"]}


def words_of(term: dict) -> list[str]:
    """Words that the term's patterns look for, without the marks of regular expressions."""
    parts = [part for relation in term["needs"] for pattern in relation for part in pattern.split("|")]
    return [word for part in parts if (word := re.sub(r"\\\w|\(\?.*?\)|[^a-z0-9 ]", " ", part).strip())]


@pytest.mark.parametrize("name", TERMS)
def test_the_glossary_is_a_right_answer(name: str) -> None:
    term = TERMS[name]
    grade = grade_relations(by_key(name).text, term["needs"], term["never"])
    assert grade.right, grade.reason


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("joined", [", ", " ", "; ", "\n", " and ", " / "])
def test_a_list_of_all_keywords_is_wrong(name: str, joined: str) -> None:
    term = TERMS[name]
    everything = joined.join(word for other in TERMS.values() for word in words_of(other))
    assert not grade_relations(everything, term["needs"], term["never"]).right
    if name != "phase_types":  # there the list is the answer
        assert not grade_relations(joined.join(words_of(term)), term["needs"], term["never"]).right


def test_another_terms_definition_is_seldom_right() -> None:
    right = sum(
        grade_relations(entry.text, term["needs"], term["never"]).right
        for name, term in TERMS.items()
        for entry in entries()
        if entry.key != name
    )
    assert right <= 0.02 * len(TERMS) * len(entries())


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("High drift means that the run is sensitive. Low drift means that it is stable.", True),
        ("Low drift means that the run is sensitive. High drift means that it is stable.", False),
        ("High drift means stable or sensitive. Low drift means stable or sensitive.", False),
        ("High drift does not mean that the run changes. Low drift means that it is stable.", False),
        ("", False),
    ],
)
def test_directions_denials_and_hedges(answer: str, right: bool) -> None:
    term = TERMS["drift_interpretation"]
    assert grade_relations(answer, term["needs"], term["never"]).right is right


def test_a_relation_stands_in_one_sentence() -> None:
    assert holds(["string", "hidden"], "Its order is hidden in the string.")
    assert not holds(["string", "hidden"], "There is a string. It is hidden.")
    assert claims(["entropy", "is", "high"], "the entropy is high") and not claims(
        ["entropy", "is", "high"], "the entropy is low, and zz is high"
    )


def test_prose_is_no_list() -> None:
    assert is_list_of_words("tri bias forward reverse distance fingerprint sector down")
    assert not is_list_of_words("It is the distance between a forward run and its reverse.")
    assert not is_list_of_words("Paris.")
