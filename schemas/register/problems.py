"""What is wrong with a file, line by line: the first problems in words, the rest as a count."""

from __future__ import annotations

from schemas.settings import ConfigurationError

# Enough to mend a file in one go without filling the screen.
_SHOWN = 20


class Problems:
    """Collects the problems of a file, and refuses it whole if there are any.

    Args:
        where: the file's name, as the lines shall begin.

    Attributes:
        count: how many there were.
    """

    def __init__(self, where: str) -> None:
        self.count = 0
        self._where = where
        self._lines: list[str] = []

    @property
    def is_full(self) -> bool:
        """Whether further problems are counted only, so that their words need not be found."""
        return len(self._lines) >= _SHOWN

    def add(self, line: int, text: str) -> None:
        """Note a problem of a line."""
        self.count += 1
        if not self.is_full:
            self._lines.append(f"{self._where}:{line}: {text}")

    def refuse(self) -> None:
        """Refuse the file if there was any problem.

        Raises:
            ConfigurationError: one line for each problem, up to twenty, and how many more there are.
        """
        if self.count:
            more = self.count - len(self._lines)
            raise ConfigurationError("\n".join([*self._lines, *([f"and {more} more"] if more else [])]))
