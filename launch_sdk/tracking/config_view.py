"""A config that can only be read: what a run hands to code that must not write to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launch_sdk.tracking.config import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class ReadOnlyConfigError(TypeError, AttributeError):
    """Something was written to `run.config_static`; write to `run.config`."""


class ConfigView(Mapping[str, "Any"]):
    """A live view of a config; lists are handed out as copies.

    Raises:
        KeyError: an item that does not exist is read.
        AttributeError: an attribute that does not exist is read.
        ReadOnlyConfigError: something is written.
    """

    __slots__ = ("_config",)
    _config: Config

    def __init__(self, config: Config) -> None:
        object.__setattr__(self, "_config", config)

    def __getitem__(self, key: str) -> Any:
        return _read_only(self._config[key])

    def __getattr__(self, name: str) -> Any:
        return _read_only(getattr(self._config, name))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"ConfigView({self._config!r})"

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self.as_dict(),)

    def as_dict(self) -> dict[str, Any]:
        """Return a copy made of plain dicts."""
        return self._config.as_dict()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnlyConfigError("run.config_static can only be read; write to run.config")

    __setitem__ = __delitem__ = __setattr__ = __delattr__ = __ior__ = _refuse
    update = setdefault = setdefaults = pop = popitem = clear = persist = _refuse


def _read_only(value: Any) -> Any:
    if isinstance(value, Config):
        return ConfigView(value)
    if isinstance(value, list):
        return [_read_only(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # a list of anything
    return value
