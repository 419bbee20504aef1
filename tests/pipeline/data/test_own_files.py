"""A user's own files: nothing of them is lost, whatever they hold and wherever they lie."""

import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from pipeline.chat.tool_text import call_text
from pipeline.data.check import run as check
from pipeline.data.duplicates import NEAR, Seen
from pipeline.data.generate import run
from pipeline.data.line import Sample, parse
from pipeline.data.params import CheckParams, GenerateParams
from pipeline.data.recipes import load_recipe
from pipeline.errors import BadInput, DataError
from pipeline.lab import Lab
from simulator.events import Note, last_result
from simulator.verdicts import drift_level, drift_trend

NONE = {"n_per_phase": 0, "n_tri": 0, "n_discovery": 0, "n_replay_drift": 0, "extra": 0, "n_validation": 0}


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(prompt: str, answer: str, **meta) -> dict:
    return {"instruction": prompt, "input": "", "output": answer, "meta": meta}


def generate(lab: Lab, **options) -> list[dict]:
    value = last_result(run(lab, GenerateParams(**{**NONE, **options})))
    return [json.loads(line) for line in Path(value["out"]).read_text(encoding="utf-8").splitlines()]


def test_appending_keeps_the_chat_turns_of_another_lab(lab: Lab, tmp_path: Path) -> None:
    turn = row("What is TRI?", "A measure.", kind="chat", provenance={"session": 1, "message": 2})
    odd = row("And drift?", "Another.", kind="chat", provenance=5)
    generate(lab, mix=[str(write(tmp_path / "other.jsonl", turn, odd))])
    lab.notebook().close()
    kept = generate(lab, mix=[str(write(tmp_path / "new.jsonl", row("More?", "More.")))], append=True)
    assert [line["instruction"] for line in kept] == ["What is TRI?", "And drift?", "More?"]


def test_appending_keeps_every_line_that_is_there(lab: Lab, tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", row("Is it so?", "yes", region="train"), row("Is it so?", "no"))
    kept = generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=1, append=True)
    assert [line["output"] for line in kept[:2]] == ["yes", "no"] and len(kept) == 6


def test_own_lines_alone_are_added(lab: Lab, tmp_path: Path) -> None:
    generate(lab, n_per_phase=1)
    mine = write(tmp_path / "mine.jsonl", row("Is it so?", "yes"))
    value = last_result(run(lab, GenerateParams(mix=[str(mine)], append=True)))
    assert (value["samples"], value["appended"], value["kinds"]) == (5, 1, {"phase": 4, "own": 1})


def test_two_writers_of_one_file_do_not_meet(lab: Lab) -> None:
    work = run(lab, GenerateParams(**{**NONE, "n_tri": 2}))
    next(work)
    with pytest.raises(BadInput, match="is being written by another generate"):
        generate(lab, n_tri=3)
    assert last_result(work)["samples"] == 2 and len(generate(lab, n_tri=3)) == 3


