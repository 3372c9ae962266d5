"""The register of the company's own numbers, its campaigns and its contacts, read from CSV or TOML, line by line."""

from __future__ import annotations

from schemas.register.known import Register, combine, load_register, places
from schemas.register.reading import read_file, read_rows
from schemas.register.rows import COLUMNS, SCHEMAS, Kind, RegisteredCampaign, RegisteredNumber, Rows
from schemas.register.values import TrustHub, is_campaign_name, is_number
from schemas.register.writing import UnwritableFileError, replace_file, write_rows

__all__ = [
    "COLUMNS",
    "SCHEMAS",
    "Kind",
    "Register",
    "RegisteredCampaign",
    "RegisteredNumber",
    "Rows",
    "TrustHub",
    "UnwritableFileError",
    "combine",
    "is_campaign_name",
    "is_number",
    "load_register",
    "places",
    "read_file",
    "read_rows",
    "replace_file",
    "write_rows",
]
