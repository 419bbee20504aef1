"""The kinds of question, one file each; importing this package registers them all."""

from pipeline.evaluate.questions import definitions, numeric, ordering, phase_identification

__all__ = ["definitions", "numeric", "ordering", "phase_identification"]
