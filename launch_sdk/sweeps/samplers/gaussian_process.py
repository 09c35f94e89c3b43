"""Bayesian search: a Gaussian process (Matern 5/2) of egobox and the logarithm of the expected improvement."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, cast

import egobox
import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import TrialState

from launch_sdk.sweeps.samplers.design import design_point
from launch_sdk.sweeps.samplers.unit_cube import UnitCube

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

logger = logging.getLogger("launch_sdk.sweeps")

MOST_POINTS = 150


class GaussianProcessSampler(BaseSampler):
    """An Optuna sampler over egobox. It keeps no state: the study and the seed decide everything."""

    def __init__(
        self,
        *,
        seed: int | None = None,
        design_seed: int | None = None,
        search_space: dict[str, BaseDistribution] | None = None,
        number: int | None = None,
    ) -> None:
        self._seed = seed
        self._design_seed = design_seed if design_seed is not None else seed
        self._space = search_space
        self._number = number
        self._intersection = IntersectionSearchSpace()
        self._independent = RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        del trial
        space = self._space if self._space is not None else self._intersection.calculate(study)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        cube = UnitCube(search_space)
        number = self._number if self._number is not None else trial.number
        points, values, pending = _known(study, cube)
        if len(values) < startup_runs(len(search_space)):
            return cube.decode(cube.stretch(design_point(len(search_space), number, self._design_seed or 0)))
        seed = self._seed if self._seed is not None else number
        return cube.decode(_propose(cube, points, values, pending, seed))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        self._raise_error_if_multi_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


def startup_runs(dimensions: int) -> int:
    return max(5, dimensions + 1)


def _known(study: Study, cube: UnitCube):
    done, running = [], []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING)):
        if cube.contains(trial.params):
            (done if trial.state == TrialState.COMPLETE else running).append(trial)
    sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
    values = sign * np.array([t.value for t in done], dtype=np.float64)
    return (
        np.array([cube.encode(t.params) for t in done]).reshape(len(done), len(cube.space)),
        values,
        np.array([cube.encode(t.params) for t in running]).reshape(len(running), len(cube.space)),
    )


def _propose(cube, points, values, pending, seed):
    finite = values[np.isfinite(values)]
    values = np.where(np.isfinite(values), values, finite.max() if len(finite) else 0.0)
    y = (values - values.mean()) / max(values.std(), 1e-12)
    spec = [
        egobox.XSpec(egobox.XType.ENUM, [float(n)]) if n else egobox.XSpec(egobox.XType.FLOAT, [0.0, 1.0])
        for n in cube.choices
    ]
    corr = egobox.CorrelationSpec.MATERN52
    if len(pending):
        model = egobox.Gpx.builder(spec, corr_spec=corr, seed=seed).fit(points, y)
        points = np.vstack([points, pending])
        y = np.concatenate([y, model.predict(pending)])
    egor = egobox.Egor(spec, gp_config=egobox.GpConfig(corr_spec=corr), seed=seed)
    return egor.suggest(points, y[:, None], seed=seed)[0]


def quiet_tpe(seed: int) -> BaseSampler:
    """Make Optuna's TPE sampler with the settings that measured best, without its warnings of being experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)
