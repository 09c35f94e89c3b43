"""What a config can be made from besides a dict; loaded when a script has such a thing."""

from __future__ import annotations

from os import PathLike, fspath
from types import ModuleType

from launch_sdk.tracking.config_files import read_config_file
from launch_sdk.tracking.values import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

KINDS = (
    "a dict, a dataclass, a pydantic, attrs or OmegaConf object, an argparse.Namespace, absl or TensorFlow flags, "
    "or the name of a config file"
)

# fmt: off
_OF_ABSL = frozenset({
    "alsologtostderr", "flagfile", "help", "helpfull", "helpshort", "helpxml", "log_dir", "logger_levels",
    "logtostderr", "only_check_args", "only_check_flags", "pdb", "pdb_post_mortem", "profile_file",
    "run_with_pdb", "run_with_profiling", "showprefixforinfo", "stderrthreshold", "test_random_seed",
    "test_randomize_ordering_seed", "test_srcdir", "test_tmpdir", "undefok", "use_cprofile_for_profiling",
    "verbosity", "xml_output_file",
})
# fmt: on


def fields_from(values: Any) -> dict[Any, Any]:
    """Return the names and values of anything that a config is made from; of absl flags, the program's own.

    Raises:
        ConfigFileError: it names a file that cannot be read.
        TypeError: a config cannot come from it.
    """
    if isinstance(values, (str, PathLike)):
        return read_config_file(fspath(values))  # pyright: ignore[reportUnknownArgumentType]  # a path of text or bytes
    for read in (_flags, fields_of, _attributes):
        fields = read(values)
        if fields is not None:
            return dict(fields)
    try:
        return dict(values)
    except (TypeError, ValueError):
        raise TypeError(f"a config comes from {KINDS}, not from {type(values).__name__}") from None


def selected(values: Any, include: Collection[str] | None, exclude: Collection[str] | None) -> dict[Any, Any]:
    """Return those top-level names and values that `include` names, or that `exclude` does not name.

    Raises:
        ValueError: both are given.
    """
    if include and exclude:
        raise ValueError("init() takes config_include_keys or config_exclude_keys, not both")
    fields = {} if values is None else fields_from(values)
    return {
        key: value
        for key, value in fields.items()
        if (not include or key in include) and (not exclude or key not in exclude)
    }


def _flags(values: Any) -> dict[str, Any] | None:
    """Return the flags of absl, of its module, or of TensorFlow 1, parsed or not: unparsed ones have their defaults."""
    if isinstance(values, ModuleType):
        values = getattr(values, "FLAGS", values)
    fields = getattr(values, "__dict__", {})
    if "__wrapped" in fields:  # TensorFlow 1.5 and later: a thin coat over absl's
        return _flags(fields["__wrapped"])
    if hasattr(type(values), "flag_values_dict"):  # pyright: ignore[reportUnknownArgumentType]
        return _programs_own(values)
    if "__flags" in fields:  # TensorFlow before 1.5
        if not fields.get("__parsed"):
            values._parse_flags()  # noqa: SLF001  # there is no other way to ask for it
        return dict(values.__dict__["__flags"])
    return None


def _programs_own(flags: Any) -> dict[str, Any]:
    """Leave out what absl defines for itself (help, verbosity, pdb, ...), and the short second names of flags.

    A flag is absl's own if a module of absl has defined this very flag under one of absl's names. So a program keeps a
    flag that takes the place of one of absl's (`allow_override=True`), one that is registered for a module of absl,
    and those of a package whose name only begins with absl.
    """
    owners: dict[str, list[Any]] = flags.flags_by_module_dict()
    modules = [owned for name, owned in owners.items() if name.partition(".")[0] == "absl"]
    of_absl = {id(flag) for owned in modules for flag in owned if flag.name in _OF_ABSL}
    names = [name for name in flags if flags[name].name == name and id(flags[name]) not in of_absl]
    return {name: flags[name].value for name in names}


def _attributes(values: Any) -> dict[str, Any] | None:
    """Return the public attributes of an object that keeps them in a dict."""
    attributes: Any = None if isinstance(values, (type, ModuleType)) else getattr(values, "__dict__", None)
    if attributes is None:
        return None
    return {name: value for name, value in attributes.items() if not name.startswith("_")}
