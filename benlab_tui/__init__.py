"""The console and the command line of Ben Lab."""

__version__ = "0.1.0"
