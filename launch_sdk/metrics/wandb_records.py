"""Records of a W&B run, translated into those of the run protocol.

What differs: W&B writes the summary before the row that it sums up and may keep a `min` or `max` of a metric; the
protocol's summary is the last row with what was set laid over it. So after each batch the keys on which the two
disagree are set. Keys that W&B keeps for itself (`_step`, `_wandb`, ...) stay out.
"""

from __future__ import annotations

import copy
import json
import math
import time
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.metrics.protobuf import MalformedError, Message
from launch_sdk.tracking.protocol import LAST_STEP, merge, summary_update

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launch_sdk.tracking.protocol import Record

# Field numbers of wandb_internal.proto; they never change, that is what protobuf is for.
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_RUN_CONFIG, _RUN_SUMMARY = 4, 5
_ROW_ITEM, _ROW_STEP, _STEP_NUMBER = 1, 2, 1
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE_JSON = 1, 2, 16
_BOOLEAN, _INTEGER, _NUMBER, _TEXT, _JSON = 4, 5, 6, 7, 8
_EXIT_CODE = 1
MAX_DEPTH = 64


class Translator:
    """Translates the records of one `.wandb` file, in their order.

    Attributes:
        finished: the run's exit record has been seen.
        last_step: the highest step so far; None before the first row.
        skipped: how many records could not be understood.
    """

    def __init__(self, first_step: int = 0) -> None:
        """Begin.

        Args:
            first_step: added to every step, so that a program's second run goes on counting.
        """
        self.first_step = first_step
        self.finished = False
        self.last_step: int | None = None
        self.skipped = 0
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}  # as W&B has it
        self._told: dict[str, Any] = {}  # as a reader of the protocol has it

    def translate(self, records: Iterable[bytes]) -> list[Record]:
        """Translate a batch; malformed records are counted and left out."""
        translated: list[Record] = []
        for record in records:
            try:
                translated += self._translate(Message(record))
            except (MalformedError, RecursionError):
                self.skipped += 1
        return [*translated, *self._corrections()]

    def _translate(self, record: Message) -> Iterator[Record]:
        if record.has(_HISTORY):
            yield from self._row(record.message(_HISTORY))
        elif record.has(_SUMMARY):
            self._take_summary(record.message(_SUMMARY))
        elif record.has(_CONFIG):
            yield from self._config_record(record.message(_CONFIG))
        elif record.has(_RUN):
            run = record.message(_RUN)
            yield from self._config_record(run.message(_RUN_CONFIG), begins=True)
            self._take_summary(run.message(_RUN_SUMMARY))
        elif record.has(_EXIT):
            self.finished = True
            yield from self._corrections()
            yield {"time": time.time(), "finish": {"exit_code": record.message(_EXIT).integer(_EXIT_CODE)}}

    def _row(self, history: Message) -> Iterator[Record]:
        values: dict[str, Any] = {}
        for path, value in _items(history.messages(_ROW_ITEM)):
            _put(values, path, value)
        step = history.message(_ROW_STEP).integer(_STEP_NUMBER) + self.first_step
        logged = {key: value for key, value in values.items() if not _is_internal(key)}
        if not logged or not 0 <= step <= LAST_STEP:
            return
        self.last_step = step if self.last_step is None else max(step, self.last_step)
        record = {"time": _timestamp(values), "step": step, "log": logged}
        summary_update(self._told, record)
        yield record

    def _config_record(self, config: Message, *, begins: bool = False) -> Iterator[Record]:
        changed: dict[str, Any] = {}
        removed = [path for path, _ in _items(config.messages(_REMOVE)) if not _is_internal(path[0])]
        for path, value in _items(config.messages(_UPDATE)):
            if _is_internal(path[0]):
                continue
            _put(changed, path, value)
            if len(path) == 1 and isinstance(self._config.get(path[0]), dict):
                removed.append(path)  # W&B replaces a value whole
        merge(self._config, changed)
        if changed or removed or begins:
            record: Record = {"time": time.time(), "config": changed}
            yield record | ({"removed": [list(path) for path in removed]} if removed else {})

    def _take_summary(self, summary: Message) -> None:
        for path, value in _items(summary.messages(_UPDATE)):
            if not _is_internal(path[0]):
                _put(self._summary, path, value)
        for path, _ in _items(summary.messages(_REMOVE)):
            if len(path) == 1:
                self._summary.pop(path[0], None)

    def _corrections(self) -> list[Record]:
        """Set what W&B's summary says otherwise than the rows do."""
        wrong = {
            key: value
            for key, value in self._summary.items()
            if key not in self._told or not _same(self._told[key], value)
        }
        if not wrong:
            return []
        record: Record = {"time": time.time(), "summary": wrong}
        summary_update(self._told, copy.deepcopy(record))
        return [record]


def _items(items: Iterable[Message]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give path and value of each item; one without a name, or whose value is no JSON, is left out."""
    for item in items:
        path = tuple(item.texts(_NESTED_KEY)) or ((item.text(_KEY),) if item.has(_KEY) else ())
        if not 0 < len(path) <= MAX_DEPTH:
            continue
        try:
            yield path, _value(item)
        except (ValueError, RecursionError):
            continue


def _value(item: Message) -> Any:
    """Read a value: JSON in every version of the client, or one of the typed fields that newer ones have beside it."""
    for number in (_VALUE_JSON, _JSON):
        if item.has(number):
            return json.loads(item.raw(number) or b"null")
    if item.has(_BOOLEAN):
        return bool(item.integer(_BOOLEAN))
    if item.has(_INTEGER):
        return item.zigzag(_INTEGER)
    if item.has(_NUMBER):
        return item.number(_NUMBER)
    return item.text(_TEXT) if item.has(_TEXT) else None


def _put(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *parents, last = path
    for key in parents:
        below: object = into.get(key)
        if not isinstance(below, dict):
            below = into[key] = {}
        into = cast("dict[str, Any]", below)
    into[last] = value


def _is_internal(key: str) -> bool:
    return key.startswith("_")


def _timestamp(values: dict[str, Any]) -> float:
    stamp = values.get("_timestamp")
    return float(stamp) if isinstance(stamp, int | float) and math.isfinite(stamp) else time.time()


def _same(one: object, other: object) -> bool:
    """Compare as JSON does: not a number is not a number, and a whole number is not a truth value."""
    return one is other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
