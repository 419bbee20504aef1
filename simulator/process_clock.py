"""Which process a pid means: a pid is used again, and the time of day may be set, but a boot and its ticks go on."""

from __future__ import annotations

from pathlib import Path

_STARTED = 19
"""The start time among the fields after the name in /proc/PID/stat: proc_pid_stat(5), field 22."""


def boot_id() -> str:
    """Return the id of this boot of the kernel, or an empty text if it does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def started_at(pid: int) -> int | None:
    """Return when a process that is alive started, in clock ticks since the boot; None if it is gone, or unknown.

    A zombie is gone: its work has ended.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        return None if fields[0] in "ZX" else int(fields[_STARTED])
    except (OSError, ValueError, IndexError):
        return None
