"""Two Prefect flows that fit a polynomial to noisy data; each can be swept over as it is.

`fit` is an ordinary flow: what it returns is its metric. `train` logs as it goes, with one decorator more.
"""

from typing import Annotated

import numpy as np
from prefect import flow
from pydantic import BaseModel, Field

import launch_sdk as launch


class Optimizer(BaseModel):
    """Parameters may be models; a sweep reaches into them."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    momentum: float = 0.0


DEFAULT = Optimizer()


def make_data(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A sine with noise: half of the points to fit, half to judge."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, count)
    return x, np.sin(3 * x) + random.normal(0, 0.1, count)


@flow
def fit(degree: int = 3, ridge: float = 1e-6) -> float:
    """Fit by least squares; return the mean squared error on the points not seen."""
    x, y = make_data()
    features = np.vander(x, degree + 1)
    seen, unseen = slice(0, 100), slice(100, None)
    gram = features[seen].T @ features[seen] + ridge * np.eye(degree + 1)
    weights = np.linalg.solve(gram, features[seen].T @ y[seen])
    return float(np.mean((features[unseen] @ weights - y[unseen]) ** 2))


@flow
@launch.job(project="pipeline")
async def train(degree: int = 5, epochs: int = 50, optimizer: Optimizer = DEFAULT) -> None:
    """Fit by gradient descent; log the error of each epoch."""
    x, y = make_data()
    features = np.vander(x, degree + 1)
    weights, velocity = np.zeros(degree + 1), np.zeros(degree + 1)
    for _ in range(epochs):
        error = features[:100] @ weights - y[:100]
        velocity = optimizer.momentum * velocity - optimizer.learning_rate * features[:100].T @ error / 100
        weights += velocity
        launch.log({"loss": np.mean(error**2), "val_loss": np.mean((features[100:] @ weights - y[100:]) ** 2)})
