"""The names, order and units of the thirteen features, and the scales that make them comparable."""

from __future__ import annotations

FEATURE_UNITS: dict[str, str] = {
    "entropy_mean": "bits",
    "entropy_max": "bits",
    "entropy_final": "bits",
    "entropy_slope": "bits per layer",
    "entropy_per_site": "bits per site",
    "entropy_flatness": "",
    "magnetization": "",
    "transverse": "",
    "zz_nearest": "",
    "zz_long": "",
    "correlation_range": "sites",
    "string_order": "",
    "operator_spread": "",
}

FEATURE_NAMES: tuple[str, ...] = tuple(FEATURE_UNITS)
