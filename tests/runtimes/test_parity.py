"""What a file computes is compared with the torch module before anything is timed."""

from __future__ import annotations

import pytest

from gnv2_nas.errors import MeasurementError
from gnv2_nas.measurement.batch import Batch
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.runner.lock import ignore_waiting
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.runtimes.parity import check_parity
from tests.measurement.networks import tiny_ghost
from tests.networks import random_model


def test_a_file_with_other_weights_is_refused():
    runtime, arch = get_runtime("onnxruntime"), tiny_ghost()
    session = runtime.load(runtime.write(arch, random_model(arch)), threads=1)
    with pytest.raises(MeasurementError, match=f"does not compute network {arch.id}"):
        check_parity(arch, session, runtime)


def test_logits_of_another_shape_are_refused():
    runtime, arch = get_runtime("onnxruntime"), tiny_ghost()
    session = runtime.load(runtime.write(arch.replace(num_classes=7)), threads=1)
    with pytest.raises(MeasurementError, match=r"shape \(1, 7\) .* torch \(1, 5\)"):
        check_parity(arch, session, runtime)


def test_a_file_is_checked_however_often_its_network_was_measured():
    device, arch = open_device("cpu"), tiny_ghost()
    assert measured_parity(device, arch) == measured_parity(device, arch) < 1e-4
    device.runtime = Forgetful(device.runtime)
    with pytest.raises(MeasurementError, match=f"does not compute network {arch.id}"):
        measured_parity(device, arch)


def measured_parity(device, arch):
    batch = Batch([arch], device, MeasurementOptions(), seed=0)
    batch.write(ignore_waiting)
    batch.load()
    return batch.parity[len(batch.panel)]


class Forgetful:
    """A runtime that writes other weights than those it was asked for."""

    def __init__(self, runtime):
        self._runtime = runtime

    def __getattr__(self, name):
        return getattr(self._runtime, name)

    def write(self, arch):
        return self._runtime.write(arch, random_model(arch))
