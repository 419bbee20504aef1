"""PEFT adapter → GGUF adapter: `blk.N.<name>.weight.lora_a` (rank, in) and `.lora_b` (out, rank), float32.

llama.cpp lays `adapter.lora.alpha / rank * B @ A` over the base, with one alpha for the whole file and each pair's
own rank. A pair whose strength differs (rank and alpha patterns under rsLoRA, joined q-k-v) has the quotient put
into its B. For plain LoRA the tensors are those of llama.cpp's convert_lora_to_gguf.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ExportError
from pipeline.export.peft_adapter import Pair, PeftAdapter, read_adapter
from pipeline.export.placement import EMBEDDING, contiguous, place
from pipeline.files import remove_leftovers, replacing, require_space
from pipeline.gguf_head import GgufHead, read_head


def convert_adapter(adapter_dir: Path, base_gguf: Path, out: Path, *, base_sha256: str | None = None) -> dict[str, Any]:
    """Writes the adapter in `adapter_dir` as GGUF for the base in `base_gguf`; returns what was written.

    `base_sha256` (hex) is compared with the digest in the adapter's manifest, where both are there.
    Raises ExportError where the adapter does not fit the base or GGUF cannot carry it; `out` then stays as it was.
    """
    adapter = read_adapter(adapter_dir)
    head = read_head(base_gguf)
    check_base(adapter, base_sha256)
    placed = place(adapter.pairs, head)
    alpha = common_strength(placed)
    size = sum(pair.a.nbytes + pair.b.nbytes for pair in placed.values())
    remove_leftovers(out.parent, out.name)
    require_space(out.parent, size + (1 << 20), "the adapter")
    with replacing(out) as temporary:
        _write(temporary, placed, alpha, head, adapter)
    ranks = sorted({pair.rank for pair in placed.values()})
    return {"tensors": 2 * len(placed), "bytes": out.stat().st_size, "alpha": alpha, "ranks": ranks}


def check_base(adapter: PeftAdapter, base_sha256: str | None) -> None:
    """Raises ExportError where the manifest names another base than the one at hand."""
    trained_on = adapter.manifest.get("base") or {}
    wanted = trained_on.get("sha256") if isinstance(trained_on, dict) else None
    if trained_on and trained_on.get("kind") == "hf":
        return  # Trained on the hub's safetensors, it goes on any GGUF of that model: shapes and names decide.
    if wanted and base_sha256 and wanted != base_sha256:
        raise ExportError(
            f"the adapter was trained on {trained_on.get('name', 'another base')} (sha256 {wanted[:12]}…) and this "
            f"base has sha256 {base_sha256[:12]}…: choose that base, or train on this one"
        )


def common_strength(placed: Mapping[str, Pair]) -> float:
    """The strength that most pairs have: the file's alpha."""
    return Counter(pair.strength for pair in placed.values()).most_common(1)[0][0]


def _write(path: Path, placed: Mapping[str, Pair], alpha: float, head: GgufHead, adapter: PeftAdapter) -> None:
    from gguf import GGUFType, GGUFWriter, Keys

    writer = GGUFWriter(path, head.architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_name("ben-lab")
    if named := head.settings.get("general.name"):
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, str(named))
    if digest := (adapter.manifest.get("base") or {}).get("sha256"):
        writer.add_string("benlab.base.sha256", str(digest))
    for name, pair in placed.items():
        b = pair.b if pair.strength == alpha else pair.b * (pair.strength / alpha)
        # llama.cpp looks words up in an embedding's A, so there its rows are the words.
        writer.add_tensor(f"{name}.lora_a", contiguous(pair.a.T if name == EMBEDDING else pair.a))
        writer.add_tensor(f"{name}.lora_b", contiguous(b))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
