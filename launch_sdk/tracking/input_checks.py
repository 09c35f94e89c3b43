"""Which of the values that a run was given are no inputs of it, or do not fit: in words, all at once."""

from __future__ import annotations

from math import isnan

from launch_sdk.tracking.config import tree_of
from launch_sdk.tracking.input_paths import ends, leaves, listed, nearest
from launch_sdk.tracking.input_types import is_of_type, item_type, schema_names, type_name
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.layers import ABSENT, as_whole, look_up
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import is_array, is_object, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from launch_sdk.tracking.config import Config
    from launch_sdk.tracking.input_paths import Keys, PathFilter

DELETE = "$delete"
MAX_SHOWN = 120
_SECRET_FORMATS = ("secret", "password")
_CLOSING = ("additionalProperties", "unevaluatedProperties")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_GROUP: dict[str, Any] = {}
_DELETED: Any = object()


def config_faults(
    config: Config, given: Mapping[str, Any], inputs: PathFilter, schema: dict[str, Any] | None, *, may_follow: bool
) -> list[str]:
    """Say which overrides of the run config are refused.

    Args:
        config: the run's config, the overrides in it.
        given: the overrides, nested.
        inputs: what is an input.
        schema: what was declared of the values; None if nothing was.
        may_follow: whether what is not included yet may be included later.
    """
    if not given:
        return []
    own = plain(config)
    added = {path for path, _ in leaves(given) if _own_value(config, path) is ABSENT}
    known = [path for path, _ in leaves(inputs.filter(own)) if path not in added]
    strangers = _strangers("config", given, known, inputs, may_follow=may_follow)
    types = [fault for path, value in ends(given) if inputs.covers(path) for fault in _type_faults(config, path, value)]
    return [*strangers, *types, *_schema_faults("config", schema, inputs.filter(own), given)]


def file_faults(
    path: str, declaration: Mapping[str, Any], given: Any, inputs: PathFilter, *, before: Any, may_follow: bool
) -> list[str]:
    """Say which values given for a file are refused; the file has been patched with them.

    Args:
        path: of the file.
        declaration: of the file, with the `values` that it holds now.
        given: the values, nested.
        inputs: what is an input.
        before: what the file held before; None if that is not known, or the values need not be held against it.
        may_follow: whether what is not included yet may be included later.
    """
    if not is_object(given) or not given:
        return []
    values: Any = declaration.get("values")
    own = before if is_object(before) else values if is_object(values) else {}
    together = inputs.filter(own)
    merge(together, inputs.filter(given))
    _delete(together)
    where = f"files.{path}"
    schema: Any = declaration.get("schema")
    known = [path for path, _ in leaves(inputs.filter(own))]
    faults = _strangers(where, given, known, inputs, may_follow=may_follow)
    if is_object(before):
        inside = [(path, value) for path, value in _given(given) if inputs.covers(path)]
        faults += [fault for one in inside for fault in _misfits(where, before, known, schema, one)]
    return [*faults, *_schema_faults(where, schema, together, given)]


def _misfits(
    where: str, before: Mapping[str, Any], known: list[Keys], schema: Any, given: tuple[Keys, Any]
) -> Iterator[str]:
    """Compare a value given for a file with what the file had in its place; what its schema names may be new."""
    path, value = given
    for end in range(1, len(path) + 1):
        own = look_up(before, path[:end])
        if own is ABSENT:
            if not schema_names(schema, path):
                yield _no_input(where, path, known)
            return
        if is_object(own) and end < len(path):
            continue
        if own is not None and value is not _DELETED:
            yield from _differences(where, path[:end], own, value if end == len(path) else _GROUP)
        return


def _strangers(
    where: str, given: Mapping[str, Any], known: list[Keys], inputs: PathFilter, *, may_follow: bool
) -> list[str]:
    refused = [path for path, value in _given(given) if not _is_input(path, value, inputs)]
    if may_follow:  # an exclude stays
        refused = [path for path in refused if _is_excluded(path, given, inputs)]
    return [_refused(where, path, known, inputs) for path in refused]


