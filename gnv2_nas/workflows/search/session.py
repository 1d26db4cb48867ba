"""An opened study with everything that a search needs."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import msgspec

from gnv2_nas.data import Dataset
from gnv2_nas.errors import DeviceError
from gnv2_nas.formats.foreign.network import ForeignNetwork
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.records.reuse import DeviceIdentity
from gnv2_nas.quality import EstimatorInfo
from gnv2_nas.runner.lock import DeviceLock, Waiting, may_be_own
from gnv2_nas.search.engine.cluster import connected_aside
from gnv2_nas.search.engine.workers import Workers
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.farm.farm_lane import FarmLane
from gnv2_nas.search.lane import DeviceLane, Lane
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.factory import make_sampler
from gnv2_nas.search.storage.database import hand_over_messages
from gnv2_nas.search.storage.earlier import in_milliseconds_of, read_earlier
from gnv2_nas.search.storage.studies import open_or_create
from gnv2_nas.search.storage.url import mask_command
from gnv2_nas.search.study.foreign import keep_file
from gnv2_nas.search.study.records import Provenance, Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.workflows.devices import report_calibration, report_shortage
from gnv2_nas.workflows.events import (
    Events,
    Message,
    SearchProgress,
    ignore,
    report_messages,
    report_task,
)
from gnv2_nas.workflows.search.corners import Corner, measure_corners
from gnv2_nas.workflows.search.request import CheckedSearch
from gnv2_nas.workflows.search.scorer import load_images, make_estimator, make_scorer

SOFTWARE = ("gnv2-nas", "torch", "onnx", "onnxruntime", "optuna")
"""Packages whose version can change the result of a study."""

SECONDS_A_SCORE = 3600.0
"""Limit for one network; a worker that takes longer is treated as hung."""

CLOSING = 0.25
"""Largest share of the time limit that is reserved for the report."""


class SearchSession:
    """An opened study with everything it needs to go on."""

    def __init__(
        self,
        checked: CheckedSearch,
        events: Events = ignore,
        began: float | None = None,
    ) -> None:
        """Read the images if the estimator needs them, and open the study.

        Args:
            checked: the search.
            events: told about progress, and about waiting for another process.
            began: start of the time limit, of `time.monotonic`; None for now.

        Raises:
            OutOfTimeError: the images cannot be read within the time limit.
        """
        request, settings = checked.request, checked.settings
        self._started = time.monotonic()
        self.deadline = Deadline((self._started if began is None else began) + request.timeout)
        # Starting took this long; importing what the report needs takes about as long again.
        self._closing = min(self._started - (began or self._started), CLOSING * request.timeout)
        self.events = events
        waiting = report_messages(events)
        self.dataset = self._read_images(checked)
        if self.dataset is not None:
            settings = msgspec.structs.replace(settings, data_hash=self.dataset.content_hash)
            checked = msgspec.structs.replace(checked, settings=settings)
        hand_over_messages()
        estimator = make_estimator(settings, checked.space, self.dataset, request.seed)
        self.store, self.resumed = open_or_create(
            request.storage, checked.study, settings, _make_provenance(checked, estimator.info)
        )
        # The study's own spelling of the budgets, so that one limit is shown in one way only.
        there = self.store.settings
        settings = msgspec.structs.replace(settings, budgets=there.budgets, limits=there.limits)
        self.checked = msgspec.structs.replace(checked, settings=settings)
        self._connection = ExitStack()
        if checked.served:
            self._connection.enter_context(connected_aside(request.ray))
        self.workers = self._start_workers(waiting)
        lanes = self._open_lanes(waiting)
        self.evaluator = Evaluator(settings, estimator, lanes, self.workers, waiting)

    def _open_lanes(self, waiting: Waiting) -> Lanes:
        """Open all devices; nothing is sent to them yet."""

        def tell(sentence: str) -> None:
            # While this machine measures itself, it writes no files for the others, and conversely.
            mixed = len({bool(lane.machine) for lane in self.lanes}) > 1
            if not (mixed and may_be_own(sentence)):
                waiting(sentence)

        self.lanes = [self._open_lane(each.name, tell) for each in self.checked.settings.devices]
        return Lanes(self.lanes, waiting)

    def _open_lane(self, name: str, tell: Waiting) -> Lane:
        checked, request = self.checked, self.checked.request
        if (served := checked.served.get(name)) is not None:
            return FarmLane(
                served, checked.study, checked.settings, request.seed, self.workers, tell,
                reuse=request.reuse,
            )  # fmt: skip
        device = open_device(name)
        if checked.settings.measures:
            report_shortage(device, self.events)
        return DeviceLane(
            device, checked.settings, request.seed, self.workers, tell, reuse=request.reuse
        )

    def calibrate(self) -> None:
        """Calibrate the devices that were not calibrated before; one that fails is set aside.

        Raises:
            InputError: a device's runtime cannot load the file of another tool.
            MeasurementError: the last device failed.
        """
        files = [each.network for each in self.checked.foreign]
        for lane in self.lanes:
            try:
                known = lane.identify().calibration
                calibrating = report_calibration(self.events, lane.name)
                with nullcontext(lambda _: None) if known else calibrating as report:
                    lane.get_ready(files, report, self.deadline)
            except DeviceError as error:
                self.evaluator.lanes.set_aside(lane.name, error)

    def _start_workers(self, waiting: Waiting) -> Workers | None:
        checked = self.checked
        request, settings = checked.request, checked.settings
        if not request.uses_ray or "quality" not in settings.objectives:
            return None
        scorer = partial(make_scorer, settings, request.space, request.seed)
        with DeviceLock.shared(waiting):  # starting Ray computes
            return Workers(request.workers, scorer, SECONDS_A_SCORE, request.ray, waiting=waiting)

    def _read_images(self, checked: CheckedSearch) -> Dataset | None:
        if not checked.settings.data:
            return None
        with report_task(self.events, f"reading the images of {checked.settings.data}") as report:

            def read(share: float) -> None:
                self.deadline.check("while the images were read")
                report(share)

            return load_images(checked.settings, checked.space, read)

    def close(self) -> None:
        """Stop the workers, if there are any, and end the connections to the devices."""
        if self.workers is not None:
            self.workers.close()
        self.evaluator.lanes.close()
        self._connection.close()

    def corners(self) -> list[Corner]:
        """See `measure_corners`."""
        return measure_corners(self.checked, self.evaluator.lanes, self.deadline)

    def _identify(self) -> list[DeviceIdentity]:
        """Return the devices, if they all answer; one that fails is set aside."""
        found = []
        for lane in self.evaluator.lanes.active:
            try:
                found.append(lane.identify())
            except DeviceError as error:
                self.evaluator.lanes.set_aside(lane.name, error)
        return [] if self.evaluator.lanes.aside else found

    def make_encoder(self, seen: Collection[str]) -> GraphEncoder:
        """Return what tells the sampler of networks, and of latencies of other studies."""
        request, settings, store = self.checked.request, self.checked.settings, self.store
        earlier: list[Trial] = []
        if request.reuse and settings.measures:
            earlier = read_earlier(request.storage, store.name, self._identify())
        if earlier:
            self.events(
                Message(
                    f"the models know the latencies of {len(earlier)} networks from other studies "
                    "(--no-reuse leaves them out)"
                )
            )
        known = partial(in_milliseconds_of, store, earlier)
        return GraphEncoder(self.checked.space, settings.budgets, settings.objectives, seen, known)

    def _keep_files(self) -> list[ForeignNetwork]:
        """Tell the study which files of other tools it has, with what it knows of them."""
        known = {each.id: each.latencies for each in self.store.foreign()}
        for each in self.checked.foreign:
            kept = keep_file(each.network, each.accuracy)
            latencies = known.get(kept.id, {})
            self.store.save_foreign(msgspec.structs.replace(kept, latencies=latencies))
        return [each.network for each in self.checked.foreign]

    def loop(self) -> SearchLoop:
        """Return the search itself, ready to run."""
        request, settings = self.checked.request, self.checked.settings
        space, past = self.checked.space, self.store.trials()
        seen = {trial.architecture.id for trial in past}
        proposals = Proposals(
            space,
            settings.budgets,
            settings.objectives,
            # Going on with the seed of the beginning would propose the same networks again.
            make_sampler(
                request.sampler,
                request.seed + len(past),
                partial(self.make_encoder, seen),
                [_bound_constraints(settings, each) for each in settings.by_limit],
            ),
            request.seed,
            seen,
        )
        proposals.learn(past)
        return SearchLoop(
            space,
            self.store,
            self.evaluator,
            proposals,
            past=past,
            trials=request.trials,
            deadline=self.deadline.earlier(self._closing),
            stop_when_flat=request.stop_when_flat,
            foreign=self._keep_files(),
            observer=lambda status: self.events(SearchProgress(status)),
        )


def _bound_constraints(settings: Settings, limited: Settings) -> dict[str, float]:
    """Return the largest excess over each budget of a study that its budgets in `limited` allow."""
    budgets = zip(settings.budgets, limited.budgets, strict=True)
    return {loosest.metric: limit.limit / loosest.limit - 1 for loosest, limit in budgets}


def _make_provenance(checked: CheckedSearch, estimator: EstimatorInfo) -> Provenance:
    return Provenance(
        sampler=checked.request.sampler,
        seed=checked.request.seed,
        command=mask_command(checked.request.command or checked.request.to_command()),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        software={package: version(package) for package in SOFTWARE},
        estimator=msgspec.structs.replace(estimator, supernet_spec=None),
        space_source=checked.request.space,
    )
