"""Files of latency models: read back as written, and nothing else is taken for one."""

from __future__ import annotations

import json

import msgspec
import pytest

from gnv2_nas.arch import preset
from gnv2_nas.devices import Fingerprint
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.errors import InputError, StorageError
from gnv2_nas.latency_model.correction import correct_latency_model
from gnv2_nas.latency_model.file import (
    FittedOn,
    differences,
    latency_path,
    load_device_model,
    load_latency_model,
    save_latency_model,
)
from gnv2_nas.latency_model.model import fit_latency_model
from tests.latency_model.made_up_latencies import PaperDevice, networks

HERE = Fingerprint("Paper", 2, 4.0, "Linux", "3.11.7", "onnxruntime 1.31")
OTHER = PaperDevice(depthwise_macs_per_ns=1.5, bytes_per_ns=6, start_ns=10000, copies=3)


@pytest.fixture(scope="module")
def model():
    known = networks(40)
    return fit_latency_model(known, PaperDevice().measure(known), held_out=10)


@pytest.fixture
def device():
    return Device("paper", DeviceProfile("made up"))


@pytest.fixture
def fitted_on(device):
    return FittedOn("paper", device.profile.content_hash, HERE, "ghostnetv2", "abc")


@pytest.fixture
def kept(model, fitted_on, tmp_path):
    path = latency_path("paper", tmp_path)
    save_latency_model(model, fitted_on, path)
    return path


def changed(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return path


def test_it_predicts_the_same_once_read_back(model, fitted_on, kept, device):
    found, known = load_device_model(device, kept.parent)
    presets = [preset("ghostnetv2-1.0"), preset("mobilenetv3-large-1.0")]
    assert found.predict(presets) == model.predict(presets)
    assert (found.errors, found.noise_floor) == (model.errors, model.noise_floor)
    assert (found.networks, found.held_out) == (40, 10)
    assert known == fitted_on


def test_a_correction_is_read_back(model, fitted_on, tmp_path):
    few = networks(20, seed=3)
    corrected = correct_latency_model(model, few, OTHER.measure(few))
    path = tmp_path / "other.latency.json"
    save_latency_model(corrected, msgspec.structs.replace(fitted_on, corrected_from="x"), path)
    found, known = load_latency_model(path)
    assert found.predict(few) == corrected.predict(few)
    assert known.corrected_from == "x"


def test_an_older_file_is_replaced_only_by_a_whole_one(model, fitted_on, kept):
    before = kept.read_bytes()
    with pytest.raises(StorageError, match="cannot write"):
        save_latency_model(model, fitted_on, kept / "below.json")
    assert kept.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"type": "x"}', b"null"])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "cpu.latency.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cpu.latency.json: not a latency model"):
        load_latency_model(path)


def test_a_model_cut_short_is_refused(kept):
    kept.write_bytes(kept.read_bytes()[:-300])
    with pytest.raises(InputError, match="not a latency model"):
        load_latency_model(kept)


def test_another_format_version_is_refused(kept):
    with pytest.raises(InputError, match=r"not a latency model .*version"):
        load_latency_model(changed(kept, version=2))


def test_other_features_are_refused(kept):
    with pytest.raises(InputError, match=r"other features.*gnv2-nas devices fit paper"):
        load_latency_model(changed(kept, features=["macs"]))


@pytest.mark.parametrize("field", ["centre", "weights", "known", "scale"])
@pytest.mark.parametrize("damage", ["short", "nan"])
def test_numbers_that_do_not_fit_together_are_refused(kept, field, damage):
    ridge = json.loads(kept.read_text())["ridge"]
    # 24 bytes of ones are three float64 that are no numbers.
    ridge[field] = ridge[field][:-32] if damage == "short" else "/" * 32 + ridge[field][32:]
    with pytest.raises(InputError, match="corrupt file"):
        load_latency_model(changed(kept, ridge=ridge))


@pytest.mark.parametrize("reference_ms", [0, -1.0])
def test_a_reference_of_no_time_is_refused(kept, reference_ms):
    with pytest.raises(InputError, match="corrupt file"):
        load_latency_model(changed(kept, reference_ms=reference_ms))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        load_latency_model(tmp_path / "no.latency.json")


def test_a_device_without_a_model_says_how_to_make_one(device, tmp_path):
    with pytest.raises(InputError, match=r"make one: gnv2-nas devices fit paper"):
        load_device_model(device, tmp_path)


def test_a_model_of_another_profile_is_refused(kept):
    threads = Device("paper", DeviceProfile("made up", threads=2))
    with pytest.raises(InputError, match=r"another device profile .*gnv2-nas devices fit paper"):
        load_device_model(threads, kept.parent)


def test_another_machine_is_told_in_words(fitted_on):
    assert differences(fitted_on, msgspec.structs.replace(HERE, load=3.0, python="3.12.1"), 1) == []
    other = msgspec.structs.replace(HERE, cpu="Cortex-A76", runtime="onnxruntime 1.32")
    assert differences(fitted_on, other, 1) == [
        "processor: fitted on Paper, here Cortex-A76",
        "runtime: fitted on onnxruntime 1.31, here onnxruntime 1.32",
    ]


def test_cores_count_only_where_the_threads_would_use_them(fitted_on):
    there = msgspec.structs.replace(fitted_on.fingerprint, cores=8)
    fitted_on = msgspec.structs.replace(fitted_on, fingerprint=there)
    here = msgspec.structs.replace(there, cores=2)
    for threads in (1, 2):
        assert differences(fitted_on, here, threads) == []
    assert differences(fitted_on, here, 4) == ["cores for its threads: fitted on 4, here 2"]
