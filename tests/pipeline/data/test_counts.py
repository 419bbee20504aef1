"""How many samples of what: a recipe means what it says, and nothing asked for is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.params import GenerateParams
from pipeline.data.recipes import counts
from pipeline.errors import BadInput
from pipeline.train.params import load_recipe


def wanted(**params: object) -> dict[str, int]:
    return {kind: count for kind, count in counts(GenerateParams(**params)).items() if count}


def recipe(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    return str(tmp_path / "mine.toml")


def test_a_recipe_holds_what_it_names(tmp_path: Path) -> None:
    assert wanted(recipe=recipe(tmp_path, "[counts]\nnumeric = 6\n")) == {"numeric": 6, "validation": 16}
    assert wanted(recipe=recipe(tmp_path, "[shares]\nnumeric = 1\n"), extra=9)["numeric"] == 9
    more = wanted(recipe=recipe(tmp_path, 'extends = "default"\n[counts]\ntri = 7\n'))
    assert (more["phase"], more["tri"], sum(more.values()) - more["validation"]) == (160, 7, 947)
    assert wanted() == wanted(recipe="default") and wanted()["phase"] == 160


def test_what_help_shows_is_what_the_default_mix_holds() -> None:
    shown, held = GenerateParams(), wanted()
    assert held["phase"] == 4 * shown.n_per_phase and held["tri"] == shown.n_tri
    assert held["discovery"] == shown.n_discovery and held["replay_drift"] == shown.n_replay_drift


def test_a_byte_order_mark_in_a_recipe_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[counts]\nnumeric = 6\n")
    assert wanted(recipe=str(tmp_path / "bom.toml"))["numeric"] == 6
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbfnum_train_epochs = 2\n")
    assert load_recipe(str(tmp_path / "bom.toml")).num_train_epochs == 2


@pytest.mark.parametrize(
    "params",
    [
        {"append": True, "n_validation": 3, "mix": ["mine.jsonl"]},
        {
            "n_validation": 5,
            "n_per_phase": 0,
            "n_tri": 0,
            "n_discovery": 0,
            "n_replay_drift": 0,
            "extra": 0,
            "mix": ["a"],
        },
    ],
)
def test_validation_lines_without_samples_of_the_lab(params: dict) -> None:
    with pytest.raises(BadInput, match=r"n_validation is [35], and no samples of the lab's kinds .*n_numeric=60"):
        counts(GenerateParams(**params))
    with pytest.raises(BadInput, match="0 samples are asked for"):
        counts(GenerateParams(append=True, n_validation=3))


def test_a_count_that_is_no_whole_number(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"counts.numeric of the recipe .* is 6.0: give a whole number from 0"):
        counts(GenerateParams(recipe=recipe(tmp_path, "[counts]\nnumeric = 6.0\n")))


def test_a_training_recipe_takes_short_names_and_names_a_wrong_one(tmp_path: Path) -> None:
    short = load_recipe(recipe(tmp_path, "epochs = 3\nlr = 1e-4\nbatch_size = 2\n"))
    assert (short.num_train_epochs, short.learning_rate, short.per_device_train_batch_size) == (3, 1e-4, 2)
    with pytest.raises(BadInput, match=r"'epoch' is not a parameter of recipe") as caught:
        load_recipe(recipe(tmp_path, "epoch = 1\n"))
    assert "not valid TOML" not in str(caught.value)
    with pytest.raises(BadInput, match=r"max_steps is 'two', which is not a whole number: give -1 or more"):
        load_recipe(recipe(tmp_path, 'max_steps = "two"\n'))
    with pytest.raises(BadInput, match=r"gives lr and learning_rate, which are one parameter: leave one out"):
        load_recipe(recipe(tmp_path, "lr = 1e-4\nepochs = 1\nlearning_rate = 1e-3\n"))
    with pytest.raises(BadInput, match=r"is not valid TOML"):
        load_recipe(recipe(tmp_path, "max_steps =\n"))
