"""`gn.evaluate`: what the command of the same name does, with the same checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.search.study import defaults
from gnv2_nas.workflows.api.networks import as_text, make_observer, make_request
from gnv2_nas.workflows.events import Events

if TYPE_CHECKING:
    from gnv2_nas.evaluation.results import Evaluation


def evaluate(
    study: str,
    data: str | Path = "",
    *,
    seeds: int = 3,
    networks: Sequence[str] = ("stock", "random"),
    recipe: str = "v2",
    epochs: float | None = None,
    precision: str = "",
    memory: bool = False,
    seed: int = 0,
    workers: int = defaults.WORKERS,
    ray: str = "",
    storage: str = defaults.STORAGE,
    reports: str | Path = defaults.REPORTS,
    progress: bool = False,
    events: Events | None = None,
) -> Evaluation:
    """Train the pick of a study and its rivals alike, and compare their files on its devices.

    Args:
        study: its name, or "STUDY:TRIAL" for another network than the recommended one.
        data: a folder with one folder of images for each class, or "digits"; "" for the images of
            the study.
        seeds: trainings of each network.
        networks: the rivals: "stock", "random", presets, files or "STUDY:TRIAL".
        recipe: "v2" or "v3".
        epochs: length of a training; None scales it to the data set.
        precision: of the files, "fp32" or "int8"; "" is that of the devices.
        memory: whether to measure peak memory.
        seed: seed of the random networks.
        workers: trainings at a time; more than 1 need Ray, the extra "ray".
        ray: the cluster that trains, "auto" or ray://HOST:PORT; "" trains on this machine.
        storage: URL of the database that holds the study.
        reports: folder in which a folder gets the weights, the page and the results.
        progress: whether to print messages and progress to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong, or the study has no network to evaluate.
        RunError: a training or a device failed; finished trainings are kept.
        KeyboardInterrupt: Ctrl-C; the same call continues.
    """
    from gnv2_nas.workflows.evaluation.request import EvaluateRequest, parse_precision

    checked = make_request(
        EvaluateRequest,
        study=study,
        data=as_text(data),
        seeds=seeds,
        networks=networks,
        recipe=recipe,
        epochs=epochs,
        precision=parse_precision(precision),
        memory=memory,
        seed=seed,
        workers=workers,
        ray=ray,
        storage=storage,
        reports=reports,
    ).check()
    from gnv2_nas.workflows.evaluation.run import run_evaluation

    return run_evaluation(checked, make_observer(progress, events)).evaluation
