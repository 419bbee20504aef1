"""A base from the Hugging Face hub: safetensors, config and tokenizer, never code and never pickles."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import BaseError, NetworkError, PipelineError
from pipeline.files import require_space, write_text_atomic
from simulator.events import Event, Progress
from simulator.private_files import private_folder, read_text

_COMMIT = re.compile(r"[0-9a-f]{40}")
_WANTED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"]
_WANTED += ["tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "vocab.json"]
_WANTED += ["vocab.txt", "merges.txt", "added_tokens.json", "chat_template.jinja"]
"""Weights and data files by their whole names: `tokenizer*` would take a tokenizer.py along."""
_NEVER = ["*.py", "*.pyc", "*.so", "*.pkl", "*.bin", "*.pt", "*/*"]


def fetch(
    hf_id: str, folder: Path, expected_size: int | None, revision: str | None = None, renew: bool = False
) -> Iterator[Event]:
    """Downloads the repository's safetensors into `folder`; broken downloads resume.

    All files are of one commit: `revision`, else the one that the first download found (`revision_of`), until `renew`.
    Raises NetworkError where the hub cannot be reached, BaseError where it refuses.
    """
    require_space(folder, (expected_size or 0) + (256 << 20), hf_id)
    private_folder(folder)
    ended: list[PipelineError | None] = []
    if renew:
        _note(folder).unlink(missing_ok=True)

    def work() -> None:
        ended.append(_download(hf_id, folder, revision))

    # A daemon: a cancelled job ends at once, and the hub's client resumes the partial files next time.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        yield Progress("pull", _size(folder), expected_size, f"downloading {hf_id}")
        thread.join(0.3)
    if ended and ended[0]:
        raise ended[0]


def revision_of(folder: Path) -> str:
    """The commit that was fetched into `folder`, or an empty text."""
    try:
        found = read_text(_note(folder)).strip()
    except (OSError, ValueError):
        return ""
    return found if _COMMIT.fullmatch(found) else ""


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.revision")


def _pin(hf_id: str, folder: Path, revision: str | None) -> str:
    """The commit to fetch, noted beside the folder before its first file comes."""
    from huggingface_hub import HfApi

    former = revision_of(folder)
    pinned = revision or former or str(HfApi().model_info(hf_id, revision="main").sha)
    if not _COMMIT.fullmatch(pinned):
        raise ValueError(f"the hub names {pinned[:60]!r} as the commit")
    if pinned != former:
        write_text_atomic(_note(folder), pinned + "\n")
    return pinned


def _download(hf_id: str, folder: Path, revision: str | None) -> PipelineError | None:
    """None where all files are here, else the error in words."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        pinned = _pin(hf_id, folder, revision)
        snapshot_download(hf_id, revision=pinned, local_dir=folder, allow_patterns=_WANTED, ignore_patterns=_NEVER)
    except GatedRepoError:
        return BaseError(
            f"{hf_id} is gated: accept its licence at https://huggingface.co/{hf_id}, then run `hf auth login` "
            "(or set HF_TOKEN) and pull again, or take an Ollama tag's bytes with --source ollama"
        )
    except RepositoryNotFoundError:
        return BaseError(
            f"{hf_id} is not on the hub, or not for you: check the name, or set HF_TOKEN where it is private"
        )
    except (HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
        return _unreachable(hf_id, error)
    except Exception as error:  # the client's transport has its own exception tree, which changed between versions
        return _unreachable(hf_id, error)
    return None


def _unreachable(hf_id: str, error: Exception) -> NetworkError:
    said = " ".join(str(error).split())[:160]
    return NetworkError(
        f"{hf_id} could not be fetched from huggingface.co ({type(error).__name__}: {said}): check the network, "
        "or give a local copy with --source FOLDER, or an Ollama tag's bytes with --source ollama"
    )


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
