"""The stage on the real base through the real engine: an adapter that changes nothing scores as the base does."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.bases import Base
from pipeline.errors import BadInput, ExportError
from pipeline.evaluate.params import EvalParams
from pipeline.evaluate.sealed import evaluation_set
from pipeline.evaluate.stage import run
from pipeline.files import sha256_of
from pipeline.lab import Lab
from simulator.events import Metric, last_result


@pytest.fixture
def evaluated(lab: Lab, cache_lab: Lab, base: Base) -> Lab:
    """A lab with the base and an adapter of zeros on one projection."""
    from safetensors.numpy import save_file

    lab.models.mkdir(parents=True)
    (lab.models / "bases").symlink_to(cache_lab.models / "bases")
    lab.adapter_dir.mkdir()
    key = "base_model.model.model.layers.0.self_attn.q_proj"
    zeros = {"lora_A": np.zeros((2, 576), np.float32), "lora_B": np.zeros((576, 2), np.float32)}
    weights = {f"{key}.{name}.weight": value for name, value in zeros.items()}
    save_file(weights, lab.adapter_dir / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (lab.adapter_dir / "adapter_config.json").write_text(json.dumps(config))
    manifest = {"base": {"name": "smollm2", "sha256": base.sha256, "kind": "gguf"}}
    (lab.adapter_dir / "manifest.json").write_text(json.dumps(manifest))
    return lab


def test_scores_and_reports(evaluated: Lab) -> None:
    params = EvalParams(questions=2, kinds=["numeric", "conversation"], extrapolation=True, parallel=1, helped=False)
    events = list(run(evaluated, params))
    value = events[-1].value
    assert value["adapter"] == "ben-lab-lora"
    assert value["adapter_sha256"] == sha256_of(evaluated.adapter_dir / "adapter_model.safetensors")
    assert any(isinstance(event, Metric) for event in events)
    for part in (value, value["extrapolation"]):
        assert part["numeric"]["base"] == part["numeric"]["tuned"]
        assert part["numeric"]["base"]["n"] == 2 and len(part["numeric"]["base"]["interval"]) == 2
        assert part["numeric"]["training_mean"]["n"] == part["numeric"]["phase_mean"]["n"] == 2
    assert value["set"]["sha256"] == evaluation_set().sha256
    assert value["conversation"]["base"]["n"] == value["conversation"]["tuned"]["n"] == 2
    report = json.loads(Path(value["report"]["json"]).read_text(encoding="utf-8"))
    assert len(report["answers"]) == 8 and len(report["dialogues"]) == 4 and value["questions"] == 6
    texts: dict[str, set[str]] = {}
    for answer in report["answers"]:
        texts.setdefault(answer["prompt"], set()).add(answer["answer"])
    assert all(len(answers) == 1 for answers in texts.values())
    page = Path(value["report"]["markdown"]).read_text(encoding="utf-8")
    assert "| numeric |" in page and "| conversation |" in page


def test_what_the_adapter_was_trained_on_is_not_asked(evaluated: Lab) -> None:
    """Its manifest names another file than the lab's own."""
    params = EvalParams(questions=2, kinds=["numeric"], extrapolation=False, parallel=1, skip_base=True)
    first = last_result(run(evaluated, params))
    asked = json.loads(Path(first["report"]["json"]).read_text(encoding="utf-8"))["answers"]
    assert first["left_out"] == 0
    lines = [json.dumps({"instruction": answer["prompt"], "output": "x"}) for answer in asked]
    (evaluated.root / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    manifest = json.loads((evaluated.adapter_dir / "manifest.json").read_text())
    (evaluated.adapter_dir / "manifest.json").write_text(json.dumps({**manifest, "data": {"file": "mine.jsonl"}}))
    assert last_result(run(evaluated, params))["left_out"] == 2


def test_no_adapter_is_one_sentence(lab: Lab) -> None:
    with pytest.raises(ExportError, match="train first \\(`benlab train`\\)"):
        last_result(run(lab, EvalParams(questions=1)))
    with pytest.raises(BadInput, match="give one of them"):
        last_result(run(lab, EvalParams(version="ben-lab", adapter="x")))


def test_the_served_files_are_asked_on_demand_and_copies_do_not_stay(evaluated: Lab) -> None:
    params = {"questions": 2, "kinds": ["numeric"], "extrapolation": False, "parallel": 1, "skip_base": True}
    for wanted, said in ((True, "as served"), (False, "copies in Q8_0")):
        value = last_result(run(evaluated, EvalParams(**params, served=wanted)))
        assert value["engine"] == said
    assert not list(evaluated.runs.rglob("engine-*.gguf"))


def test_the_base_is_asked_with_help_too(evaluated: Lab) -> None:
    params = EvalParams(questions=1, kinds=["definitions"], extrapolation=False, parallel=1)
    value = last_result(run(evaluated, params))
    assert set(value["definitions"]) == {"base", "base_told", "base_retrieval", "tuned"}


@pytest.mark.slow
def test_an_adapter_of_zeros_forgot_next_to_nothing(evaluated: Lab) -> None:
    value = last_result(run(evaluated, EvalParams(questions=1, kinds=["forgetting"], parallel=1)))
    assert value["perplexity"]["ratio"] == pytest.approx(1, abs=0.002)
    assert value["general"]["base"] == value["general"]["tuned"] and value["general"]["base"]["n"] == 100
