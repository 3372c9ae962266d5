"""What can be wrong with the history, each with one clear line."""

from __future__ import annotations


class HistoryError(Exception):
    """The history can't be used; the text says why and what to do."""


class HistoryMissingError(HistoryError):
    """There is no history file yet."""


class HistoryInUseError(HistoryError):
    """Another process holds the file."""


class HistoryDamagedError(HistoryError):
    """The file is no readable history."""


class NewerHistoryError(HistoryError):
    """The file was written by a newer program."""


class QueryError(HistoryError):
    """A query that was refused, failed or took too long."""


def one_line(error: BaseException) -> str:
    r"""The first paragraph of an error's text, as one line.

    >>> one_line(ValueError("Parser Error: syntax error\n\nLINE 1: selec"))
    'Parser Error: syntax error'
    """
    return " ".join(str(error).strip().split("\n\n", 1)[0].split()) or type(error).__name__
