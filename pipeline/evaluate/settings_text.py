"""Runs and fingerprints as evaluation's questions write them. Training writes them its own way and shares nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.number_text import figure


def settings_text(params: Mapping[str, Any]) -> str:
    """Return the settings of a run without its phase."""
    return (
        f"a chain of {params['system_size']}, {params['depth']} layers of gates, RNG seed {params['seed']}, "
        f"p(up) = {params['bias']:g} as the bias"
    )


def run_text(params: Mapping[str, Any]) -> str:
    """Return a run's phase and settings."""
    return f"{params['phase_type']} on {settings_text(params)}"


def fingerprint_text(features: Mapping[str, float]) -> str:
    """Return a run's features, one a line."""
    return "\n".join(f"  {name.ljust(18)}{figure(value)}" for name, value in features.items())
