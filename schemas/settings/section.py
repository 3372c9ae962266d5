"""What every table of settings is, and how a secret is read in one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr


def _check_secret(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("empty, and anybody could sign with that; write the secret, or leave the entry out")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class Section(BaseModel):
    """A table of settings; a key that is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
