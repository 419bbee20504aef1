"""The quantum lab: exact simulation of four phases, no screen, no language model."""
