"""The whole loop in one stage."""
