"""Scripted dialogues with tools that run for real: rendered from data, played with a model, graded by the results."""