def _is_excluded(path: Keys, given: Mapping[str, Any], inputs: PathFilter) -> bool:
    is_deletion = look_up(given, (*path, DELETE)) is True
    return any(path[: len(one)] == one or (is_deletion and one[: len(path)] == path) for one in inputs.exclude)


def _refused(where: str, path: Keys, known: list[Keys], inputs: PathFilter) -> str:
    below = [one for one in known if one[: len(path)] == path and len(one) > len(path)]
    if not inputs.covers_some_below(path) or not below:
        return _no_input(where, path, known)
    return f"{where}.{join_path(path)}: {partly_removable([join_path(one) for one in below])}"


def partly_removable(below: list[str]) -> str:
    """Say why a group of which only a part is input is not removed; `below` are the names of the inputs in it."""
    return f"cannot be removed, for not all in it is input; inputs in it are {listed(below)}"


def _given(values: Mapping[str, Any]) -> Iterator[tuple[Keys, Any]]:
    """Give each leaf and empty group; of `{"$delete": true}` the path of what is to go, and `_DELETED`."""
    for path, value in ends(values):
        is_deletion = path[-1] == DELETE and value is True and len(path) > 1
        yield (path[:-1], _DELETED) if is_deletion else (path, value)


def _delete(values: dict[str, Any]) -> None:
    for key, value in list(values.items()):
        if is_object(value):
            if value.get(DELETE) is True:
                del values[key]
            else:
                _delete(value)


def _no_input(where: str, path: Keys, known: list[Keys]) -> str:
    name = join_path(path)
    return f"{where}.{name}: is no input; {nearest(name, [join_path(one) for one in known])}"


def _is_input(path: Keys, value: Any, inputs: PathFilter) -> bool:
    """Say whether a value may be given; an empty group changes nothing where a group of inputs is."""
    if value is _DELETED:
        return inputs.covers_all_below(path)
    return inputs.covers(path) or (value == {} and inputs.covers_some_below(path))


def _type_faults(config: Config, path: Keys, value: Any) -> Iterator[str]:
    """Compare a value with what the script has in its place, or in the place of what is around it."""
    for end in range(1, len(path) + 1):
        own = _own_value(config, path[:end])
        is_around = is_object(own) and end < len(path)
        if own is not ABSENT and not is_around:
            if own is not None:
                yield from _differences("config", path[:end], plain(own), value if end == len(path) else _GROUP)
            return


def _own_value(config: Config, path: Keys) -> Any:
    """Return what the script and its config files give to a path, whether or not an override hides it."""
    return tree_of(config).own(path)


def with_integers(values: Mapping[str, Any], config: Config, at: Keys = ()) -> dict[str, Any]:
    """Return overrides with an integer for each whole number that stands in the place of one in the run config."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        path = (*at, key)
        is_group = is_object(value)
        result[key] = with_integers(value, config, path) if is_group else as_whole(value, _own_value(config, path))
    return result


def _differences(where: str, path: Keys, own: Any, found: Any) -> Iterator[str]:
    wanted = type_name(own)
    if not is_of_type(found, wanted):
        given = "a group of keys" if found is _GROUP else _shown(found)
        yield f"{where}.{join_path(path)}: must be {wanted}, not {given}"
    elif is_array(own) and is_array(found):
        yield from _item_faults(f"{where}.{join_path(path)}", item_type(own), found)


def _item_faults(where: str, wanted: str | None, items: list[Any]) -> Iterator[str]:
    for place, item in enumerate(items):
        if not is_of_type(item, wanted):
            yield f"{where}[{place}]: must be {wanted}, not {_shown(item)}"


def _schema_faults(
    where: str, schema: dict[str, Any] | None, values: dict[str, Any], given: Mapping[str, Any]
) -> list[str]:
    """Check by `jsonschema`, if it can be imported; what does not concern a given value is passed over."""
    if schema is None:
        return []
    from launch_sdk.tracking.declared_schemas import checkable

    try:
        from referencing import Registry

        kind = _validator_class()
    except ImportError:
        return []
    registry: Any = Registry()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # an empty one fetches nothing
    validator: Any = kind(checkable(schema), registry=registry)
    try:
        errors = [error for error in validator.iter_errors(values) if _concerns(error, given)]
    except RecursionError:
        return [f"{where}: the values or the schema are nested too deeply to be checked"]
    return list(dict.fromkeys(_worded(where, error, given) for error in errors))


def _validator_class() -> Any:
    """Return jsonschema's validator, for which NaN is within no bounds; by itself every comparison lets it through."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def with_nan(keyword: str) -> Any:
        check: Any = Draft202012Validator.VALIDATORS[keyword]

        def checked(validator: Any, bound: Any, instance: Any, schema: Any) -> Iterator[Any]:
            if isinstance(instance, float) and isnan(instance):
                yield ValidationError("nan is not within the bounds of the schema")
            else:
                yield from check(validator, bound, instance, schema) or ()

        return checked

    extend: Any = validators.extend  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # untyped
    return extend(Draft202012Validator, {keyword: with_nan(keyword) for keyword in _BOUNDS})


