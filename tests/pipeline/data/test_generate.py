"""The stage `generate`: counts, splits, byte equality, append, mixing in, bad input."""

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

import simulator
from pipeline.data.generate import run
from pipeline.data.params import GenerateParams
from pipeline.data.paths import manifest_path, out_path, validation_path
from pipeline.data.reader import read_lines
from pipeline.data.recipes import counts
from pipeline.data.regions import is_test_case, region_of_seed
from pipeline.data.samples import (
    generate_discovery_samples,
    generate_phase_samples,
    generate_replay_drift_samples,
    generate_tri_samples,
)
from pipeline.data.writer import read_manifest
from pipeline.errors import BadInput, DataError
from pipeline.files import sha256_of
from pipeline.lab import Lab
from simulator.events import Note, last_result

SMALL = {
    "n_per_phase": 2,
    "n_tri": 4,
    "n_discovery": 1,
    "n_replay_drift": 3,
    "extra": 40,
    "n_validation": 8,
    "feedback": False,
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.at(tmp_path / "lab")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def generate(lab: Lab, **options) -> dict:
    return last_result(run(lab, GenerateParams(**{**SMALL, **options})))


def test_counts_and_line_format(lab: Lab) -> None:
    value = generate(lab)
    found = lines(lab.data)
    assert value["samples"] == len(found) == 8 + 4 + 1 + 3 + 40
    assert value["kinds"]["phase"] == 8
    for line in found:
        assert set(line) == {"instruction", "input", "output", "meta"}
        assert line["meta"]["claims"], line
        assert line["meta"]["region"] == "train"
    manifest = read_manifest(lab.data)
    assert manifest["train"]["sha256"] == sha256_of(lab.data) == value["sha256"]
    assert manifest["validation"]["sha256"] == sha256_of(validation_path(lab.data))
    assert manifest["physics_version"] == simulator.PHYSICS_VERSION


def test_default_counts_are_the_guides() -> None:
    from pipeline.data.recipes import counts

    plain = counts(GenerateParams())
    assert [plain[kind] for kind in ("phase", "tri", "discovery", "replay_drift")] == [160, 60, 15, 40]
    assert sum(plain.values()) - plain["validation"] == 1000
    guide = counts(GenerateParams(guide_only=True))
    assert sum(guide.values()) - guide["validation"] == 275


def test_extra_is_shared_out_to_the_last_sample() -> None:
    from pipeline.data.recipes import LIMITS, counts

    for extra in (1, 7, 724, 9725, 100_000):
        shared = counts(GenerateParams(extra=extra, n_per_phase=0, n_tri=0, n_discovery=0, n_replay_drift=0))
        assert sum(shared.values()) - shared["validation"] == extra
        assert all(shared[kind] <= most for kind, most in LIMITS.items())


def test_the_guides_four_functions() -> None:
    assert [sample["meta"]["kind"] for sample in generate_phase_samples(n_per_phase=1)] == ["phase"] * 4
    phases = {sample["meta"]["params"]["phase_type"] for sample in generate_phase_samples(n_per_phase=1)}
    assert phases == set(simulator.PHASES)
    assert len(generate_tri_samples(n=3)) == 3
    assert len(generate_discovery_samples(n_runs=1)) == 1
    assert len(generate_replay_drift_samples(n=2)) == 2


def test_the_same_seed_writes_the_same_bytes(lab: Lab, tmp_path: Path) -> None:
    first = generate(lab, seed=3)["sha256"]
    assert generate(Lab.at(tmp_path / "other"), seed=3)["sha256"] == first
    assert generate(lab, seed=4)["sha256"] != first


def test_splits_keep_to_their_seeds(lab: Lab) -> None:
    generate(lab)

    def runs(path: Path) -> list[tuple[str, dict]]:
        found = []
        for line in lines(path):
            for claim in line["meta"]["claims"]:
                found += [(one["experiment"], one["params"]) for one in claim.get("runs", [claim])]
        return found

    train, validation = runs(lab.data), runs(validation_path(lab.data))
    assert train and validation
    for (experiment, params), split in [(one, "train") for one in train] + [(one, "validation") for one in validation]:
        seed = params["seed"] * (1000 if experiment == "discovery" else 1)
        assert region_of_seed(seed) == split
        assert not is_test_case(experiment, params)
    assert not {line["instruction"] + line["input"] for line in lines(lab.data)} & {
        line["instruction"] + line["input"] for line in lines(validation_path(lab.data))
    }


def test_append_adds_new_lines_and_keeps_the_old(lab: Lab) -> None:
    generate(lab)
    before = lab.data.read_text(encoding="utf-8")
    value = generate(lab, append=True)
    after = lab.data.read_text(encoding="utf-8")
    assert after.startswith(before)
    assert value["appended"] == value["samples"] - len(before.splitlines()) > 40
    prompts = [line["instruction"] + line["input"] for line in lines(lab.data)]
    assert len(set(prompts)) == len(prompts)
    held = {line["instruction"] + line["input"] for line in lines(validation_path(lab.data))}
    assert not held & set(prompts)


def test_append_refuses_a_broken_file_and_leaves_it(lab: Lab) -> None:
    generate(lab)
    with lab.data.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    before = lab.data.read_bytes()
    with pytest.raises(DataError, match=f":{len(before.splitlines())}: not JSON"):
        generate(lab, append=True)
    assert lab.data.read_bytes() == before


def test_append_refuses_other_physics(lab: Lab) -> None:
    generate(lab)
    manifest = read_manifest(lab.data)
    manifest_path(lab.data).write_text(json.dumps({**manifest, "physics_version": "0"}), encoding="utf-8")
    with pytest.raises(DataError, match="physics version 0"):
        generate(lab, append=True)


def test_own_lines_are_mixed_in_and_bad_ones_named(lab: Lab, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    chat = {"messages": [{"role": "user", "content": "hi?"}, {"role": "assistant", "content": "Hello."}]}
    good = {"id": 1, "instruction": "Say A", "output": "A"}
    rows = [json.dumps(good), "{oops", json.dumps(chat), json.dumps(good), json.dumps({"instruction": "x"})]
    own.write_bytes("\n".join(rows).encode() + b"\n\xff\xfe\n")
    options = GenerateParams(**{**SMALL, "extra": 0, "mix": [str(own)]})
    events = list(run(lab, options))
    value = events[-1].value
    assert [(bad["line"], bad["reason"].split(" ")[0]) for bad in value["bad_lines"]] == [
        (2, "not"),
        (4, "the"),
        (5, "no"),
        (6, "not"),
    ]
    assert any(isinstance(event, Note) and ":2: not JSON" in event.text for event in events)
    mixed = [line for line in lines(lab.data) if line["meta"].get("source") == "own.jsonl"]
    assert {(line["instruction"], line["output"]) for line in mixed} == {("Say A", "A"), ("hi?", "Hello.")}


def test_a_line_of_a_hundred_megabytes_is_kept_out(lab: Lab, tmp_path: Path) -> None:
    own = tmp_path / "long.jsonl"
    with own.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'\n{"instruction": "Say A", "output": "A"}\n')
    value = generate(lab, mix=[str(own)], extra=0)
    assert [bad["line"] for bad in value["bad_lines"]] == [1]
    assert value["kinds"]["own"] == 1


def test_a_file_in_utf16_is_named(lab: Lab, tmp_path: Path) -> None:
    own = tmp_path / "wide.jsonl"
    own.write_bytes('{"instruction": "a", "output": "b"}\n'.encode("utf-16"))
    with pytest.raises(DataError, match="is UTF-16: save it as UTF-8"):
        generate(lab, mix=[str(own)])
    assert not lab.data.exists()


@pytest.mark.parametrize(
    "text, words",
    [
        ("[counts]\nphases = 3\n", "unknown kind 'phases'"),
        ("[counts]\ntri = -1\n", "counts.tri"),
        ("[counts]\ntri = true\n", "counts.tri"),
        ("[shares]\ntri = nan\n", "shares.tri"),
        ("kinds = 3\n", "the key 'kinds'"),
        ("[counts\n", "not TOML"),
        ("counts = 3\n", "not a table"),
        ("extends = 'nothing'\n", "extends 'nothing'"),
    ],
)
def test_bad_recipes(lab: Lab, tmp_path: Path, text: str, words: str) -> None:
    recipe = tmp_path / "mix.toml"
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        generate(lab, recipe=str(recipe))


def test_a_recipe_sets_the_mix_and_options_win(lab: Lab, tmp_path: Path) -> None:
    recipe = tmp_path / "mix.toml"
    recipe.write_text("[counts]\ntri = 9\ntools = 2\n[shares]\nnumeric = 1\n", encoding="utf-8")
    params = GenerateParams(
        recipe=str(recipe), n_per_phase=1, n_discovery=0, n_replay_drift=0, n_tools=3, extra=5, n_validation=0
    )
    assert last_result(run(lab, params))["kinds"] == {"numeric": 5, "phase": 4, "tools": 3, "tri": 9}


def test_an_option_at_its_default_wins_over_a_recipe_too() -> None:
    assert counts(GenerateParams(recipe="full"))["tri"] == 40
    assert counts(GenerateParams(recipe="full", n_tri=60))["tri"] == 60


def test_nothing_asked_for(lab: Lab) -> None:
    with pytest.raises(BadInput, match="0 samples"):
        generate(lab, n_per_phase=0, n_tri=0, n_discovery=0, n_replay_drift=0, extra=0)
    with pytest.raises(ValidationError):
        GenerateParams(n_tri=-1)
    with pytest.raises(BadInput, match="no recipe"):
        generate(lab, recipe="nowhere")
    with pytest.raises(DataError, match="cannot be read"):
        generate(lab, mix=["nowhere.jsonl"])


def test_a_small_world_gives_what_it_has(lab: Lab) -> None:
    params = GenerateParams(guide_only=True, n_per_phase=0, n_tri=0, n_discovery=0, n_replay_drift=0, mix=[])
    with pytest.raises(BadInput):
        last_result(run(lab, params))
    value = generate(lab, n_definitions=5000, extra=0, n_validation=0)
    assert 500 < value["kinds"]["definitions"] < 5000


@pytest.mark.parametrize(
    "out",
    [
        "{lab}/lab.db", "{lab}/data/../lab.db", "{lab}/lab.db-wal", "{lab}/benlab.toml", "{lab}/Modelfile",
        "{lab}/models/ben-lab/registry.json", "{lab}/runs/x/job.json", "{lab}/ben-lab-lora/adapter_config.json",
        "{lab}/link.jsonl", "{lab}/new.db/", "{lab}", "{lab}/data", "/", "", ".", "..", "/dev/zero", "a\0b",
    ],
)  # fmt: skip
def test_the_labs_own_files_and_folders_are_no_place_for_a_data_set(lab: Lab, out: str) -> None:
    lab.notebook().close()
    (lab.root / "data").mkdir()
    (lab.root / "link.jsonl").symlink_to(lab.database)
    before = lab.database.read_bytes(), lab.config_path.read_bytes()
    with pytest.raises(BadInput, match=r"no regular file|the lab's own|cannot be a file's name"):
        list(run(lab, GenerateParams(**SMALL, out=out.format(lab=lab.root))))
    assert (lab.database.read_bytes(), lab.config_path.read_bytes()) == before


def test_a_data_set_goes_elsewhere_in_the_lab(lab: Lab) -> None:
    for name in ("data/lab_instructions.jsonl", "data/mine.jsonl", "mine.jsonl"):
        assert out_path(lab, f"{lab.root}/{name}") == lab.root / name
    assert out_path(lab, None) == lab.data


def test_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="no regular file"):
            list(read_lines(path))


def test_tool_calls_teach_seeds_of_every_length_and_none_that_is_held_out(lab: Lab) -> None:
    """Requests of the evaluation name seeds of five digits."""
    nothing = {"n_per_phase": 0, "n_tri": 0, "n_discovery": 0, "n_replay_drift": 0, "extra": 0, "n_validation": 0}
    (lab.root / "calls.toml").parent.mkdir(parents=True, exist_ok=True)
    (lab.root / "calls.toml").write_text("[counts]\ntools = 200\n", encoding="utf-8")
    last_result(run(lab, GenerateParams(recipe=str(lab.root / "calls.toml"), **nothing)))
    claims = [claim for line in lines(lab.data) for claim in line["meta"]["claims"]]
    seeds = [claim["args"]["seed"] for claim in claims if "seed" in claim["args"]]
    assert {len(str(seed)) for seed in seeds} >= {3, 4, 5, 6}
    assert {region_of_seed(seed) for seed in seeds} == {"train", None}
