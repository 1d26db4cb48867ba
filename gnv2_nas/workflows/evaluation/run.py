"""Running an evaluation: choose random rivals, train, measure side by side, run the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gnv2_nas.checkpoints.checkpoint import read_training
from gnv2_nas.data import Dataset
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import read_profile
from gnv2_nas.evaluation.entrants import Contest, Entrant
from gnv2_nas.evaluation.files import answer_images
from gnv2_nas.evaluation.results import Evaluation, Measured, Table, make_result
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.peak_memory import measure_peak_memory
from gnv2_nas.measurement.plan import COMPARING as MEASURING
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.store import append_measurements
from gnv2_nas.report.evaluation_page.page import render_evaluation_page
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.runtimes.base import CalibrationImages, Runtime, get_runtime
from gnv2_nas.search.analysis.recommendation import find_study_space
from gnv2_nas.search.analysis.views import join_words
from gnv2_nas.stats.trainings import Answers
from gnv2_nas.training import Recipe
from gnv2_nas.workflows.calibration_images import select_calibration_images
from gnv2_nas.workflows.devices import calibrate
from gnv2_nas.workflows.evaluation.random_rivals import add_random
from gnv2_nas.workflows.evaluation.request import RANDOM, CheckedEvaluation, FilePrecision
from gnv2_nas.workflows.evaluation.trainings import Images, Trainings, choose_recipe
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages, report_task
from gnv2_nas.workflows.references import load_network

_CHOICES = "random-networks.json"
_NOTABLE = 0.002
"""Difference between the accuracies of a file and of torch that is reported."""


class EvaluationResult(msgspec.Struct, frozen=True):
    """A finished evaluation and its page."""

    evaluation: Evaluation
    page: Path

    def to_json(self) -> dict[str, Any]:
        """Return everything for scripts."""
        return {**self.evaluation.to_json(), "page": str(self.page)}


def run_evaluation(checked: CheckedEvaluation, events: Events = ignore) -> EvaluationResult:
    """Train the picks and their rivals, measure them, and write the page.

    Raises:
        DataError: the images cannot be used.
        TrainingError: a pick could not be trained. Finished trainings are kept, as in all cases.
        MeasurementError: a device or a runtime failed.
        KeyboardInterrupt: Ctrl-C; the same request continues.
    """
    try:
        with ExitStack() as stack:
            devices = [
                stack.enter_context(_opened(device.name, checked.request.precision))
                for device in checked.record.settings.devices
            ]
            return _Run(checked, devices, events).run()
    except KeyboardInterrupt:
        events(Message("interrupted; run the same command again to continue"))
        raise


@contextmanager
def _opened(name: str, precision: FilePrecision) -> Iterator[Device]:
    device = open_device(name, precision=precision or None)
    try:
        yield device
    finally:
        device.host.close()


class _Run:
    """One evaluation.

    Args:
        checked: what is evaluated.
        devices: of the study, open.
        events: told about messages and progress.
    """

    def __init__(
        self, checked: CheckedEvaluation, devices: Sequence[Device], events: Events
    ) -> None:
        self.checked, self.devices, self.events = checked, devices, events
        self.seeds = checked.request.seeds
        self.images = Images(checked.data, events)

    def run(self) -> EvaluationResult:
        checked, request = self.checked, self.checked.request
        checked.folder.mkdir(parents=True, exist_ok=True)
        for device in self.devices:
            calibrate(device, self.events)
        dataset = self.images.at(checked.contests[0].pick.architecture.resolution)
        for line in (f"data {dataset.name}", *dataset.report.lines()):
            self.events(Message(line))
        contests, cautions = self._complete_contests(dataset)
        entrants = _list_entrants(contests)
        names = ", ".join(each.label for each in entrants)
        self.events(Message(f"{len(entrants)} networks, {self.seeds} trainings of each: {names}"))
        recipe = choose_recipe(request, dataset)
        trainings = Trainings(checked.folder, self.images, recipe, dataset.content_hash)
        failed = trainings.run(entrants, self.seeds, request.workers, request.ray, self.events)
        trained = [each for each in entrants if each.label not in failed]
        tables = [
            table
            for device in self.devices
            for table in self._evaluate_on(device, contests, trained, trainings)
        ]
        evaluation = msgspec.structs.replace(
            _describe_conditions(checked, dataset, recipe),
            tables=tuple(tables),
            left_out=(*checked.left_out, *(f"{name}: {why}" for name, why in failed.items())),
            cautions=(*cautions, *_list_cautions(checked, dataset)),
            weights=str(trainings.path(contests[0].pick, 0)),
        )
        write_set(
            {
                checked.page: render_evaluation_page(evaluation),
                checked.result: msgspec.json.encode(evaluation.to_json()),
            }
        )
        self.events(Message(f"page: {checked.page}"))
        return EvaluationResult(evaluation, checked.page)

    def _complete_contests(self, dataset: Dataset) -> tuple[Sequence[Contest], list[str]]:
        """Return the contests with their random networks, and what keeps these out."""
        checked, contests = self.checked, self.checked.contests
        if RANDOM not in checked.request.networks:
            return contests, []
        space = find_study_space(checked.record)
        if space is None:
            return contests, [
                f"There are no random networks: the file of space {checked.record.settings.space} "
                "was removed or changed since the search."
            ]
        space = space.with_classes(len(dataset.classes))
        file = checked.folder / _CHOICES
        seed = checked.request.seed
        return add_random(contests, space, self.devices, seed, file, self.events), []

    def _evaluate_on(
        self,
        device: Device,
        contests: Sequence[Contest],
        entrants: Sequence[Entrant],
        trainings: Trainings,
    ) -> list[Table]:
        """Measure all networks on a device in shared rounds, and run their files."""
        archs = [each.architecture for each in entrants]
        ids, waiting = [arch.id for arch in archs], report_messages(self.events)
        with report_task(self.events, f"measuring side by side on {device.name}") as report:
            found = measure_networks(archs, device, MEASURING, progress=report, waiting=waiting)
        append_measurements(found)
        latencies = dict(zip(ids, found, strict=True))
        peaks: dict[str, int] = {}
        if self.checked.memory:
            with report_task(self.events, f"measuring peak memory on {device.name}"):
                peaks = dict(zip(ids, measure_peak_memory(archs, device, waiting), strict=True))
        measured = {
            each.architecture.id: Measured(
                self._run_files(device, each, trainings),
                latencies[each.architecture.id],
                peaks.get(each.architecture.id),
            )
            for each in entrants
        }
        return [_make_table(contest, device, measured) for contest in contests]

    def _run_files(self, device: Device, entrant: Entrant, trainings: Trainings) -> Answers:
        """Return the answers of the files of all trainings, in the device's runtime, here."""
        arch = entrant.architecture
        dataset = self.images.at(arch.resolution)
        runtime, rows = _open_runtime(device, dataset, arch.resolution), []
        for seed in range(self.seeds):
            path = trainings.path(entrant, seed)
            files = runtime.write(arch, load_network(arch, path))
            task = f"running {entrant.label}, seed {seed}, in {runtime.version()}"
            with DeviceLock.shared(report_messages(self.events)):
                session = runtime.load(files, 1)
                with report_task(self.events, task) as report:
                    rows.append(answer_images(session, dataset, arch.resolution, report))
            self._compare_with_torch(entrant, seed, float(rows[-1].mean()), path)
        return np.array(rows, np.float64)

    def _compare_with_torch(self, entrant: Entrant, seed: int, share: float, path: Path) -> None:
        """Report a file that is less accurate than the network that it was written from."""
        trained = read_training(path)
        if trained is not None and abs(trained.accuracy - share) > _NOTABLE:
            self.events(
                Message(
                    f"{entrant.label}, seed {seed}: its file classifies {share:.1%} of held-out "
                    f"images correctly, torch {trained.accuracy:.1%}"
                )
            )


