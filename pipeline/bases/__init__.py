"""Base models: the catalogue, fetching them, and their chat templates."""

from pipeline.bases.base import Base, locate, locate_gguf
from pipeline.bases.catalogue import BaseEntry, catalogue, find_entry

__all__ = ["Base", "BaseEntry", "catalogue", "find_entry", "locate", "locate_gguf"]
