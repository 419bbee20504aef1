"""Bases that lie on this disk: only what is really theirs is read."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bases import Base, local, locate, locate_gguf
from pipeline.bases.base import save_record
from pipeline.bases.describe import describe_gguf
from pipeline.bases.local import checked_blob
from pipeline.bases.params import PullParams
from pipeline.bases.pull import run
from pipeline.errors import BaseError
from pipeline.lab import Lab
from simulator.events import last_result


@pytest.fixture
def models(tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Ollama folder whose tag `tiny:1` serves the default base's bytes."""
    folder = tmp_path / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(folder))
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / f"sha256-{base.sha256}").symlink_to(base.path)
    manifest = folder / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "1"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{base.sha256}"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    return folder


def test_a_hub_s_folder_and_its_gguf_stand_beside_each_other(lab: Lab, base: Base, tmp_path: Path) -> None:
    """Training reads the safetensors; export, install and eval read what Ollama serves of the same base."""
    folder = tmp_path / "phi"
    folder.mkdir()
    hub = replace(base, name="phi-2", path=folder, kind="hf")
    gguf = replace(base, name="phi-2")
    save_record(lab, hub)
    with pytest.raises(BaseError, match="this needs its GGUF: `benlab pull ollama:phi` fetches it"):
        locate_gguf(lab, "microsoft/phi-2")
    save_record(lab, gguf)
    assert locate(lab, "phi-2").kind == "hf"
    for name in ("phi-2", "ollama:phi", "microsoft/phi-2"):
        assert locate_gguf(lab, name).path == base.path
    assert last_result(run(lab, PullParams(base="ollama:phi")))["kind"] == "gguf"
    other = Lab.at(tmp_path / "other")
    save_record(other, gguf)
    save_record(other, hub)
    assert locate(other, "phi-2").kind == "hf" and locate_gguf(other, "phi-2").kind == "gguf"


def test_a_blob_that_points_elsewhere_is_refused(lab: Lab, models: Path) -> None:
    with pytest.raises(BaseError, match="not a blob under a local Ollama folder"):
        list(run(lab, PullParams(base="ollama:tiny:1")))


def test_a_tag_s_bytes_are_used_where_they_lie(lab: Lab, models: Path, base: Base) -> None:
    blob = models / "blobs" / f"sha256-{base.sha256}"
    blob.unlink()
    blob.hardlink_to(base.path)
    result = last_result(run(lab, PullParams(base="ollama:tiny:1")))
    assert result["sha256"] == base.sha256
    assert locate(lab, "ollama:tiny:1").path == blob


def test_a_blob_with_other_bytes_is_refused(models: Path) -> None:
    blob = models / "blobs" / f"sha256-{hashlib.sha256(b'right').hexdigest()}"
    blob.write_bytes(b"wrong")
    with pytest.raises(BaseError, match="does not have the sha256 of its name"):
        checked_blob(blob, "tiny")


def test_a_file_that_is_no_model_is_refused(lab: Lab, tmp_path: Path) -> None:
    for name, data in (("empty.gguf", b""), ("text.gguf", b"hello, this is not a model at all")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BaseError, match=r"no whole GGUF file|not a readable GGUF file"):
            list(run(lab, PullParams(base=str(tmp_path / name))))


def test_a_folder_without_safetensors_is_refused(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(BaseError, match="pickled weights are never read"):
        list(run(lab, PullParams(base=str(tmp_path / "model"))))


def test_a_copy_of_the_default_base_must_be_the_same_bytes(lab: Lab, tmp_path: Path, base: Base) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(base.path.read_bytes()[:-1] + b"\0\0")
    with pytest.raises(BaseError, match="its sha256 differs"):
        list(run(lab, PullParams(source=str(other))))
    assert last_result(run(lab, PullParams(source=str(base.path))))["sha256"] == base.sha256


def test_a_file_of_one_s_own_is_read_once_and_again_when_it_changed(
    lab: Lab, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new quantization of the same size under the same name is another base."""
    own, read = tmp_path / "own.gguf", []
    shutil.copyfile(base.path, own)
    monkeypatch.setattr(local, "describe_gguf", lambda *given: (read.append(1), describe_gguf(*given))[1])
    first = locate(lab, str(own))
    assert locate(lab, str(own)) == locate_gguf(lab, "own") == first and len(read) == 1
    with own.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    second = locate(lab, "own")
    assert second.sha256 == hashlib.sha256(own.read_bytes()).hexdigest() != first.sha256
    assert locate(lab, str(own)) == second and len(read) == 2
