"""Train a classifier of handwritten digits, one epoch at a time.

The data is the real set that scikit-learn ships: 1,797 images of 8 x 8 pixels (UCI "Optical Recognition of Handwritten
Digits"). Run it alone, `python train.py`, or under Launch with any of its config overridden.
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import launch_sdk as launch

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
        config = run.config
        images, labels = load_digits(return_X_y=True)
        x_train, x_val, y_train, y_val = train_test_split(
            images, labels, test_size=0.3, random_state=0, stratify=labels
        )
        if scaler := SCALERS[config["scaler"]]:
            fitted = scaler().fit(x_train)
            x_train, x_val = fitted.transform(x_train), fitted.transform(x_val)
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
            accuracy = model.score(x_val, y_val)
            run.log({"epoch": epoch, "loss": model.loss_, "val_accuracy": accuracy})
            print(f"epoch {epoch:2d}  loss {model.loss_:.4f}  val_accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
