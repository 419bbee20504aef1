"""What lies where a data set is to be written: a former one, files of somebody else, or the very files to mix in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.data.line import Sample
from pipeline.data.paths import clipped, given_path, manifest_path, validation_path
from pipeline.data.reader import read_lines
from pipeline.data.regions import TRAIN, VALIDATION
from pipeline.data.writer import read_manifest
from pipeline.errors import BadInput, DataError
from pipeline.files import replacing
from simulator.events import Event, Note
from simulator.fingerprint import PHYSICS_VERSION


def made_anew(out: Path) -> Iterator[Event]:
    """Says what goes; a file with mixed-in lines is kept beside the new one. Raises DataError or LabError."""
    lines = own = 0
    try:
        for _, line in read_lines(out):
            lines += 1
            own += isinstance(line, Sample) and "source" in line.meta
    except OSError as error:
        raise DataError(f"{out} is there and cannot be read ({error.strerror}): give another --out") from error
    kept = out.with_name(f"{out.stem}.former{out.suffix}")
    version = read_manifest(out).get("physics_version", PHYSICS_VERSION)
    reason = f"{own} were mixed in" if own else f"they are of physics {version}" if version != PHYSICS_VERSION else ""
    where = f"they are kept in {kept.name}, since {reason}; " if reason else ""
    if reason:
        with replacing(kept) as temporary:
            shutil.copyfile(out, temporary)
    append = "" if version != PHYSICS_VERSION else "append=yes would keep them"
    yield Note(f"{out.name} is made anew, {lines} former lines go; {where}{append}".removesuffix("; "))


def refuse_own_output(mix: list[str], out: Path) -> None:
    """Raises DataError where a file to mix in is one that this call writes: its bad lines would be lost."""
    written = [path for path in (out, validation_path(out), manifest_path(out)) if path.is_file()]
    for name in mix:
        path = given_path(name)
        try:
            same = path.is_file() and any(path.samefile(other) for other in written)
        except OSError as error:
            said = error.strerror or error
            raise DataError(f"{clipped(name)} cannot be read ({said}): give a JSONL file that exists") from error
        if same:
            raise DataError(f"{name} would be written over by this call: leave it out of mix and use --append")


def refuse_strangers(out: Path) -> None:
    """Raises BadInput where `out` or a file beside it would be replaced that no data set of Ben Lab has written."""
    if "physics_version" in read_manifest(out):
        return
    _, line = next(read_lines(out), (0, None)) if out.is_file() else (0, None)
    if line is not None and not (isinstance(line, Sample) and line.meta.get("region") == TRAIN.name):
        raise BadInput(
            f"{clipped(str(out))} is there and not of this lab's making: give --out another name, or move it to one "
            "and mix it in (--mix)"
        )
    held, manifest = validation_path(out), manifest_path(out)
    # The manifest is written last: a validation file without one may be of a call that was killed.
    _, first = next(read_lines(held), (0, None)) if held.is_file() else (0, None)
    cut_off = first is None or (isinstance(first, Sample) and first.meta.get("region") == VALIDATION.name)
    for path, strange in ((held, not cut_off), (manifest, manifest.exists())):
        if strange:
            raise BadInput(
                f"{clipped(str(path))} is there and not of this lab's making: give --out another name, or move it away"
            )
