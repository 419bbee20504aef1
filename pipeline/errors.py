"""The pipeline's exceptions.

    PipelineError
    ├── BadInput        a value outside its bounds, or an option that does not exist
    ├── LabError        the lab folder, its files or its locks
    ├── DataError       training data: missing, empty or broken
    ├── BaseError       a base model: unknown, missing, wrong bytes, unsupported
    ├── TrainError      training cannot start or go on
    ├── ExportError     an adapter that GGUF cannot carry
    ├── InstallError    a model that cannot be installed, or a failed receipt
    ├── ChatError       an engine or server that does not answer as it should
    ├── Untrusted       a lab's file names a host or key that no person has agreed to
    ├── NetworkError    what was tried over the network, and how it failed
    ├── Interrupted     the work was cancelled
    └── MissingExtra    an optional package that is not installed

Every message is one sentence: what value, what bound, what to do.
"""

from __future__ import annotations

from simulator.masking import mask_addresses


class PipelineError(Exception):
    """The root of what the pipeline raises on purpose."""

    def __str__(self) -> str:
        """The sentence, with no password of an address in it, wherever it is shown or logged."""
        return mask_addresses(super().__str__())


class BadInput(PipelineError, ValueError):
    """A value outside its bounds; the command ends with exit code 2."""


class LabError(PipelineError):
    """The lab folder, its files or its locks."""


class DataError(PipelineError):
    """Training data that is missing, empty or broken."""


class BaseError(PipelineError):
    """A base model that is unknown, missing, has the wrong bytes, or is unsupported."""


class TrainError(PipelineError):
    """Training cannot start or go on."""


class ExportError(PipelineError):
    """An adapter that GGUF cannot carry."""


class InstallError(PipelineError):
    """A model that cannot be installed, or a receipt that failed."""


class ModelGoneError(InstallError):
    """A server does not have the model that it was asked about."""


class NoAdaptersError(InstallError):
    """A server that takes whole models only."""


class ChatError(PipelineError):
    """An engine or server that does not answer as it should."""


class Untrusted(PipelineError):
    """A file of the lab names a host, a key or a plug-in that no person has agreed to yet."""


class NetworkError(PipelineError):
    """What was tried over the network, and how it failed."""


class Interrupted(PipelineError):
    """The work was cancelled; the command ends with exit code 130."""


class MissingExtra(PipelineError):
    """A package of an optional extra is not installed."""
