"""The config of a run as a file that `init(config=...)` and `--configs` read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


def config_yaml(config: Mapping[str, Any]) -> str:
    """Write a config as YAML; text that looks like a number to any reader of YAML is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    resolvers: dict[str, list[Any]] = yaml.SafeDumper.yaml_implicit_resolvers  # pyright: ignore[reportUnknownMemberType,reportAssignmentType]  # untyped
    Dumper.yaml_implicit_resolvers = {key: list(value) for key, value in resolvers.items()}
    number = re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))  # pyright: ignore[reportUnknownMemberType]
    entries = {key: {"value": value} if _looks_like_an_entry(value) else value for key, value in config.items()}
    text: str = yaml.dump(entries, Dumper=Dumper, sort_keys=False, allow_unicode=True)  # pyright: ignore[reportUnknownMemberType]
    return text


def _looks_like_an_entry(value: object) -> bool:
    """Say whether a reader would take a value for `{desc: what it is, value: the value}`."""
    return isinstance(value, dict) and "value" in value and {"desc", "value"}.issuperset(cast("dict[Any, Any]", value))
