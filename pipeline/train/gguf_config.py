"""Config and tokenizer of a GGUF file as transformers reads them, without parsing the whole vocabulary for the config.

For most architectures transformers reads the config with the gguf package, which builds objects for every token and
merge of the vocabulary: seconds, and once more for the tokenizer. The config needs none of that, so it is read from a
small file with the same settings and tensor names; the tokenizer is read from the file itself, by its type's own class.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

from pipeline.bases.base import Base, base_folder
from pipeline.errors import BaseError, ExportError
from pipeline.files import replacing_folder
from pipeline.gguf_head import read_head
from pipeline.lab import Lab

TOKENS = "tokenizer.ggml.tokens"
VOCABULARY = (TOKENS, "tokenizer.ggml.merges")
"""Arrays of texts, of which the reader gives the length."""
WRITTEN = ("general.architecture", "general.alignment")
"""Settings that are the small file's own."""


def prepared(lab: Lab, base: Base) -> Path:
    """Config and tokenizer of a GGUF base as transformers saves them, written once a file. Raises BaseError."""
    folder = base_folder(lab, base.name) / f"prepared-{base.sha256[:12]}"
    if (folder / "config.json").is_file():
        return folder
    try:
        config = read_config(base.path)
        tokenizer = read_tokenizer(base.path, config.model_type)
    except (OSError, ValueError, KeyError, NotImplementedError, struct.error, ExportError) as error:
        raise BaseError(
            f"transformers cannot read the {base.architecture} model in {base.path.name} ({short(error)}): "
            "take the hub's weights (`benlab pull ORG/NAME --source hub`) or another base"
        ) from error
    config.architectures = None
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config
    with replacing_folder(folder) as fresh:
        tokenizer.save_pretrained(fresh)
        config.save_pretrained(fresh)
    return folder


def read_config(path: Path) -> Any:
    """The transformers config. Raises what transformers does: OSError, ValueError, KeyError or NotImplementedError."""
    from transformers import AutoConfig
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    architecture = read_head(path).architecture
    if "vocab_size" not in GGUF_CONFIG_MAPPING.get(architecture, {}).values():  # then the vocabulary is counted
        return AutoConfig.from_pretrained(
            path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "config.gguf"
        try:
            _write_settings(path, small)
        except (OSError, ValueError, OverflowError, struct.error):  # no room, or a number too large: the slow way
            small = path
        return AutoConfig.from_pretrained(
            small.parent, gguf_file=small.name, local_files_only=True, trust_remote_code=False
        )


def read_tokenizer(path: Path, model_type: str) -> Any:
    """The transformers tokenizer. Raises as `read_config` does."""
    from transformers import AutoTokenizer
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    # Where the type is known, transformers need not read the config again.
    known = {"tokenizer_type": model_type} if TOKENIZER_MAPPING_NAMES.get(model_type) else {}
    return AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False, **known
    )


def _write_settings(path: Path, out: Path) -> None:
    """A GGUF file with the settings of `path` but its vocabulary, and one number for each of its tensors."""
    import numpy as np
    from gguf import GGUFValueType, GGUFWriter
    from transformers.integrations.gguf.reader import read_gguf_metadata

    # The reader gives an array of texts as its length, one of numbers as a list.
    settings, tensors = read_gguf_metadata(str(path))
    architecture = settings["general.architecture"]
    writer = GGUFWriter(out, architecture)
    for key, value in settings.items():
        if key in WRITTEN or key in VOCABULARY or (isinstance(value, list) and key.startswith("tokenizer.")):
            continue
        if value == []:
            continue
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, bool):
            writer.add_bool(key, value)
        else:
            kind = GGUFValueType.FLOAT64 if isinstance(value, float) else GGUFValueType.INT64
            writer.add_key_value(key, value, kind)
    if f"{architecture}.vocab_size" not in settings and TOKENS in settings:
        writer.add_key_value(f"{architecture}.vocab_size", settings[TOKENS], GGUFValueType.INT64)
    for name in tensors:
        writer.add_tensor(name, np.zeros(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def short(error: Exception) -> str:
    """An exception's kind and the beginning of what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
