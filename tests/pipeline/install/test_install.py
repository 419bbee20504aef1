"""The install stage for the embedded engine: proof first, one rename, and what was there before kept on any failure."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base
from pipeline.errors import BaseError, ExportError, InstallError
from pipeline.export.params import ExportParams
from pipeline.export.stage import run as run_export
from pipeline.files import sha256_of
from pipeline.install import receipt
from pipeline.install.params import InstallParams
from pipeline.install.reference import Reference
from pipeline.install.registry import Registry, Version
from pipeline.install.scores import newest_scores, warning
from pipeline.install.stage import run
from pipeline.install.versions import summary
from pipeline.lab import Lab
from simulator import PHYSICS_VERSION
from simulator.errors import BadParameter
from simulator.events import Note, last_result


@pytest.fixture
def trained(lab_with_base: Lab, small_adapter: Path) -> Lab:
    """A lab as training leaves it."""
    shutil.copytree(small_adapter, lab_with_base.adapter_dir)
    return lab_with_base


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    monkeypatch.setattr(receipt, "Reference", lambda *_: reference)
    monkeypatch.setattr(receipt, "TOKENS", 6)
    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:2])


def manifest(lab: Lab, **changes: Any) -> None:
    path = lab.adapter_dir / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_version_is_published_with_receipt_and_lineage_and_a_failed_one_keeps_it(
    trained: Lab, quick: None, contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_old = contract(version="0.5.4").url
    events = list(run(trained, InstallParams(ollama_host=too_old)))
    assert any("embedded only: Ollama 0.5.4" in event.text for event in events if isinstance(event, Note))
    registry = Registry(trained)
    current = registry.current()
    assert current and current.version == "ben-lab:20260101-000000-train-test" and current.target == "embedded"
    assert current.receipt["passed"] and current.data_sha256 == "d" * 64 and current.recipe == "smollm2"
    assert {file.name for file in registry.adapter_path(current).parent.iterdir()} == {
        "adapter.gguf", "adapter_config.json", "manifest.json", "Modelfile", "receipt.json",
    }  # fmt: skip
    assert any("trained on physics test" in event.text for event in events if isinstance(event, Note))
    assert summary(current.receipt).startswith("passed: prompts 2/2")
    before = registry.adapter_path(current).read_bytes()

    manifest(trained, run="runs/second", physics_version=PHYSICS_VERSION)
    strict = receipt.Bounds(least_agreement=0.0, most_mean_gap=-1.0, most_gap=9.0)
    monkeypatch.setattr(receipt.Bounds, "of", lambda _: strict)
    with pytest.raises(InstallError, match=r"the receipt failed \(greedy agreement: .*ben-lab stays as it was"):
        list(run(trained, InstallParams(target="embedded")))
    assert Registry(trained).versions() == [current]
    assert registry.adapter_path(current).read_bytes() == before
    assert [folder.name for folder in registry.folder.iterdir() if folder.is_dir()] == ["20260101-000000-train-test"]
    failed = sorted(trained.runs.glob("*install*/receipt.json"))
    assert any(not json.loads(path.read_text())["passed"] for path in failed)


@pytest.mark.parametrize("fault", ["twice alpha", "another run"])
def test_a_wrong_adapter_fails_its_receipt_and_the_old_version_stays(
    fault: str, trained: Lab, quick: None, other_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a fault of the converter would have it: what is served is not what was trained."""
    from pipeline.export.adapter import convert_adapter

    def faulty(folder: Path, base_gguf: Path, out: Path, **options: Any) -> dict[str, Any]:
        wrong = tmp_path / "wrong"
        shutil.copytree(other_adapter if fault == "another run" else folder, wrong)
        config = json.loads((wrong / "adapter_config.json").read_text())
        config["lora_alpha"] *= 2 if fault == "twice alpha" else 1
        (wrong / "adapter_config.json").write_text(json.dumps(config))
        return convert_adapter(wrong, base_gguf, out, **options)

    old = Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old")
    Registry(trained).add(old)
    monkeypatch.setattr("pipeline.install.embedded.convert_adapter", faulty)
    with pytest.raises(
        InstallError, match=r"the receipt failed .*its shift of the next word .*ben-lab stays as it was"
    ):
        list(run(trained, InstallParams(target="embedded")))
    assert Registry(trained).current() == old and Registry(trained).versions() == [old]
    assert not (Registry(trained).folder / "20260101-000000-train-test").exists()


def test_a_cancelled_install_leaves_nothing(trained: Lab, quick: None) -> None:
    steps = run(trained, InstallParams(target="embedded"))
    for event in steps:
        if getattr(event, "stage", "") == "receipt":
            break
    steps.close()  # type: ignore[attr-defined]
    assert Registry(trained).versions() == [] and not list(Registry(trained).folder.iterdir())


