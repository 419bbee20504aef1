"""An install's receipt in words: was what is served shown to answer as what was trained?"""

from __future__ import annotations

from typing import Any

from benlab_tui.text import number


def describe(version: dict[str, Any]) -> str:
    """A few lines on an installed version and its receipt."""
    state = "in use" if version.get("current", True) else "kept, not in use"
    lines = [f"{version.get('version')} on {version.get('base')}, {version.get('target')}: {state}"]
    # After an install into Ollama the receipt that counts is Ollama's own.
    receipt = (version.get("ollama") or {}).get("receipt") or version.get("receipt") or {}
    if receipt:
        lines += receipt_lines(receipt)
    if version.get("warning"):
        lines.append(f"! {version['warning']}")
    return "\n".join(lines)


def receipt_lines(receipt: dict[str, Any]) -> list[str]:
    """✓ or ✗, what was compared, how fast it answers."""
    passed = bool(receipt.get("passed", not receipt.get("failures")))
    prompts = receipt.get("prompts", 0)
    lines = [
        f"{'✓ receipt' if passed else '✗ receipt failed'}: {receipt.get('prompts_equal')} of {prompts} prompts "
        f"rendered as in training, {receipt.get('tokens_agreeing')} of {receipt.get('tokens')} tokens as trained, "
        f"{receipt.get('changed_by_adapter')} of {prompts} answers changed by the adapter",
        f"  {number(receipt.get('tokens_per_second'))} tokens/s, first token after "
        f"{number(1000 * float(receipt.get('first_token_seconds') or 0))} ms, by {receipt.get('engine')}",
    ]
    return lines + [f"  ✗ {failure}" for failure in receipt.get("failures") or []]
