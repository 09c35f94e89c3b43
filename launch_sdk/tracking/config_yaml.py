"""YAML of config files, read by PyYAML. Importing this needs PyYAML."""

from __future__ import annotations

import re
from typing import Any, cast

import yaml


class YamlError(ValueError):
    """The text is not YAML.

    Attributes:
        place: `, line 3`, or nothing if that is not known.
    """

    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem)
        self.place = f", line {mark.line + 1}," if mark is not None else ""


class _Loader(yaml.SafeLoader):
    """`SafeLoader` that also reads `1e-4` as a number, as YAML 1.2 does, and refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in names:
                    raise YamlError(f"'{key.value}' is given twice", key.start_mark)
                names.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return cast("Any", super().construct_object(node, deep))  # pyright: ignore[reportUnknownMemberType]  # untyped
        except (yaml.YAMLError, YamlError):
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise YamlError(f"{error}; put the value in quotes if it is text", node.start_mark) from None


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]  # PyYAML is untyped here
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """Read one YAML document.

    Raises:
        YamlError: it is not YAML, gives a key twice, or holds a value that is not what its form says.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise YamlError(error.problem or str(error), error.problem_mark) from None
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split()), None) from None
