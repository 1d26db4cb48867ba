"""Several devices in one search: each measures every network; one that fails is set aside."""

from __future__ import annotations

import threading

import pytest

from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.search import loop
from gnv2_nas.search.lane import DeviceLane
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.loop import BATCH
from gnv2_nas.search.pace import Deadline, MeasuringPace
from gnv2_nas.search.pipeline import MAX_AHEAD, Job, Pipeline
from gnv2_nas.search.sampler.factory import make_sampler
from gnv2_nas.workflows.search.request import SearchRequest
from tests.devices.remote import remote_device
from tests.measurement.networks import tiny_ghost
from tests.search.search_helpers import calibrated, measure_briefly, session
from tests.search.simulated import Machine, SimulatedLane, simulated
from tests.search.spaces import SMALL, write_space
from tests.search.study_helpers import candidate, latency
from tests.waiting import until


class FailingLane(SimulatedLane):
    """Fails from one batch on, and answers again after some attempts."""

    def __init__(self, clock, seed, name, fails_at=1, attempts=1, error=DeviceError):
        super().__init__(clock, seed, name)
        self.fails_at, self.attempts, self.error = fails_at, attempts, error
        self.measured = []

    def measure(self, architectures, *args, **options):
        if self._batches + 1 == self.fails_at:
            raise self.error("the cable was pulled")
        self.measured += [each.id for each in architectures]
        return super().measure(architectures, *args, **options)

    def evaluate_metrics(self, architectures):
        return [{"artifact@board": 9.0} for _ in architectures]

    def reach(self):
        self.attempts -= 1
        if self.attempts > 0:
            raise DeviceError("still away")
        self.fails_at = 0


BOTH = ("quality", "latency-ratio")


def search_on(*lanes, space, sampler="random", objectives=BOTH, **asked):
    return simulated(
        space, 0, lanes=lanes, objectives=objectives,
        make=lambda seed: make_sampler(sampler, seed), **asked,
    )  # fmt: skip


def cpu():
    return SimulatedLane(Machine(), 0, "cpu")


@pytest.mark.parametrize("sampler", ["random", "predictor", "nsga2"])
def test_every_network_is_measured_on_every_device(small, sampler):
    board = SimulatedLane(Machine(), 1, "board")
    ended = search_on(cpu(), board, space=small, sampler=sampler, trials=24)
    assert len(ended.loop.trials) > 24
    for trial in ended.loop.trials.values():
        assert trial.measured_on.keys() == {"cpu", "board"}
        worst = max(each.ratio for each in trial.measured_on.values())
        assert trial.value("latency-ratio") == worst
    for device in ("cpu", "board"):
        members = {each.number for each in ended.loop.front}
        assert members & ended.memory.confirmed(device)


@pytest.mark.parametrize("sampler", ["random", "predictor"])
def test_a_device_that_fails_is_set_aside_and_gets_what_it_lacks_when_it_is_back(small, sampler):
    board = FailingLane(Machine(), 1, "board", fails_at=3, attempts=2)
    ended = search_on(
        cpu(), board, space=small, sampler=sampler, trials=40, ablations=0,
        objectives=("quality", "latency@board", "latency@cpu", "artifact@board"),
    )  # fmt: skip
    assert ended.said[0] == (
        "device board is set aside: the cable was pulled; the search goes on with cpu, and tries "
        "it again later"
    )
    assert ended.said[1] == "device board is back; what it lacks is measured now"
    trials = ended.loop.trials.values()
    assert all(trial.measured_on.keys() == {"cpu", "board"} for trial in trials)
    stored = [trial for trial in ended.memory.kept if trial.latencies["board"] is None]
    assert len(stored) >= BATCH
    # It was measured there once, and again only where it may be on a front.
    lacking = {trial.architecture.id for trial in stored}
    assert lacking <= set(board.measured)
    assert all(trial.value("artifact@board") == 9.0 for trial in trials)


def test_a_device_that_stays_away_is_tried_ever_more_seldom_and_the_front_is_that_of_the_others(
    small,
):
    board = FailingLane(Machine(), 1, "board", fails_at=2, attempts=99)
    ended = search_on(cpu(), board, space=small, trials=100, ablations=0)
    assert 99 - board.attempts == 3  # after 1, 2 and 4 batches
    assert [status.aside for status in ended.statuses][-1] == ("board",)
    only_cpu = [each for each in ended.loop.trials.values() if each.latencies["board"] is None]
    assert len(only_cpu) >= 90
    settings = ended.memory.settings
    members = {each.number for each in ended.loop.front}
    seen = [each.seen(settings.on("cpu")) for each in only_cpu]
    assert members & {each.number for each in seen if each.latency is not None}
    assert any("on board: the device failed" in line for line in ended.left_out)


def test_the_last_device_that_fails_ends_the_search_and_what_was_measured_is_kept(small):
    board = FailingLane(Machine(), 1, "board", fails_at=2, attempts=99)
    other = FailingLane(Machine(), 1, "cpu", fails_at=4, attempts=99)
    ended = search_on(other, board, space=small)
    assert isinstance(ended.error, DeviceError)
    measured_on = [set(each.measured_on) for each in ended.memory.kept]
    assert {"cpu"} in measured_on
    assert {"cpu", "board"} in measured_on
    assert set() not in measured_on


