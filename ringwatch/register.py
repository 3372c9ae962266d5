"""The register that the settings name."""

from __future__ import annotations

from schemas.register import Register, load_register
from schemas.settings import Settings


def read_register(settings: Settings) -> Register:
    """The register that the settings name; an empty one if they name none.

    Raises:
        ConfigurationError: a line can't be used.
    """
    return Register() if settings.register_file is None else load_register(settings.register_file)
