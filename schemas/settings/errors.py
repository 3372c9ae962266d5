"""What is said of a setting that can't be used."""

from __future__ import annotations


class ConfigurationError(Exception):
    """A setting or register that can't be used; the text names the key or line and says what to write."""
