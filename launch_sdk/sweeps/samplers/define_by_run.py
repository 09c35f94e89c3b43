"""What an Optuna sampler is asked for: the parameters of the sweep file, a function of the user's, or both."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import TrialPruned
from optuna.trial import FixedTrial

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.space import NAME
from launch_sdk.sweeps.samplers.plain import Plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from launch_sdk.specs.space import Space
    from launch_sdk.sweeps.samplers.optuna_source import OptunaSource

OBJECTIVE_S = 2.0  # W&B's: what an objective has not asked for by then, it will not
SPACE_S = 30.0


class Question(Protocol):
    """What to ask a trial of Optuna's, of a new run or of one that has its parameters."""

    def ask(self, trial: Any) -> dict[str, Any]:
        """Ask a trial for every parameter; give them nested, as a run gets them."""
        ...

    def asked(
        self, parameters: Mapping[str, Any], index: int
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        """Give what Optuna was asked for when a run got these parameters; None if they are none of this search."""
        ...


class FileQuestion:
    """The parameters of a sweep file."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._plain = {".".join(path): Plain.of(one) for path, one in space.searched}
        self._paths = {".".join(path): path for path, _ in space.searched}
        self._only = {path: one.quantile(0.5) for path, one in space if one.levels == 1}

    @property
    def grid(self) -> dict[str, list[Any]]:
        """What a `GridSampler` goes through."""
        return {name: one.grid or [] for name, one in self._plain.items()}

    def ask(self, trial: Any) -> dict[str, Any]:
        values = {name: one.decode(_suggest(trial, name, one.distribution)) for name, one in self._plain.items()}
        found = self._only | {self._paths[name]: value for name, value in values.items()}
        return self._space.nest({path: found[path] for path, _ in self._space})

    def asked(
        self, parameters: Mapping[str, Any], index: int
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        del index  # what is asked for is the same every time
        if not self._space.contains(parameters):
            return None
        flat = self._space.flatten(parameters)
        params = {name: one.encode(flat[self._paths[name]]) for name, one in self._plain.items()}
        return params, {name: one.distribution for name, one in self._plain.items()}


class SourceQuestion:
    """The parameters of a sweep file, if it has any, and then those that a function of the user's asks for."""

    def __init__(self, space: Space, source: OptunaSource) -> None:
        self._file = FileQuestion(space)
        self._space = space
        self._source = source

    def ask(self, trial: Any) -> dict[str, Any]:
        given = self._file.ask(trial)
        before = set(trial.params)
        added = self._call(trial)
        suggested = {name: value for name, value in trial.params.items() if name not in before}
        parameters = given | suggested | added
        self._check(parameters)
        return parameters

    def asked(
        self, parameters: Mapping[str, Any], index: int
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        known = self._file.asked(parameters, index)
        if known is None:
            return None
        trial = FixedTrial({**parameters, **known[0]}, number=max(index, 0))
        for name, distribution in known[1].items():
            _suggest(trial, name, distribution)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a value is out of range is found out below
                self._call(trial)
        except InvalidSpecError:
            return None  # a value is asked for that this run does not have
        return dict(trial.params), dict(trial.distributions)

    def _call(self, trial: Any) -> dict[str, Any]:
        """Let the function ask; give what it returns as a mapping.

        Raises:
            InvalidSpecError: it fails, or does not come to an end.
        """
        asking, function = _Asking(trial), self._source.space
        if function is None:
            return {}
        answer: list[Any] = []
        errors: list[BaseException] = []
        thread = threading.Thread(target=_answer, args=(function, asking, answer, errors), daemon=True)
        with self._source.importing():
            thread.start()
            thread.join(OBJECTIVE_S if self._source.is_objective else SPACE_S)
        asking.is_over = True
        if self._source.is_objective:
            if errors and not trial.params:
                raise self._source.failure("objective(trial) failed before it asked for anything,", errors[0])
            return {}
        if errors:
            raise self._source.failure("search_space(trial) failed", errors[0])
        if thread.is_alive():
            raise self._fault(f"search_space(trial) takes longer than {SPACE_S:g} s; it should only ask")
        added = answer[0] if answer else None
        return dict(cast("Mapping[str, Any]", added)) if isinstance(added, Mapping) else {}

    def _check(self, parameters: Mapping[str, Any]) -> None:
        if not parameters:
            raise self._fault("asks for no parameter; call trial.suggest_float and its like")
        odd = [name for name in parameters if not NAME.fullmatch(str(name)) and not str(name).startswith("files.")]
        if odd:
            raise self._fault(f"{odd[0]!r} is no parameter name: letters, digits, _ . - and no digit, . or - first")
        for name, value in parameters.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                raise self._fault(f"{name} is a {type(value).__name__}, which no JSON can hold") from None

    def _fault(self, message: str) -> InvalidSpecError:
        return InvalidSpecError("The sweep", [Fault("optuna.optuna_source", f"{self._source.file}: {message}")])


class _AskedError(BaseException):
    """A function has asked for what there is to ask; not to be caught by its `except Exception`."""


class _Asking:
    """A trial that can only be asked for parameters: whoever reports a result has begun to train."""

    def __init__(self, trial: Any) -> None:
        self._trial = trial
        self.is_over = False

    def __getattr__(self, name: str) -> Any:
        if self.is_over or name in {"report", "should_prune"}:
            raise _AskedError
        return getattr(self._trial, name)


def _answer(function: Any, asking: _Asking, answer: list[Any], errors: list[BaseException]) -> None:
    try:
        answer.append(function(asking))
    except (_AskedError, TrialPruned):
        pass
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the user's code raises is told by the caller
        errors.append(error)


def _suggest(trial: Any, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101  # Optuna has no fourth kind
    low, high, step = distribution.low, distribution.high, distribution.step
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, low, high, step=step)
    return trial.suggest_float(name, low, high, step=step, log=distribution.log)
