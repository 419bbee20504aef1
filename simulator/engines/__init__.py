"""Engines: interchangeable ways to follow one circuit. All answer with `Observables`."""
