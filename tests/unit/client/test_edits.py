"""Changes of a run's config and summary after the fact: what is written is what is read."""

from __future__ import annotations

import math

import pytest

from launch_sdk.edits import Changes, EditableValues, Edits
from launch_sdk.tracking.values import dumps, loads


def written(edits: Edits) -> Edits:
    """Write edits as the server keeps them, and read them."""
    return Edits.from_dict(loads(dumps(edits.to_dict())))


def test_special_values_survive_being_written_again_and_again() -> None:
    edits = Edits(Changes({"nan": math.nan, "large": 2**70, "bytes": b"\0", "$own": 1}), Changes({"inf": math.inf}))
    for _ in range(3):
        edits = written(edits.then(Edits(Changes({"other": 1}))))
    assert math.isnan(edits.config.values["nan"])
    assert {**edits.config.values, "nan": 0} == {"nan": 0, "large": 2**70, "bytes": b"\0", "$own": 1, "other": 1}
    assert edits.summary.values == {"inf": math.inf}


def test_an_attribute_that_would_change_nothing_is_refused() -> None:
    values = EditableValues().load({"a": 1})
    with pytest.raises(AttributeError):
        values.b = 2  # pyright: ignore[reportAttributeAccessIssue]
