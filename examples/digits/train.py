"""Train a classifier of handwritten digits, one epoch at a time.

The data is the real set that scikit-learn ships: 1,797 images of 8 x 8 pixels (UCI "Optical Recognition of Handwritten
Digits"). Run it alone, `python train.py`, or under Launch with any of its config overridden. The same config gives the
same scores.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import launch_sdk as launch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG = {
    "epochs": 12,
    "hidden": 32,
    "activation": "logistic",
    "scaler": "none",
    "optimizer": {"learning_rate": 0.01, "batch_size": 64, "weight_decay": 0.0001, "momentum": 0.5},
    "seed": 0,
}
SCALERS = {"none": None, "standard": StandardScaler, "minmax": MinMaxScaler}


def main() -> None:
    with launch.init(config=CONFIG, project="digits") as run:
        for metrics in train(run.config):
            run.log(metrics)
            print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))


def train(config: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """Train a network and give its metrics after each epoch."""
    x_train, x_val, y_train, y_val = load_data(config["scaler"])
    optimizer = config["optimizer"]
    model = MLPClassifier(
        hidden_layer_sizes=(config["hidden"],),
        activation=config["activation"],
        solver="sgd",
        learning_rate_init=optimizer["learning_rate"],
        momentum=optimizer["momentum"],
        batch_size=optimizer["batch_size"],
        alpha=optimizer["weight_decay"],
        max_iter=1,
        warm_start=True,
        random_state=config["seed"],
    )
    for epoch in range(config["epochs"]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch a call is what we want
            model.fit(x_train, y_train)
        yield {
            "epoch": epoch,
            "loss": model.loss_,
            "val_loss": log_loss(y_val, model.predict_proba(x_val)),
            "val_accuracy": model.score(x_val, y_val),
        }


def load_data(scaler: str) -> tuple[Any, Any, Any, Any]:
    """Give the images and labels to train on and those to validate on: x_train, x_val, y_train, y_val."""
    images, labels = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(images, labels, test_size=0.3, random_state=0, stratify=labels)
    if make_scaler := SCALERS[scaler]:
        fitted = make_scaler().fit(x_train)
        x_train, x_val = fitted.transform(x_train), fitted.transform(x_val)
    return x_train, x_val, y_train, y_val


if __name__ == "__main__":
    main()
