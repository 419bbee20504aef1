"""What lies beside a training file: `lab_instructions.jsonl` has `lab_validation.jsonl` and `manifest.json`.

A file of another name, `x.jsonl`, has `x_validation.jsonl` and `x_manifest.json`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import BadInput
from pipeline.lab import Lab

DEFAULT = "lab_instructions.jsonl"


def validation_path(data: Path) -> Path:
    """The validation file of a training file."""
    return data.with_name("lab_validation.jsonl" if data.name == DEFAULT else f"{data.stem}_validation.jsonl")


def manifest_path(data: Path) -> Path:
    """The manifest of a training file."""
    return data.with_name("manifest.json" if data.name == DEFAULT else f"{data.stem}_manifest.json")


def out_path(lab: Lab, out: str | None) -> Path:
    """Where a data set is to be written: `out`, or the lab's training file where none is given.

    Raises BadInput for a folder, device or link (the new file would take its place), and for what the lab keeps of
    its own (lab.db and the files beside it, benlab.toml, Modelfile, models/, runs/, the adapters), whichever links
    lead there; the validation file and the manifest are looked at, too.
    """
    if out is None:
        return lab.data
    try:
        path = Path(out).expanduser()
        if not path.name or out.endswith("/"):
            raise BadInput(f"{clipped(out)} is no regular file: give the name of a file to write, like my_data.jsonl")
        for target in (path, validation_path(path), manifest_path(path)):
            if target.exists() and not target.is_file():
                raise BadInput(f"{clipped(str(target))} is no regular file: give --out the name of one to write")
            if _is_the_labs(lab, target.resolve()):
                raise BadInput(f"{clipped(str(target))} is the lab's own: give --out another name, like my_data.jsonl")
            if target.is_symlink():
                led = clipped(str(target.resolve()))
                raise BadInput(f"{clipped(str(target))} is a link: give --out the file that it leads to, {led}")
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{clipped(out)} cannot be a file's name ({error}): give another --out") from error
    return path


def given_path(name: str) -> Path:
    """The path of a file that the user names, with ~ read as their home. Raises BadInput."""
    try:
        return Path(name).expanduser()
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{clipped(name)} cannot be a file's path ({error}): give another one") from error


def _is_the_labs(lab: Lab, path: Path) -> bool:
    if path.parent == lab.database.resolve().parent and path.name.startswith(lab.database.name):
        return True
    single = (lab.database, lab.config_path, lab.modelfile, lab.adapter_gguf)
    if any(path == own.resolve() or (path.exists() and own.exists() and path.samefile(own)) for own in single):
        return True
    return any(path.is_relative_to(own.resolve()) for own in (lab.models, lab.runs, lab.adapter_dir))


def clipped(name: str) -> str:
    """A name for an error's sentence: its end where it is long, and control characters escaped."""
    said = name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
    return repr(said if len(said) <= 120 else "…" + said[-119:])