def _list_entrants(contests: Sequence[Contest]) -> list[Entrant]:
    """Return every network once; a pick is one even if it is the rival of another pick."""
    found: dict[str, Entrant] = {}
    for contest in contests:
        for entrant in contest.entrants:
            known = found.setdefault(entrant.architecture.id, entrant)
            if entrant.role == "pick" != known.role:
                found[entrant.architecture.id] = entrant
    return list(found.values())


def _make_table(contest: Contest, device: Device, measured: Mapping[str, Measured]) -> Table:
    """Return the results of a contest on a device; networks that were left out are not in it."""
    pick = measured[contest.pick.architecture.id]
    rivals = [each for each in contest.rivals if each.architecture.id in measured]
    return Table(
        view=contest.view,
        device=device.name,
        runtime=f"{device.fingerprint().runtime}, {device.profile.precision}",
        cpu=device.fingerprint().cpu,
        has_budgets=bool(contest.budgets),
        results=(
            make_result(contest.pick, pick, None),
            *(make_result(each, measured[each.architecture.id], pick) for each in rivals),
        ),
    )


def _open_runtime(device: Device, dataset: Dataset, resolution: int) -> Runtime:
    """Return the device's runtime on this machine, which writes and runs its files."""
    profile = device.profile
    images: CalibrationImages = ""
    if profile.precision == "int8":
        images = select_calibration_images(dataset, resolution)
    processor = profile.processor if device.runs_here else "cpu"
    return get_runtime(profile.runtime, profile.precision, processor, images, profile.form)


def _describe_conditions(
    checked: CheckedEvaluation, dataset: Dataset, recipe: Recipe
) -> Evaluation:
    """Return an evaluation without results."""
    epochs = recipe.steps * recipe.batch_size / len(dataset.train)
    return Evaluation(
        study=checked.record.name,
        data=dataset.name,
        data_hash=dataset.content_hash,
        train_images=len(dataset.train),
        held_out_images=len(dataset.val),
        seeds=checked.request.seeds,
        training=f"recipe {checked.request.recipe}, {recipe.steps:,} steps of "
        f"{recipe.batch_size} images ({epochs:.3g} epochs), from random weights",
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        software=", ".join(f"{name} {version(name)}" for name in ("gnv2-nas", "torch")),
    )


def _list_cautions(checked: CheckedEvaluation, dataset: Dataset) -> list[str]:
    """Return what limits the conclusions, as sentences."""
    record, cautions = checked.record, []
    settings = record.settings
    if checked.request.seeds == 1:
        cautions.append(
            "Each network was trained once: the intervals cover the choice of held-out images, not "
            "how much trainings differ. Give --seeds 3 or more."
        )
    if record.quality_info.is_accuracy and settings.data_hash == dataset.content_hash:
        cautions.append(
            "The search judged networks on these held-out images, so the pick may look slightly "
            "better than it is on others: images that no search has seen decide."
        )
    if not checked.request.data and settings.data_hash not in ("", dataset.content_hash):
        cautions.append(f"The images of {checked.data} have changed since the search.")
    changed = [
        device.label
        for device in settings.devices
        if device.content_hash not in ("", read_profile(device.name).content_hash)
    ]
    if changed:
        cautions.append(f"The profile of {join_words(changed)} has changed since the search.")
    return cautions
