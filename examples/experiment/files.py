"""What ``vanishing_gradient.py`` leaves behind: figures, and a JSON file with every number."""

import dataclasses
import json
import math
import os
import platform
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import minigrad as mg
from minigrad.diagnostics import plots
from minigrad.diagnostics.stats import jsonable

WITH = " + BN"


def name_of(start: str, batchnorm: bool) -> str:
    """What a network is called: "b. Xavier + BatchNorm"."""
    return start + WITH if batchnorm else start


def header(settings: Any) -> dict[str, Any]:
    """The results before there are any: settings, versions, machine."""
    return {
        "finished": False,
        "settings": dataclasses.asdict(settings),
        "versions": {
            "minigrad": mg.__version__,
            "numpy": np.__version__,
            "matplotlib": matplotlib.__version__,
            "python": platform.python_version(),
        },
        "machine": {"system": platform.system(), "processor": platform.machine(),
                    "cores": os.cpu_count()},
    }  # fmt: skip


def make_folder(folder: str) -> None:
    """Make ``folder``, before there are results that could not be stored.

    Raises:
        OSError: it cannot be made, or nothing can be written into it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise OSError(f"--out: {folder} cannot be made a folder: {reason}") from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"--out: nothing can be written into the folder {folder}")


def write(results: dict[str, Any], folder: str) -> list[Path]:
    """Draw what there is, and store every number; returns the files, results.json last."""
    out = Path(folder)
    paths = []
    for name, figure in figures(results).items():
        paths.append(out / f"{name}.png")
        figure.savefig(paths[-1])
    paths.append(out / "results.json")
    plain = json.loads(json.dumps(jsonable(_as_dicts(results))))
    paths[-1].write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return paths


def _as_dicts(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _as_dicts(item) for key, item in value.items()}
    return [_as_dicts(item) for item in value] if isinstance(value, list) else value


STYLES = {
    "a. shifted": (plots.VERMILLION, "s", "--"),
    "a. shifted" + WITH: (plots.VERMILLION, "s", "-"),
    "b. Xavier": (plots.BLUE, "o", "--"),
    "b. Xavier" + WITH: (plots.BLUE, "o", "-"),
}


def figures(results: dict[str, Any]) -> dict[str, Any]:
    """The figures for those parts of ``results`` that are there, by the names of their files."""
    drawn = {"sigmoid": plots.sigmoid_zones()}
    depth = results["settings"]["depth"]
    gradients: dict[str, dict[str, list[float]]] = {}
    if "before" in results:
        before = results["before"]
        gradients = _panels({name: network["dz"] for name, network in before.items()})
        drawn["preactivations"] = plots.preactivations(
            _panels({name: network["z"] for name, network in before.items()}),
            title="What enters the sigmoids of each layer, before training",
        )
        drawn["gradients"] = plots.gradient_norms(
            gradients, title="What is left of the gradient in each layer, before training"
        )
    training = {name: runs for name, runs in results.get("training", {}).items() if runs}
    if training:
        chance = (math.log(10), 0.1)
        drawn["training"] = plots.training_curves(
            training, chance, f"Training {depth} sigmoid layers", STYLES
        )
        drawn["weights"] = plots.weight_changes(
            {name: [run["moved"] for run in runs] for name, runs in training.items()},
            styles=STYLES,
        )
        drawn["overview"] = plots.overview(
            gradients,
            training,
            chance,
            f"{depth} sigmoid layers, without and with batch normalisation (BN)",
            STYLES,
        )
    return drawn


def _panels(networks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A panel for the networks without BatchNorm, and one for those with it."""
    return {
        "without BatchNorm": {name: v for name, v in networks.items() if WITH not in name},
        "with BatchNorm": {
            name.removesuffix(WITH): v for name, v in networks.items() if WITH in name
        },
    }
