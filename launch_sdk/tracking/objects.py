"""Config values that are objects of other libraries: pydantic, attrs, OmegaConf and Hydra.

None of them is imported here, and this module is loaded only when there is such an object.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MISSING = "???"


def fields_of_object(value: Any) -> Mapping[Any, Any] | None:
    """Return the names and values of a model or a DictConfig; None for anything else."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if is_omegaconf(kind):
        return _dict_or_none(plain_container(value))
    if hasattr(kind, "model_dump"):
        # A script that assigned a value of another type is not to be warned of it here.
        return _dict_or_none(value.model_dump(warnings=False))
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name, None) for field in kind.__attrs_attrs__}
    if hasattr(kind, "dict"):  # pydantic 1
        return _dict_or_none(value.dict())
    return None


def _dict_or_none(value: Any) -> dict[Any, Any] | None:
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]  # whatever its keys are


def is_omegaconf(kind: type) -> bool:
    """Say whether values of this type belong to OmegaConf."""
    return kind.__module__.startswith("omegaconf.")


def plain_container(value: Any) -> Any:
    """Return an OmegaConf container as plain dicts and lists, interpolations resolved, without its missing values."""
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is None or not omegaconf.OmegaConf.is_config(value):
        return value
    return _without_missing(omegaconf.OmegaConf.to_container(value, resolve=True))


def _without_missing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_missing(item) for key, item in value.items() if item != _MISSING}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # keys of any kind
    if isinstance(value, list):
        return [_without_missing(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # the same
    return value