def test_a_killed_install_leaves_the_old_version_and_the_next_one_works(trained: Lab, quick: None) -> None:
    Registry(trained).add(Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old"))
    command = [sys.executable, "-m", "pipeline", "install", "--lab", str(trained.root)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout
    for line in child.stdout:
        if json.loads(line).get("stage") == "receipt":
            child.kill()
            break
    child.wait()
    current = Registry(trained).current()
    assert current and current.version == "ben-lab:old" and len(Registry(trained).versions()) == 1
    last_result(run(trained, InstallParams(target="embedded")))
    current = Registry(trained).current()
    assert current and current.version != "ben-lab:old"


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda lab: shutil.rmtree(lab.adapter_dir), ExportError, "train first"),
        (lambda lab: manifest(lab, base={"name": "smollm2", "sha256": "0" * 64}), ExportError, "trained on smollm2"),
        (lambda lab: manifest(lab, base={"name": "qwen2.5-1.5b"}), BaseError, "pull qwen2.5-1.5b"),
        (lambda lab: manifest(lab, base={}), ExportError, "does not say which base"),
        (lambda lab: (lab.adapter_dir / "adapter_model.safetensors").write_bytes(b"x" * 50), ExportError, "cannot be"),
    ],
)
def test_bad_adapters_are_one_sentence_and_install_nothing(spoil: Any, error: Any, words: str, trained: Lab) -> None:
    Registry(trained).add(Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old"))
    spoil(trained)
    with pytest.raises(error, match=words) as raised:
        list(run(trained, InstallParams(target="embedded")))
    assert "\n" not in str(raised.value)
    current = Registry(trained).current()
    assert current and current.version == "ben-lab:old"


def test_a_model_that_does_not_beat_its_base_is_not_taken_into_use_unasked(trained: Lab, quick: None) -> None:
    Registry(trained).add(Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old"))
    report = trained.new_run("eval") / "eval.json"
    scores = {"base": {"score": 0.5, "n": 40}, "tuned": {"score": 0.4, "n": 40}}
    weights = sha256_of(trained.adapter_dir / "adapter_model.safetensors")
    report.write_text(json.dumps({"adapter_sha256": weights, "phase_identification": scores}))
    value = last_result(run(trained, InstallParams(target="embedded")))
    assert (
        not value["current"] and "does not beat its base in phase_identification 0.40 against 0.50" in value["warning"]
    )
    current = Registry(trained).current()
    assert current and current.version == "ben-lab:old"
    value = last_result(run(trained, InstallParams(target="embedded", force=True)))
    current = Registry(trained).current()
    assert value["current"] and current and current.scores["phase_identification"]["tuned"]["score"] == 0.4


def test_scores_of_another_adapter_or_of_before_it_do_not_count(trained: Lab) -> None:
    folder = trained.new_run("eval")
    report = {"adapter_sha256": "another", "tools": {"tuned": {"score": 1, "n": 1}}}
    (folder / "eval.json").write_text(json.dumps(report))
    (trained.new_run("eval") / "eval.json").write_text("{broken")
    assert newest_scores(trained, trained.adapter_dir) == {} and warning({}) == ""


def test_another_system_prompt_than_in_training_is_refused(trained: Lab) -> None:
    manifest(trained, system="You are somebody else.")
    with pytest.raises(InstallError, match="system prompt"):
        list(run(trained, InstallParams(target="embedded")))


def test_one_kind_that_got_worse_is_not_hidden_by_another_that_got_better() -> None:
    better = {"base": {"score": 0.0}, "tuned": {"score": 1.0}}
    worse = {"base": {"score": 0.5}, "tuned": {"score": 0.0}}
    assert warning({"ordering": better}) == ""
    assert "tools 0.00 against 0.50" in warning({"ordering": better, "tools": worse})


def test_a_version_that_talks_worse_or_forgot_more_than_the_one_in_use_is_asked_about() -> None:
    def scores(conversation: float, ratio: float, set_name: str = "first") -> dict:
        return {
            "conversation": {"base": {"score": 0.1}, "tuned": {"score": conversation}},
            "perplexity": {"base": 12.0, "tuned": 12 * ratio, "ratio": ratio},
            "set": {"name": set_name, "sha256": set_name},
        }

    in_use = Version("ben-lab:old", "a", "smollm2", "b", "now", "run", scores=scores(0.8, 1.05))
    assert warning(scores(0.8, 1.05), in_use) == "" and warning(scores(0.9, 1.0), in_use) == ""
    assert "worse at conversation than ben-lab:old (0.70 against 0.80)" in warning(scores(0.7, 1.05), in_use)
    assert "forgotten more than ben-lab:old" in warning(scores(0.8, 1.2), in_use)
    assert warning(scores(0.7, 1.2, "second"), in_use) == ""  # other questions: nothing to compare


def test_general_items_count_as_lost_only_beyond_the_bases_interval() -> None:
    base = {"score": 0.8, "interval": [0.71, 0.87]}
    assert warning({"general": {"base": base, "tuned": {"score": 0.75}}}) == ""
    assert "general 0.60 against 0.80" in warning({"general": {"base": base, "tuned": {"score": 0.6}}})


def test_export_writes_the_adapter_and_refuses_a_folder(trained: Lab, tmp_path: Path) -> None:
    value = last_result(run_export(trained, ExportParams()))
    assert value["file"] == "ben-lab-adapter.gguf" and trained.adapter_gguf.stat().st_size == value["bytes"]
    for params, words in (
        (ExportParams(out=str(tmp_path)), "is a folder"),
        (ExportParams(quantize="q8_0"), "add --merged"),
    ):
        with pytest.raises(ValueError, match=words):
            list(run_export(trained, params))


def test_a_quantised_merged_export_says_what_it_costs(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.export import agreement

    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:2])
    monkeypatch.setattr(agreement, "TOKENS", 8)
    events = list(run_export(trained, ExportParams(merged=True, quantize="q8_0")))
    measured = last_result(iter(events))["agreement"]
    assert 10 <= measured["tokens"] <= 16 and measured["share"] >= 0.7
    assert any("chooses the same word" in event.text for event in events if isinstance(event, Note))


@pytest.mark.parametrize("name", ["", "bad name", "../x", "a/b", "x\0y", "é"])
def test_names_that_no_engine_takes_are_refused(name: str) -> None:
    from simulator import validate

    with pytest.raises(BadParameter):
        validate(InstallParams, {"name": name})


def test_a_broken_registry_is_named(lab: Lab) -> None:
    registry = Registry(lab)
    registry.folder.mkdir(parents=True)
    registry.path.write_text("{")
    with pytest.raises(InstallError, match=r"registry\.json cannot be read"):
        registry.versions()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "ben-lab:../../../VICTIM"}, "holds a '/'"),
        ({"version": "ben-lab:.."}, "holds a '/'"),
        ({"version": "ben-lab:a\\b"}, "holds a '/'"),
        ({"version": "ben-lab:a\0b"}, "holds a '/'"),
        ({"version": "ben-lab:"}, "has an empty part"),
        ({"version": "ben-lab:."}, "has an empty part"),
        ({"version": 5}, "version of '5' is not a text"),
        ({"version": "ben-lab:link"}, "leads out of"),
        ({"adapter": 5}, "adapter of 'ben-lab:old' is not a text"),
        ({"adapter": "../../../../etc/passwd"}, "lies outside the lab"),
        ({"adapter": "/etc/passwd"}, "lies outside the lab"),
        ({"scores": []}, "scores of 'ben-lab:old' is not an object"),
        ({"ollama": {"host": 1}}, "the Ollama host of 'ben-lab:old' is not a text"),
        ({"servers": [{"host": 1}]}, "the Ollama host of 'ben-lab:old' is not a text"),
        ({"servers": ["x"]}, "the Ollama host of 'ben-lab:old' is not a text"),
        ({"servers": {}}, "servers of 'ben-lab:old' is not a list"),
    ],
)
def test_a_registry_from_elsewhere_reaches_nothing_outside_its_lab(
    lab: Lab, changes: dict[str, Any], words: str
) -> None:
    registry = Registry(lab)
    registry.add(Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old"))
    victim = lab.root.parent / "VICTIM"
    victim.mkdir()
    (registry.folder / "link").symlink_to(victim)
    data = json.loads(registry.path.read_text())
    data["versions"][0] |= changes
    registry.path.write_text(json.dumps(data | {"current": ""}))
    with pytest.raises(InstallError, match=re.escape(words)) as caught:
        registry.remove(str(data["versions"][0]["version"]))
    assert "registry.json cannot be read" in str(caught.value) and "\n" not in str(caught.value)
    assert victim.is_dir() and registry.folder.is_dir()
    if isinstance(name := changes.get("version"), str):
        with pytest.raises(InstallError, match=re.escape(words)):
            registry.folder_of(name)


def test_a_registry_from_elsewhere_deletes_no_other_models_from_a_server(lab: Lab) -> None:
    registry = Registry(lab)
    registry.add(Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old"))
    data = json.loads(registry.path.read_text())
    for name in ("llama3.2:1b", "ben-labs", "x/ben-lab:old"):
        registry.path.write_text(json.dumps(data | {"pending": [["http://127.0.0.1:11434", name, ""]]}))
        with pytest.raises(InstallError, match="which is not ben-lab"):
            registry.pending()


def test_versions_are_found_by_name_run_and_unambiguous_end(lab: Lab, base: Base) -> None:
    registry = Registry(lab)
    for run_name in ("20260101-aaaa", "20260102-aaaa", "20260103-bbbb"):
        registry.add(Version(f"ben-lab:{run_name}", "a", base.name, base.sha256, "now", run_name))
    found = {
        name: registry.find(name) for name in ("ben-lab", "ben-lab:20260101-aaaa", "20260102-aaaa", "bbbb", "aaaa")
    }
    assert [version and version.run for version in found.values()] == [
        "20260103-bbbb", "20260101-aaaa", "20260102-aaaa", "20260103-bbbb", None,
    ]  # fmt: skip
    with pytest.raises(InstallError, match="'zzzz' is no installed version"):
        registry.named("zzzz")
