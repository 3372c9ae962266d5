"""Why a local log can't be opened or a topic can't be made; each text says what to do next."""

from __future__ import annotations


class LogError(Exception):
    """A local log can't be used as asked; the text says why and what to do."""


class LogInUseError(LogError):
    """Another process, or another instance in this one, has the log open; the text names its process id."""


class LogDamagedError(LogError):
    """The file is no log of ringwatch, or is damaged; nothing in it was changed."""


class NewerLogError(LogError):
    """The file was written by a newer ringwatch; nothing in it was changed."""


class PartitionCountError(LogError):
    """The topic is there with another number of partitions; records would go to other partitions than before."""
