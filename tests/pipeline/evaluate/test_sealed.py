"""Evaluation sets: digests in the repository, minting, retiring."""

from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.evaluate import sealed
from pipeline.evaluate.sealed import FILES, SETS, changed, evaluation_set, listed, mint, retire


def test_no_set_was_changed_since_it_was_sealed() -> None:
    assert listed() and changed() == []
    for folder in SETS.iterdir():
        assert folder.name in {row["name"] for row in listed()}, f"{folder.name} was never minted"


@pytest.mark.parametrize(
    "file", ["definitions.toml", "dialogues.toml", "phrases.toml", "wordings.toml", "general.toml"]
)
def test_every_file_says_that_training_shares_nothing_with_it(file: str) -> None:
    head = "\n".join(line for line in evaluation_set().text(file).splitlines()[:6] if line.startswith("#"))
    assert "raining must share nothing with" in " ".join(head.replace("#", " ").split())


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for sets of its own."""
    monkeypatch.setattr(sealed, "SETS", tmp_path / "sets")
    monkeypatch.setattr(sealed, "LIST", tmp_path / "sets.toml")
    return tmp_path


def folder_with(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    for name in FILES:
        (path / name).write_text(text)
    return path


def test_mint_retire_and_the_newest_sealed_set(sets: Path) -> None:
    first = mint("one", folder_with(sets / "new", "# a"))
    assert evaluation_set().sha256 == first.sha256 and not evaluation_set().retired
    mint("two", folder_with(sets / "newer", "# b"))
    assert evaluation_set().name == "two" and evaluation_set("one").name == "one"
    retire("two", "read while writing data")
    assert evaluation_set().name == "one"
    assert evaluation_set("two").retired == "read while writing data"
    retire("one", "old")
    assert evaluation_set().name == "two"


def test_a_changed_set_is_refused(sets: Path) -> None:
    mint("one", folder_with(sets / "new", "# a"))
    (sets / "sets" / "one" / "general.toml").write_text("# b")
    assert changed() == ["one"]
    with pytest.raises(BadInput, match="were changed"):
        evaluation_set("one")


def test_bad_names_and_folders_are_one_sentence(sets: Path) -> None:
    mint("one", folder_with(sets / "new", "# a"))
    for action, words in (
        (lambda: mint("one"), "choose another name"),
        (lambda: mint("two", sets / "nowhere"), "lacks"),
        (lambda: retire("three", "x"), "use one of one"),
        (lambda: evaluation_set("three"), "use one of one"),
    ):
        with pytest.raises(BadInput, match=words):
            action()