@pytest.mark.parametrize("append", [False, True])
def test_a_file_of_ones_own_is_not_written_over(lab: Lab, tmp_path: Path, append: bool) -> None:
    """Its further keys and the turns of its chats would be lost."""
    chat = {"id": 7, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    mine = write(tmp_path / "mine.jsonl", chat)
    before = mine.read_bytes()
    with pytest.raises(BadInput, match="mix it in"):
        generate(lab, out=str(mine), n_per_phase=1, append=append)
    assert mine.read_bytes() == before and [path.name for path in tmp_path.glob("mine*")] == ["mine.jsonl"]


def test_a_chat_keeps_its_earlier_turns(lab: Lab, tmp_path: Path) -> None:
    turns = [{"role": role, "content": f"{role} {n}"} for n in (1, 2) for role in ("user", "assistant")]
    mine = write(tmp_path / "chats.jsonl", {"messages": turns}, {"messages": turns[:2]})
    generate(lab, **{**NONE, "n_per_phase": 1}, mix=[str(mine)])
    rows = [json.loads(line) for line in lab.data.read_text(encoding="utf-8").splitlines()]
    own = [line for line in rows if line["meta"]["kind"] == "own"]
    (chat,) = [[turn["content"] for turn in line["messages"]] for line in own if "messages" in line]
    assert chat == ["user 1", "assistant 1", "user 2", "assistant 2"]
    assert [line["output"] for line in own if "messages" not in line] == ["assistant 1"]


def test_a_file_to_mix_in_that_cannot_be_looked_at(lab: Lab) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        generate(lab, n_per_phase=1, mix=["x" * 5000])


@pytest.mark.parametrize("text", [f"[counts]\ntri = {'1' * 5000}", "x = " + "[" * 20_000])
def test_a_recipe_that_no_parser_takes(lab: Lab, tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="is not TOML"):
        generate(lab, recipe=str(tmp_path / "odd.toml"))


@pytest.mark.parametrize("name", ["link.jsonl", "link_validation.jsonl", "link_manifest.json"])
def test_a_link_as_the_output_is_refused(lab: Lab, tmp_path: Path, name: str) -> None:
    real = write(tmp_path / "real.jsonl", row("Old?", "Old."))
    (tmp_path / name).symlink_to(real)
    with pytest.raises(BadInput, match=r"is a link: give --out the file that it leads to, .*real\.jsonl"):
        generate(lab, out=str(tmp_path / "link.jsonl"), n_per_phase=1)
    assert (tmp_path / name).is_symlink() and "Old." in real.read_text(encoding="utf-8")


def test_appending_keeps_the_seeds_of_what_is_there(lab: Lab) -> None:
    for seed, append in ((3, False), (4, True), (5, True)):
        generate(lab, n_tri=2, seed=seed, append=append)
    manifest = json.loads((lab.data.parent / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["seed"] == 5 and [made["seed"] for made in manifest["kept_from"]] == [3, 4]


def test_it_is_said_that_former_lines_go(lab: Lab) -> None:
    generate(lab, n_tri=2)
    events = list(run(lab, GenerateParams(**{**NONE, "n_tri": 3})))
    assert any("made anew, 2 former lines go" in event.text for event in events if isinstance(event, Note))


def test_a_file_with_mixed_in_lines_is_kept_beside_the_new_one(lab: Lab, tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.jsonl", row("Is it so?", "yes"))
    before = generate(lab, n_tri=2, mix=[str(mine)])
    events = list(run(lab, GenerateParams(**{**NONE, "n_tri": 3})))
    said = "\n".join(event.text for event in events if isinstance(event, Note))
    assert "3 former lines go; they are kept in lab_instructions.former.jsonl, since 1 were mixed in" in said
    former = lab.data.with_name("lab_instructions.former.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in former.splitlines()] == before


@pytest.mark.parametrize("append", [False, True])
def test_a_file_at_the_lab_s_own_place_is_not_written_over(lab: Lab, append: bool) -> None:
    """It bears the guide's name, so older data may well lie there."""
    lab.data.parent.mkdir(parents=True)
    write(lab.data, {"instruction": "What is TRI?", "input": "", "output": "A measure."})
    before = lab.data.read_bytes()
    with pytest.raises(BadInput, match="not of this lab's making"):
        generate(lab, n_tri=2, append=append)
    assert lab.data.read_bytes() == before


def test_what_is_added_is_what_is_asked_for(lab: Lab) -> None:
    generate(lab, n_tri=2)
    value = last_result(run(lab, GenerateParams(n_per_phase=1, append=True)))
    assert value["kinds"] == {"tri": 2, "phase": 4}


def test_appending_with_the_same_seed_goes_on_where_it_ended(lab: Lab) -> None:
    generate(lab, n_tools=30)
    for times in (2, 3, 4):
        value = last_result(run(lab, GenerateParams(**{**NONE, "n_tools": 30, "append": True})))
        assert value["samples"] == 30 * times and value["dropped"]["exact_duplicates"] < 15


def test_a_question_that_is_answered_already_is_kept_out_and_counted(lab: Lab, tmp_path: Path) -> None:
    generate(lab, mix=[str(write(tmp_path / "a.jsonl", row("Is it so?", "yes")))])
    mine = write(tmp_path / "b.jsonl", row("Is it so?", "no"), row("Is it not?", "no"))
    events = list(run(lab, GenerateParams(mix=[str(mine)], append=True)))
    said = "\n".join(event.text for event in events if isinstance(event, Note))
    assert "1 lines mixed in; 1 kept out, whose question the data answers already" in said


def test_extra_beside_a_recipe_that_fixes_every_kind_is_refused(lab: Lab) -> None:
    with pytest.raises(BadInput, match=r"extra is 5, .* has its number, by the recipe quick"):
        list(run(lab, GenerateParams(recipe="quick", extra=5)))


def test_a_file_without_a_line_is_nothing_to_check(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no lines"):
        list(check(lab, CheckParams(file=str(tmp_path / "empty.jsonl"))))


def test_lines_from_elsewhere_without_claims_are_counted(lab: Lab, tmp_path: Path) -> None:
    (sample,) = generate(lab, n_tri=1)
    made = json.loads(lab.data.read_text(encoding="utf-8"))
    assert made["output"] == sample["output"]
    events = list(check(lab, CheckParams(file=str(write(tmp_path / "some.jsonl", made, row("Q", "no claims"))))))
    value = last_result(iter(events))
    assert value["ok"] and (value["generated_again"], value["lines_without_claims"]) == (1, 1)
    told = [event.text for event in events if isinstance(event, Note)]
    assert "lines from elsewhere without claims: 1; nothing was checked in them" in told


def test_a_file_is_not_mixed_into_itself(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"instruction": "Why?", "output": "So."}\nbroken\n', encoding="utf-8")
    with pytest.raises(DataError, match="would be written over"):
        generate(lab, mix=[str(path)], out=str(path))
    assert path.read_text(encoding="utf-8").endswith("broken\n")


@pytest.mark.parametrize("name", ["mine_validation.jsonl", "mine_manifest.json"])
def test_what_lies_beside_the_output_is_not_replaced(lab: Lab, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="not of this lab's making"):
        generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=1)
    assert (tmp_path / name).read_text(encoding="utf-8") == "{}\n" and not (tmp_path / "mine.jsonl").exists()
    (tmp_path / name).unlink()
    generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=1)
    assert len(generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=2)) == 8


def test_a_data_set_whose_writing_was_cut_off_is_written_again(lab: Lab, tmp_path: Path) -> None:
    """Killed between the lines and the manifest."""
    generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=1, n_validation=2)
    (tmp_path / "mine_manifest.json").unlink()
    assert len(generate(lab, out=str(tmp_path / "mine.jsonl"), n_per_phase=2, n_validation=2)) == 8


def test_a_folder_in_the_manifests_place_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "v_manifest.json").mkdir()
    (tmp_path / "v.jsonl").write_text("old", encoding="utf-8")
    with pytest.raises(BadInput, match="no regular file"):
        generate(lab, out=str(tmp_path / "v.jsonl"), n_per_phase=1)
    assert (tmp_path / "v.jsonl").read_text(encoding="utf-8") == "old"


def test_prompts_that_differ_by_a_sign_or_a_letter_are_no_duplicates() -> None:
    seen = Seen()
    prompts = ["Is 2 < 3?", "Is 2 > 3?", "🙂", "😡", "कि", "की", "k = -1", "k = 1"]
    assert all(seen.take(Sample(prompt, "", f"answer {number}")) for number, prompt in enumerate(prompts))
    assert not seen.take(Sample("  IS 2 < 3 ", "", "other"))


def test_near_duplicates_are_those_of_comparing_all_pairs() -> None:
    rng, seen, kept = Random(0), Seen(), []
    words = [f"{letter * length}{length}" for letter in "abcdef" for length in range(1, 6)]
    for _ in range(300):
        prompt = rng.sample(words, rng.choice((10, 11, 12))) if not kept or rng.random() < 0.5 else list(kept[-1])
        prompt[0] = rng.choice(words)
        mine = frozenset(prompt)
        near = any(len(mine & other) / len(mine | other) >= NEAR for other in map(frozenset, kept))
        rng.shuffle(prompt)
        taken = seen.take(Sample(" ".join(prompt), "", "yes"))
        assert taken != near
        if taken:
            kept.append(tuple(prompt))
    assert seen.near > 20 and len(kept) > 100


@pytest.mark.parametrize(
    ("meta", "words"), [('{"x": 1e999}', "beyond what a float can be"), ('{"x": "\\ud800"}', "surrogate")]
)
def test_meta_that_cannot_be_written_is_a_bad_line(meta: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(f'{{"instruction": "a", "output": "b", "meta": {meta}}}')


@pytest.mark.parametrize("text", ['extends = ["default"]\n', "extends = {a = 1}\n"])
def test_a_recipe_that_extends_no_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="extends"):
        load_recipe(str(tmp_path / "own.toml"))


@pytest.mark.parametrize("name", ["~nosuchuser/x.toml", "x" * 5000])
def test_a_name_that_is_no_path_is_one_short_sentence(lab: Lab, name: str) -> None:
    with pytest.raises(BadInput) as found:
        load_recipe(name)
    assert len(str(found.value)) < 400
    with pytest.raises((BadInput, DataError)):
        last_result(check(lab, CheckParams(file=name)))


def test_a_tool_claim_is_the_call_and_nothing_beside_it(lab: Lab, tmp_path: Path) -> None:
    args = {"phase_type": "spt_cluster"}
    call = call_text("run_phase", args)
    for text, holds in ((call, True), (f"{call} zz_nearest is high", False)):
        claim = {"quantity": "tool", "runs": [], "text": text, "name": "run_phase", "args": args}
        file = write(tmp_path / "calls.jsonl", row("Run it.", text, kind="tools", claims=[claim]))
        assert last_result(check(lab, CheckParams(file=str(file))))["ok"] is holds


def test_a_claim_of_a_number_beyond_floats_is_a_failure(lab: Lab, tmp_path: Path) -> None:
    claim = {
        "quantity": "features.zz_nearest",
        "text": "1",
        "value": 10**400,
        "tolerance": 0.1,
        "runs": [{"experiment": "run_phase", "params": {}}],
    }
    file = write(tmp_path / "big.jsonl", row("How much?", "1", claims=[claim]))
    assert last_result(check(lab, CheckParams(file=str(file))))["failed"] >= 1


@pytest.mark.parametrize(
    ("drifts", "trend", "level"),
    [
        ([0.5, 0.9, 1.4], "grows", "moderate"),
        ([0.67, 1.30, 0.98], "returns", "moderate"),
        ([3.97, 2.12, 4.10], "goes up and down", "high"),
        ([0.50, 0.52, 0.49], "levels off", "low"),
    ],
)
def test_the_words_for_a_drift_fit_all_its_numbers(drifts: list[float], trend: str, level: str) -> None:
    results = [{"runs": [{"drift": 0.0}, *({"drift": value} for value in drifts)]}]
    assert (drift_trend(results, ""), drift_level(results, "")) == (trend, level)
    if trend == "grows":
        assert all(one <= other for one, other in pairwise(drifts))
