"""A model's folder may bring code: no loader ever runs it, or asks whether it may."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import pipeline
from pipeline.bases.base import Base
from pipeline.errors import BaseError
from pipeline.lab import Lab

LOADERS = ("AutoTokenizer", "AutoConfig", "AutoModelForCausalLM", "AutoModel", "AutoProcessor")


def test_every_loader_says_that_no_remote_code_is_trusted() -> None:
    found = 0
    for file in Path(pipeline.__path__[0]).rglob("*.py"):
        for call in (
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ):
            owner, _, name = ast.unparse(call.func).rpartition(".")
            if owner in LOADERS and name in ("from_pretrained", "from_config"):
                found += 1
                said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                assert said.get("trust_remote_code") == "False", f"{file}:{call.lineno}"
    assert found >= 7


@pytest.fixture
def foreign(tmp_path: Path) -> Base:
    """A folder whose config and tokenizer say that their classes are in the files beside them."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    code = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\nclass A: pass\n"
    for name in ("modeling_own", "configuration_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(code)
    classes = {"AutoConfig": "configuration_own.A", "AutoModelForCausalLM": "modeling_own.A"}
    config = {"model_type": "own", "architectures": ["A"], "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    words = {"tokenizer_class": "A", "auto_map": {"AutoTokenizer": ["tokenization_own.A", "tokenization_own.A"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))
    (folder / "model.safetensors").write_bytes(b"")
    return Base("own", folder, "hf", "0" * 64, 0, "folder", "own", 64, "", "", "", False)


def test_a_foreign_folders_code_is_not_run(
    lab: Lab, foreign: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from pipeline.train.model import load_model, load_tokenizer

    monkeypatch.setattr("builtins.input", lambda *_: "y")  # who is asked, says yes
    with pytest.raises(BaseError):
        load_tokenizer(lab, foreign)
    with pytest.raises(BaseError):
        load_model(lab, foreign, torch.float32)
    assert not (tmp_path / "ran").exists()