def _concerns(error: Any, given: Mapping[str, Any]) -> bool:
    keys = tuple(error.absolute_path)
    if error.validator == "required":  # what is only missing the script may set later
        return _removed(error, given) is not None
    if _is_own(error, given):
        return False
    return any(keys[: len(path)] == path or path[: len(keys)] == keys for path, _ in ends(given))


def _removed(error: Any, given: Mapping[str, Any]) -> str | None:
    """Return the name that an error of `required` misses, if it was removed; None if the script has not set it."""
    names = [name for name in error.validator_value if error.message.startswith(repr(name))]
    keys = tuple(error.absolute_path)
    return next((name for name in names if look_up(given, (*keys, name, DELETE)) is True), None)


def _is_own(error: Any, given: Mapping[str, Any]) -> bool:
    """Say whether an error is only that a closed schema does not name what the script itself has beside the given."""
    if error.validator in _CLOSING:
        return is_object(error.instance) and not closed_to(error, given)
    if error.validator not in {"anyOf", "oneOf"}:
        return False
    forms: dict[Any, list[Any]] = {}
    for inner in error.context or ():
        forms.setdefault(inner.schema_path[0], []).append(inner)
    return any(all(_is_own(inner, given) for inner in form) for form in forms.values())


def closed_to(error: Any, given: Mapping[str, Any]) -> list[str]:
    """Return the given keys that a closed schema does not name.

    Args:
        error: of `jsonschema`, of `additionalProperties` or `unevaluatedProperties`.
        given: the overrides, nested.
    """
    keys = tuple(error.absolute_path)
    return [key for key in error.instance if repr(key) in error.message and _is_given(given, (*keys, key))]


def _is_given(given: Any, path: tuple[Any, ...]) -> bool:
    for key in path:
        if not is_object(given):
            return True  # it is part of a list that was given whole
        if key not in given:
            return False
        given = given[key]
    return True


def _worded(where: str, error: Any, given: Mapping[str, Any]) -> str:
    place = where
    for part in error.absolute_path:
        place += f"[{part}]" if isinstance(part, int) else f".{join_path([part])}"
    schema: Any = error.schema
    if is_object(schema) and (schema.get("format") in _SECRET_FORMATS or schema.get("writeOnly") is True):
        return f"{place}: does not fit the schema's {error.validator}"
    message = error.message
    if error.validator == "required":
        return f"{place}.{join_path([_removed(error, given) or ''])}: is required and cannot be removed"
    if error.validator in _CLOSING and is_object(error.instance):
        message = f"takes no {', '.join(map(repr, closed_to(error, given)))}"
    return f"{place}: {message if len(message) <= 2 * MAX_SHOWN else message[: 2 * MAX_SHOWN] + '...'}"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
