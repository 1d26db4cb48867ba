"""`gn.search`, `gn.load_study`, `gn.check_trust` and `gn.fit_latency_model`.

Each function takes the options of the command of the same name, makes the same checks, and raises
the errors of `gnv2_nas.errors` with the same text. An argument of a wrong type raises a TypeError
before any work. Nothing is printed unless `progress` is True.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.search.study import defaults
from gnv2_nas.units import parse_duration
from gnv2_nas.workflows.api.networks import as_text, make_observer, make_request
from gnv2_nas.workflows.events import Events

if TYPE_CHECKING:
    from gnv2_nas.quality.trust.panel import TrustPanel
    from gnv2_nas.workflows.latency import LatencyFit
    from gnv2_nas.workflows.study import Study


def search(
    budgets: str | Sequence[str] = (),
    *,
    space: str | Path = defaults.SPACE,
    device: str | Path | Sequence[str | Path] = defaults.DEVICE,
    quality: str = "",
    data: str | Path = "",
    objectives: str | Sequence[str] = defaults.OBJECTIVES,
    sampler: str = defaults.SAMPLER,
    trials: int = defaults.TRIALS,
    timeout: str | float = defaults.TIMEOUT,
    seed: int = defaults.SEED,
    workers: int = defaults.WORKERS,
    ray: str = "",
    stop_when_flat: bool = False,
    reuse: bool = True,
    ablations: int = defaults.ABLATIONS,
    baselines: Sequence[str] = (),
    study: str = "",
    storage: str = defaults.STORAGE,
    reports: str | Path | None = None,
    progress: bool = False,
    events: Events | None = None,
) -> Study:
    """Find the networks of a space that are best on a device within budgets.

    Latencies are measured without huge pages, unless Python was started with them (see
    `docs/profiling.md`); their fingerprint says so.

    Args:
        budgets: limits, such as "300MFLOPs", "12ms", "6Mparams", "20MB" (memory),
            "20MB:artifact" (size of the files to deploy) or "40MB:peak-memory" (resident while it
            runs); () sets none. A text with a list, such as "100MFLOPs,200MFLOPs", gives a
            recommended network for each limit (`Study.within`).
        space: name or YAML file of the search space.
        device: name or YAML file of the device profile, or a list of them: then each network is
            measured on every device, "12ms@pi5" is a budget on one, and the objective "latency" is
            the worst ratio to stock GhostNetV2 1.0 over the devices.
        quality: what to maximise: an accuracy ("supernet:FILE", "predictor:FILE", "train", or
            "train:FILE" with the initial weights of a supernet) or a score without images ("zen",
            "naswot", "synflow", "az-nas", "zico", "swap", "naswot+params", "params", "macs"). "" is
            the score that trust checks found better than the parameter count, or "zen".
        data: a folder with one folder of images for each class, or "digits".
        objectives: comma-separated text or list of "quality", "latency", "macs", "params",
            "memory", "artifact" and "peak-memory".
        sampler: "predictor", "nsga2", "tpe", "gp" or "random".
        trials: number of networks to evaluate, earlier runs included. Stock networks and
            ablations are extra.
        timeout: time limit of the whole call in seconds, or as text such as "90s", "10m", "1.5h".
        seed: seed of the sampler.
        workers: processes that score networks; more than 1 need Ray, the extra "ray".
        ray: the cluster they run on, whose farms may serve the devices: "auto" or
            ray://HOST:PORT; "" starts Ray on this machine.
        stop_when_flat: whether to end when the front has stopped growing.
        reuse: whether earlier measurements of a network under the same conditions may stand for
            new ones; the front is measured in any case.
        ablations: networks evaluated at the end that differ from the recommended one in one
            choice; 0 evaluates none.
        baselines: ONNX or TFLite files of other tools, which are measured in the same rounds and
            shown beside the networks of the study; "FILE=75.3" states an accuracy in per cent.
        study: name; a study of that name is continued. "" builds a name from the options.
        storage: URL of the database.
        reports: folder to write a report to; None writes none.
        progress: whether to print messages and progress to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Returns:
        The study with all its finished trials.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong, or no network of the space can meet the budgets.
        RunError: the search failed; finished trials are kept.
        KeyboardInterrupt: Ctrl-C; finished trials are kept, and the same call continues.
    """
    from gnv2_nas.workflows.search.request import SearchRequest

    checked = make_request(
        SearchRequest,
        budgets=(budgets,) if isinstance(budgets, str) else budgets,
        space=as_text(space),
        devices=tuple(map(as_text, device if isinstance(device, list | tuple) else [device])),
        quality=quality,
        data=as_text(data),
        objectives=",".join(objectives) if isinstance(objectives, list | tuple) else objectives,
        sampler=sampler,
        trials=trials,
        timeout=parse_duration(timeout, "--timeout") if isinstance(timeout, str) else timeout,
        seed=seed,
        workers=workers,
        ray=ray,
        stop_when_flat=stop_when_flat,
        reuse=reuse,
        ablations=ablations,
        baselines=baselines,
        study=study,
        storage=storage,
        reports=reports,
    ).check()
    from gnv2_nas.workflows.search.run import run_search
    from gnv2_nas.workflows.study import Study

    result = run_search(checked, make_observer(progress, events))
    if result.interrupted:
        raise KeyboardInterrupt
    return Study(result.record)


def load_study(name: str, *, storage: str = defaults.STORAGE) -> Study:
    """Load a study from its database.

    Args:
        name: of the study.
        storage: URL of the database.

    Raises:
        UnknownNameError: no such study.
        StudyError: the database cannot be opened, or holds a study of a newer version.
    """
    from gnv2_nas.workflows.study import Study, load_record

    return Study(load_record(name, storage))


def check_trust(
    data: str | Path,
    space: str | Path,
    *,
    budget: str = "",
    networks: int = 12,
    seeds: int = 2,
    epochs: float | None = None,
    estimators: Sequence[str] = (),
    seed: int = 0,
    in_band: int | None = None,
    resolution: int | None = None,
    workers: int = defaults.WORKERS,
    ray: str = "",
    progress: bool = False,
    events: Events | None = None,
) -> TrustPanel:
    """Train a sample of networks, and find out which quality score ranks them correctly.

    The panel is kept in `search_spaces/`, where searches and reports find it.

    Args:
        data: a folder with one folder of images for each class, or "digits".
        space: name or YAML file of the search space.
        budget: middle of the budget band, such as "4MFLOPs"; "" is the median of the space.
        networks: networks to train.
        seeds: trainings of each network.
        epochs: of each training; None is half of the usual number.
        estimators: checked besides all data-free scores, such as "supernet:FILE".
        seed: of the drawn networks.
        in_band: how many of the networks are drawn inside the band; None is half.
        resolution: train at this resolution in place of the largest of the space, and at smaller
            ones likewise; None trains every network at its own.
        workers: trainings at a time, each in a process of Ray if there are more than 1.
        ray: Ray cluster they run on, "auto" or ray://HOST:PORT; "" starts Ray on this machine.
        progress: whether to print messages and progress to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong.
        RunError: a training failed; finished trainings are kept.
        KeyboardInterrupt: Ctrl-C; finished trainings are kept, and the same call continues.
    """
    from gnv2_nas.workflows.trust import TrustRequest, run_trust

    checked = make_request(
        TrustRequest,
        data=as_text(data),
        space=as_text(space),
        budget=budget,
        networks=networks,
        seeds=seeds,
        epochs=epochs,
        estimators=estimators,
        seed=seed,
        in_band=in_band,
        resolution=resolution,
        workers=workers,
        ray=ray,
    ).check()
    return run_trust(checked, make_observer(progress, events))


def fit_latency_model(
    device: str | Path = defaults.DEVICE,
    *,
    space: str | Path = "",
    networks: int | None = None,
    held_out: int | None = None,
    seconds_per_network: float = 1.5,
    seed: int = 0,
    correct: str | Path | None = None,
    progress: bool = False,
    events: Events | None = None,
) -> LatencyFit:
    """Measure networks of a space, and fit a model that predicts latency on a device.

    The model is kept in `profiles/`.

    Args:
        device: name or YAML file of the device profile.
        space: name or YAML file of the search space; "" is the default space.
        networks: networks to measure; None is 120, or 20 with `correct`.
        held_out: networks held out to estimate the error; None is a quarter.
        seconds_per_network: longest time to measure one network.
        seed: of the drawn networks.
        correct: model of another device, to correct instead of fitting a new one.
        progress: whether to print messages and progress to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong.
        RunError: a measurement failed; finished measurements are kept.
        KeyboardInterrupt: Ctrl-C; finished measurements are kept, and the same call continues.
    """
    from gnv2_nas.workflows.latency import LatencyFitRequest, run_latency_fit

    checked = make_request(
        LatencyFitRequest,
        device=as_text(device),
        space=as_text(space),
        networks=networks,
        held_out=held_out,
        seconds_per_network=seconds_per_network,
        seed=seed,
        correct=correct,
    ).check()
    return run_latency_fit(checked, make_observer(progress, events))
