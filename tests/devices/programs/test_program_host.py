"""A benchmark program on the device measures networks, or says in one line why it cannot."""

from __future__ import annotations

import statistics
import struct
import sys
from pathlib import Path

import pytest

from gnv2_nas.arch import preset
from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.devices.profile import BenchmarkProgram
from gnv2_nas.devices.programs import host as program_host
from gnv2_nas.errors import DeviceError
from gnv2_nas.measurement import measure
from gnv2_nas.runner.rounds import SessionOrder, run_session
from gnv2_nas.runner.timing import wall_timer
from gnv2_nas.runtimes.base import get_runtime
from tests.measurement.networks import tiny_ghost

ENDLESS = 1e9
NETWORK = {".tflite": b"a network"}
TIMES = "Inference timings in us: Warmup (avg): 20, Inference (avg): 10"


def order(*rounds: list[int]) -> SessionOrder:
    return SessionOrder(sorted(rounds[0]), rounds, ENDLESS)


def test_litert_benchmark_finds_about_the_time_that_our_runtime_finds(open_host):
    program = Path(sys.executable).with_name("litert-benchmark")
    runtime = get_runtime("litert")
    files = runtime.write(preset("ghostnetv2-1.0").replace(resolution=128))
    bench = open_host("litert-benchmark", program).open_bench([files])
    assert bench.load(0) is None
    found: list[float] = []
    bench.run_session(order([0], [0], [0]), lambda visits: found.extend(v[2] for v in visits))
    session, own = runtime.load(files, threads=1), []
    run_session(
        lambda _: session.run, wall_timer, order(*[[0]] * 50),
        lambda visits: own.extend(visit[2] for visit in visits),
    )  # fmt: skip
    assert len(found) == 3
    assert 0.2 < min(found) / statistics.median(own) < 5


def test_a_device_of_a_program_measures_networks(write_program, tmp_path, monkeypatch):
    # It stands for a `benchmark_model` that takes a nanosecond for each byte of the network.
    times = TIMES.replace("20", "$n").replace("10", "$n")
    program = write_program(f'n=$(wc -c < "${{1#--graph=}}"); echo "{times}"')
    monkeypatch.setenv("HOME", str(tmp_path))
    benchmark = BenchmarkProgram(str(program), "benchmark_model")
    device = Device("board", DeviceProfile("a board", runtime="litert", benchmark=benchmark))
    (found,) = measure([tiny_ghost()], device, seconds_per_network=0.1)
    sizes = [
        len(device.runtime.write(each)[".tflite"])
        for each in (tiny_ghost(), preset("ghostnetv2-1.0"))
    ]
    assert found.ratio == pytest.approx(sizes[0] / sizes[1], rel=0.01)
    assert (found.clock, found.runtime, found.parity) == ("program", "benchmark_model", None)
    assert found.fingerprint.runtime.startswith("benchmark_model (")
    assert found.rounds > 4  # a visit of a program takes long, and gets the time for it
    assert found.percentiles_ms == {}


def test_the_program_gets_the_file_the_settings_and_the_cores(open_host, write_program, device):
    program = write_program(f"echo $(taskset -p $$) $* >> told; echo '{TIMES}'")
    host = open_host("benchmark_model", program, "--use_gpu=true", cores=(0,))
    bench = host.open_bench([NETWORK, {".tflite": b"another"}])
    bench.load(1)
    told = device.pull("told").decode()
    assert ": 1 --graph=files/" in told
    assert "--num_threads=1 " in told
    assert told.endswith("--use_gpu=true\n")
    # Fast networks are called more often in a visit than when their time is not known yet.
    bench.run_session(order([1]), lambda _: None)
    assert f"--num_runs={program_host.MIN_CALLS} " in told
    assert f"--num_runs={program_host.MAX_CALLS} " in device.pull("told").decode()


def test_visits_follow_the_order_and_end_with_the_time(open_host, write_program, device):
    program = write_program(f"echo $1 >> told; echo '{TIMES}'")
    host = open_host("benchmark_model", program)
    networks = [NETWORK, {".tflite": b"another"}]
    paths = [path for (path,) in host.store(networks)]
    bench = host.open_bench(networks)
    rounds: list[int] = []
    session = SessionOrder([0, 1], [[1, 0], [0, 1]], 0.0)
    bench.run_session(session, lambda visits: rounds.append(len(visits)))
    assert rounds == [2]
    assert device.pull("told").decode().split() == [f"--graph={paths[n]}" for n in (1, 0)]


ENGINE = """
for each; do case $each in
--onnx=*) from=${each#--onnx=};;
--saveEngine=*) cp "$from" "${each#--saveEngine=}"; echo built >> told;;
--loadEngine=*) test -s "${each#--loadEngine=}" || { echo '[E] no engine'; exit 1; };;
esac; done
echo 'GPU Compute Time: min = 1 ms, max = 3 ms, mean = 2 ms, median = 2.5 ms'
"""


def test_trtexec_builds_an_engine_once(open_host, write_program, device):
    program, times = write_program(ENGINE), []
    for arguments, builds in (((), 1), ((), 1), (("--fp16",), 2)):
        bench = open_host("trtexec", program, *arguments).open_bench([{".onnx": b"a network"}])
        bench.load(0)
        bench.run_session(order([0]), lambda visits: times.append(visits[0][2]))
        assert device.pull("told").decode().split() == ["built"] * builds
    assert times == [2.5e-3] * 3
    assert all(name.endswith(".engine") for name in device.sizes(program_host.ENGINES))


FOREIGN = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 9999, 1) + bytes(40)
"""A program for a processor that no emulator knows."""


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("exit 0", r"program' on board printed nothing; it should print 'Inference \(avg\)'"),
        ("echo hello; echo", "printed no times; its last line: 'hello'"),
        ("echo 'ERROR: no such file'; echo INFO: bye; exit 3", "exit code 3: ERROR: no such file$"),
        ("kill -9 $$", "program' on board failed: "),
        (f"echo '{TIMES}' | sed 's/10/nan/'", "time of a call is 'nan', but must be a positive"),
        (f"echo '{TIMES}' | sed 's/ 10/ -4/'", "time of a call is '-4', but must be a positive"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cores", [(), (0,)])
def test_a_program_that_prints_no_times_is_one_line(open_host, write_program, cores, body, line):
    bench = open_host("benchmark_model", write_program(body), cores=cores).open_bench([NETWORK])
    with pytest.raises(DeviceError, match=line) as caught:
        bench.load(0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cores", [(), (0,)])
def test_a_program_that_cannot_run_is_one_line(open_host, tmp_path, cores):
    def fail(program: Path | str, line: str) -> None:
        host = open_host("benchmark_model", program, cores=cores)
        with pytest.raises(DeviceError, match=line) as caught:
            host.open_bench([NETWORK]).load(0)
        assert "\n" not in str(caught.value)

    fail("/nowhere/benchmark_model", "no program '/nowhere/benchmark_model'")
    fail("no-such-program", "no program 'no-such-program'")
    file = tmp_path / "program"
    file.write_bytes(FOREIGN)
    fail(file, "is not executable; chmod")
    file.chmod(0o755)
    fail(file, "is a program for processor 9999, but this machine runs programs for")