class ThreadLane:
    """A device on another machine that measures when it is told to."""

    def __init__(self, name, error=None):
        self.name, self.machine, self.error = name, f"ssh {name}", error
        self.pace = MeasuringPace()
        self.go, self.began, self.prepared = threading.Event(), threading.Event(), []
        self.jobs = 0

    def prepare(self, architectures):
        assert self.go.wait(10)
        self.prepared += architectures
        raise DeviceError("it is away")

    def measure(self, architectures, *_, **__):
        self.began.set()
        assert self.go.wait(10)
        if self.error:
            raise self.error
        self.jobs += 1
        return [latency(0) for _ in architectures]

    def evaluate_metrics(self, architectures):
        return [{} for _ in architectures]

    def reach(self):
        """It answers."""


def test_another_machine_gets_files_while_this_one_goes_on():
    here, other = ThreadLane("cpu"), ThreadLane("board")
    here.machine = ""
    Lanes([here, other]).prepare(["a network"])
    assert not other.prepared
    other.go.set()
    until(lambda: other.prepared)  # what fails then is told when it is measured
    assert not here.prepared


def test_files_that_were_prepared_are_on_the_device(tmp_path):
    device = remote_device(LocalTransport("board", tmp_path))
    DeviceLane(device, None, 0).prepare([tiny_ghost()])
    (file,) = (tmp_path / "files").iterdir()
    assert file.read_bytes() == device.runtime.write(tiny_ghost())[".onnx"]


def jobs(count):
    return [Job([(candidate(number), 1.0)]) for number in range(count)]


def test_a_job_that_follows_a_failed_one_is_not_lost():
    one, other = ThreadLane("one"), ThreadLane("other", MeasurementError("it has no such operator"))
    pipeline, asked = Pipeline(Lanes([one, other]), measures=True), jobs(2)
    for job in asked:
        assert list(pipeline.measure(job, None, Deadline())) == []
    assert one.began.wait(10)
    assert other.began.wait(10)
    for lane in (one, other):
        lane.go.set()
    found = []
    while pipeline.is_busy:
        with pytest.raises(MeasurementError, match="no such operator"):
            found.extend(pipeline.drain())
    assert [each.job for each in found] == asked
    assert all(each.measured.keys() == {"one"} for each in found)


def test_machines_go_on_with_further_jobs_while_one_of_them_is_slow():
    lanes = [ThreadLane(name) for name in ("slow", "one", "other")]
    for lane in lanes[1:]:
        lane.go.set()
    pipeline, asked = Pipeline(Lanes(lanes), measures=True), jobs(MAX_AHEAD + 1)
    for job in asked[:-1]:
        assert pipeline.has_room
        assert list(pipeline.measure(job, None, Deadline())) == []
    assert not pipeline.has_room
    until(lambda: [lane.jobs for lane in lanes[1:]] == [MAX_AHEAD] * 2)
    assert pipeline.searched == MAX_AHEAD
    # One more has to wait, and then the results come in the order of the jobs.
    lanes[0].go.set()
    found = [*pipeline.measure(asked[-1], None, Deadline()), *pipeline.drain()]
    assert [each.job for each in found] == asked
    assert not pipeline.is_busy


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"devices": ("cpu", "cpu")}, "'cpu' and 'cpu' are the same device"),
        ({"devices": ("cpu", "CPU.yaml")}, "are the same device"),
        ({"devices": ("cpu", "twin.yaml")}, "'cpu' and 'twin.yaml' are the same device"),
        ({"devices": ("cpu",) * 9}, "give 1 to 8 devices, but got 9"),
        ({"devices": ()}, "give 1 to 8 devices, but got 0"),
        ({"budgets": ("12ms@gpu",)}, "device 'gpu' is not in the search; it has cpu, cpu-torch"),
        ({"objectives": "quality,latency@gpu"}, "device 'gpu' is not in the search"),
    ],
)
def test_wrong_devices_are_refused_in_one_line(folder, asked, message):
    (folder / "CPU.yaml").write_text("description: x\n")
    (folder / "twin.yaml").write_text("description: the same in other words\n")
    usual = {"space": str(write_space(folder, SMALL)), "devices": ("cpu", "cpu-torch")}
    with pytest.raises(Exception, match=message) as caught:
        SearchRequest(**usual | asked).check()
    assert caught.value.exit_code == 2


def test_two_runtimes_of_this_machine(folder, monkeypatch):
    measure_briefly(monkeypatch)
    monkeypatch.setattr(loop, "list_missing_stock", lambda *_: {})
    asked = {
        "devices": ("cpu-torch", "cpu"), "objectives": "quality,latency", "trials": 2,
        "budgets": ("2s@cpu",), "study": "",
    }  # fmt: skip
    opened = calibrated(session(folder, **asked))
    assert opened.checked.study == "small-2s@cpu-cpu+cpu-torch"
    assert [corner.latencies.keys() for corner in opened.corners()] == [{"cpu"}] * 3
    assert opened.loop().run() == "all trials are done"
    record = opened.store.record()
    for trial in record.trials:
        runtimes = {name: each.runtime for name, each in trial.measured_on.items()}
        assert runtimes == {"cpu": "onnxruntime", "cpu-torch": "torch"}
    assert session(folder, **asked | {"devices": ("cpu", "cpu-torch")}).resumed
    command = opened.checked.request.to_command()
    assert "--device cpu-torch --device cpu" in command
