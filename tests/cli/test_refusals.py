"""Wrong input: exit code 2 and one line that says what, where and what would be right."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.command import gnv2_nas, run_installed

HEAVY = {"torch", "optuna", "sqlalchemy", "pandas", "plotly", "onnxruntime"}
OLD_EXPORT = b"\x08\x08\x12\x08gnv2-nas, and the network of an earlier export"
SMALL = "search --space small.yaml --study new"

REFUSED = {
    "search --budget 300": "budget '300' has no unit; for example 300MFLOPs",
    "search --budget -5ms": "budget '-5ms': `0 < budget < inf` must hold",
    "search --budget 0MFLOPs": "budget '0MFLOPs': `0 < budget < inf` must hold",
    "search --budget 300parsecs": "unknown unit 'parsecs'; for example 300MFLOPs",
    "search --budget 5ms --budget 6ms": "'5ms' and '6ms' limit the same thing; give one",
    "search --budget 1MFLOPs": "no network of space 'ghostnetv2' can meet 1MFLOPs; nearest is",
    f"{SMALL} --budget 1B": "no network of space 'small' can meet 1B; nearest is",
    "search --space ghostnetv3": "unknown space 'ghostnetv3'; did you mean 'ghostnetv2'?|"
    "unknown search space 'ghostnetv3'; did you mean 'ghostnetv2'?",
    "search --space no.yaml": "file 'no.yaml'; known: ",
    "search --space even.yaml": "even.yaml:4: key 'axes.dfc_kernel_h.choices[1]': a kernel must be"
    " odd, but got 4; try 3 or 5",
    "search --space typo.yaml": "typo.yaml:4: key 'axes.widht': unknown key; did you mean 'width'?",
    "search --space empty.yaml": "empty.yaml:4: key 'axes.width.choices'",
    "search --space twice.yaml": "twice.yaml:4: ",
    "search --space tags.yaml": "tags.yaml:1: ",
    "search --space huge.yaml": "huge.yaml: 10,000,0",
    "search --device gpu": "unknown device 'gpu'; known: cpu, fast|unknown device 'gpu'; did you",
    "search --device fast": "profiles/fast.yaml:2: key 'threads'",
    "search --sampler nsga3": "unknown sampler 'nsga3'; did you mean 'nsga2'? known:",
    "search --quality accuracy": "unknown quality estimator 'accuracy'; known: az-nas, macs, ",
    "search --objectives quality,speed": "unknown objective 'speed'; known: artifact, latency,",
    "search --objectives ,": "--objectives is empty; give one or more of quality,latency",
    "search --trials 0": "`trials >= 1` must hold, but got 0",
    "search --trials many": "'--trials': ",
    "search --timeout 5parsecs": "cannot read --timeout '5parsecs'; write for example 90s",
    "search --timeout 0s": "--timeout '0s': `timeout > 0` must hold",
    "search --seed -1": "`seed >= 0` must hold, but got -1",
    "search --workers 0": "`workers >= 1` must hold, but got 0",
    "search --workers -1": "`workers >= 1` must hold, but got -1",
    "search --workers 99999": "the memory of this machine holds at most",
    "search --ray host:10001": "'host:10001' is neither 'auto' nor like 'ray://HOST:10001'",
    "farm": "name the devices to serve, such as --device pi5 --device phone",
    "farm --device cup": "unknown device 'cup'; did you mean 'cpu'?",
    "farm status --ray host:10001": "'host:10001' is neither 'auto' nor like 'ray://HOST:10001'",
    "search --ablations -1": "`ablations >= 0` must hold, but got -1",
    "search --storage studies.db": "is not a URL; for a file write 'sqlite:///studies.db'",
    "search --storage sqlite:///text.db": "'text.db' is not a SQLite database",
    "search --storage sqlite:///songs.db": "'songs.db' is a SQLite database, but not one of Optuna",
    "search --storage sqlite:///no/such.db": "the folder of 'no/such.db' does not exist",
    "search --storage sqlite:///folder": "'folder' is not a file",
    f"{SMALL} --reports text.db": "cannot write to 'text.db': File exists; choose a folder",
    f"{SMALL} --reports closed": "cannot write to 'closed': Permission denied; choose a folder",
    "search --bugdet 5ms": "(see gnv2-nas search --help)",
    "search ghostnetv2": "ghostnetv2",
    "search --data nowhere": "nowhere",
    "search --data folder": "'folder' holds no class folders; put the images of each class into",
    "search --quality supernet": "--quality supernet needs a file: give supernet:FILE, where",
    "search --quality supernet:super.safetensors": "its metadata holds supernet: ",
    "search --quality supernet:no.safetensors --data digits": "no file 'no.safetensors'",
    "search --quality zen:file --data digits": "--quality zen takes no file",
    "train net.json": "Missing option '--data'",
    "train net.json --data nowhere": "no folder 'nowhere'; give a folder of images, or 'digits'",
    "train net.json --data single": "'single' holds a single class, 'cat'; at least 2 are needed",
    "train ghostnet --data digits": "unknown network 'ghostnet'; did you mean 'ghostnet-1.0'?",
    "train supernet --data digits": "a supernet covers a space: name it with --space",
    "train supernet --data digits --space tinny": "unknown space 'tinny'; did you mean 'tiny'?|"
    "unknown search space 'tinny'; did you mean 'tiny'?",
    "train supernet --data digits --space small.yaml --weights good.pth": "--weights is for one",
    "train supernet --data digits --space small.yaml --resolution 32": "--resolution is for one",
    "train net.json --data digits --space small.yaml": "--space is for a supernet; leave it out",
    "train net.json --data digits --weights good.pth --from-supernet super.safetensors": "give one",
    "train net.json --data digits --weights text.pth": "text.pth",
    "train net.json --data digits --weights missing.safetensors": "classifier.bias",
    "train net.json --data digits --weights super.safetensors": "is a supernet, not the weights",
    "train net.json --data digits --from-supernet good.safetensors": "a supernet is needed",
    "train good.safetensors --data digits": "does not say which network it is of",
    "train net.json --data digits --epochs 0": "--epochs: `epochs > 0` must hold, but got 0",
    "train net.json --data digits --batch-size 1": "--batch-size: `batch_size >= 2` must hold",
    "train mobilenetv3-large-1.0 --data digits --recipe v3": "inverted residual; use recipe v2",
    "train net.json --data digits --recipe v4": "--recipe must be v2 or v3, but got 'v4'",
    "train supernet --space tiny --data digits --recipe v3": "not for a supernet",
    "train net.json --data digits --learning-rate nan": "`learning_rate > 0` must hold",
    "train net.json --data digits --resolution 0": "resolution",
    "train net.json --data digits --seed -1": "`seed >= 0` must hold, but got -1",
    "train net.json --data digits --device tpu": "auto, cpu, cuda, cuda:1 or mps, but got 'tpu'",
    "train net.json --data digits --output net.pth": "the name must end in .safetensors",
    "train net.json --data digits --output good.safetensors": "'good.safetensors' exists already",
    "train net.json --data digits --output taken.safetensors": "would overwrite 'taken.html'",
    "train net.json --data digits --output no/net.safetensors": "the folder of 'no/net.saf",
    "train net.json ghostnet-1.0 --data digits --output a.safetensors": "networks need a folder",
    "train net.json ghostnet-1.0 net.json --data digits": "two of the networks have the same name",
    "train supernet net.json --data digits --space tiny": "a supernet is trained alone",
    "train net.json --data digits --workers 0": "--workers: `workers >= 1` must hold, but got 0",
    "train net.json --data digits --ray host:1": "'host:1' is neither 'auto' nor like 'ray://HOST",
    "train demo:99 --data digits": "study 'demo' has no trial 99; its trials are 0 to ",
    "profile ghostnet": "unknown network 'ghostnet'; did you mean 'ghostnet-1.0'? known:",
    "profile broken.json": "broken.json: not an architecture in JSON: ",
    "profile other.json": "other.json: not an architecture in JSON: ",
    "profile deep.json": "deep.json: not an architecture in JSON: ",
    "profile no.json": "cannot read 'no.json': No such file or directory",
    "profile gone.onnx": "cannot read 'gone.onnx': No such file or directory",
    "profile closed/../gone.tflite": "gone.tflite': No such file or directory",
    "search --baseline net.pb=75": "'net.pb' has the format '.pb'; files of other tools that can",
    "profile demo:99": "study 'demo' has no trial 99; its trials are 0 to ",
    "profile demo:last": "a trial is a number, for instance demo:12, but got 'last'",
    "profile dmeo:0": "unknown study 'dmeo'; did you mean 'demo'? known: demo",
    "profile demo:0 --storage sqlite:///new.db": "none in sqlite:///new.db; make one with",
    "profile net.json --device gpu": "unknown device 'gpu'",
    "profile net.json --device cpu --device fast": "measures on one device, but got cpu and fast;",
    "profile net.json --pace 0": "--pace takes frames a second above 0, such as 30fps, but got '0'",
    "profile net.json --pace fast": "--pace takes frames a second above 0, such as 30fps",
    "profile net.json --pace 2000fps": "--pace must be from 1fps to 1000fps, but got 2000fps",
    "profile net.json --pace 30fps --layers": "--pace does not go with --predict or --layers",
    "profile net.json --memory --compare": "--compare needs at least two networks, but got 1",
    "profile net.json --memory --budget 9ms": "--memory does not go with --predict, --layers, --co",
    "profile net.json --memory --device cpu-torch": "'cpu-torch' does not tell peak memory,",
    "search --budget 9MB:peak-memory --device cpu-torch": "'cpu-torch' does not tell peak memory",
    "profile net.json --sustained 1m": "--sustained must be from 2m to 24h, but got '1m'",
    "profile net.json --sustained 5m --budget 9ms": "--sustained does not go with --predict, --la",
    "profile net.json --history --compare": "--compare needs at least two networks",
    "profile net.json --history --reuse": "--history does not go with --predict, --layers, --mem",
    "profile net.json --history": "no measurement of net.json in 'profiles/cpu.jsonl'; leave --h",
    "profile net.json --export csv a.json": "unknown export format 'csv'; known: google-benchmark",
    "profile net.json --export google-benchmark net.json": "'net.json' would overwrite 'net.json'",
    "profile net.json --device pinned": "profiles/pinned.yaml: cores 8000 cannot be used: this",
    "profile net.json --compare": "--compare needs at least two networks, but got 1",
    "profile net.json --budget 300MFLOPs": "takes a latency above 0, for example 12ms, but got",
    "profile net.json --budget soon": "'soon'",
    "report dmeo": "unknown study 'dmeo'; did you mean 'demo'? known: demo",
    "report": "Missing argument",
    "report demo --storage sqlite:///text.db": "'text.db' is not a SQLite database",
    "report demo --reports closed": "cannot write to 'closed': Permission denied",
    "evaluate dmeo": "unknown study 'dmeo'; did you mean 'demo'? known: demo",
    "evaluate demo": "study 'demo' was searched without images; give the images to train on:",
    "evaluate demo:99 --data digits": "study 'demo' has no trial 99; its trials are 0 to",
    "evaluate demo --data digits --seeds 0": "--seeds: `seeds >= 1` must hold, but got 0",
    "evaluate demo --data digits --epochs 0": "--epochs: `epochs > 0` must hold, but got 0",
    "evaluate demo --data digits --networks ghostnett-1.0": "did you mean 'ghostnet-1.0'?",
    "evaluate demo --data digits --recipe v4": "--recipe must be v2 or v3, but got 'v4'",
    "evaluate demo --data digits --precision int4": "--precision must be fp32 or int8, but got",
    "evaluate demo --data nowhere": "nowhere",
    "evaluate demo --data digits --reports closed": "cannot write to 'closed': Permission denied",
    "evaluate demo --data digits --networks mobilenetv3-large-1.0 --recipe v3": "use recipe v2",
    "export net.json --format onxx": "unknown format 'onxx'; did you mean 'onnx'? known:",
    "export net.json --precision int9": "unknown precision 'int9'; did you mean 'int8'?",
    "export net.json --format ncnn --precision int8": "is for --format onnx and openvino, but got",
    "export net.json --data digits": "--data names the images that weights were trained on, for",
    "export net.json --precision int8 --weights good.safetensors": "give --calibration-images",
    "export net.json --calibration-images x.npy": "are for precision 'int8', not for 'fp32'",
    "export net.json --weights no.pth": "no.pth",
    "export net.json --weights text.pth": "text.pth",
    "export net.json --weights folder": "folder",
    "export net.json --weights plain.pth": "plain.pth",
    "export net.json --weights zipped.pth": "zipped.pth",
    "export net.json --weights missing.safetensors": "classifier.bias",
    "export net.json --weights extra.safetensors": "extra.weight",
    "export net.json --weights shape.safetensors": "classifier.bias",
    "export ghostnet-1.0 --weights good.pth": "good.pth",
    "export good.safetensors": "'good.safetensors' does not say which network it is of",
    "export no.safetensors": "'no.safetensors' does not exist; a checkpoint file is needed",
    "export net.json --weights super.safetensors": "is a supernet, not the weights of one network",
    "export super.safetensors": "is a supernet: it holds every network of a space",
    "export net.json --output closed/net.onnx": "cannot write to 'closed': Permission denied",
    "quality check --data nowhere --space tiny": "nowhere",
    "quality check --data digits --space tinny": "did you mean 'tiny'?",
    "quality check --data digits --space tiny --networks 1": "2 or more",
    "quality check --data digits --space tiny --seeds 0": "--seeds must be 1 or more",
    "quality check --data digits --space tiny --epochs 0": "above 0",
    "quality check --data digits --space tiny --epochs nan": "above 0",
    "quality check --data digits --space tiny --budget 4ms": "multiply-adds",
    "quality check --data digits --space tiny --budget 9GFLOPs": "it goes from",
    "quality check --data digits --space tiny --quality zenn": "'zen'",
    "quality check --data digits --space tiny --supernet no.pt": "no.pt",
    "quality fit --data digits --space tiny --quality zen": "no accuracy",
    "quality fit --data digits --space tiny --quality supernet": "FILE",
    "quality check --data digits --space tiny --workers -1": "`workers >= 1` must hold, but got -1",
    "quality fit --data digits --space tiny --quality train --networks 5": "20 or more",
    "quality fit --data digits --space tiny --quality train --output a/b": "folder",
    "profile --predict": "no latency model (profiles/cpu.latency.json); make one: gnv2-nas",
    "profile --predict --layers": "--predict does not go with --layers, --compare or",
    "profile --predict --budget 3ms": "--predict does not go with",
    "devices fit": "Missing argument",
    "devices fit gpu": "unknown device 'gpu'",
    "devices fit cpu --networks 5": "at least 8 networks to be fitted to, but got 4",
    "devices fit cpu --from no.json": "cannot read 'no.json': No such file",
    "spaces ghostnetv3": "'ghostnetv3'; did you mean 'ghostnetv2'?",
    "devices gpu": "gpu",
    "devices add pi": "Missing argument 'URL'",
    "devices add pi raspberrypi.local": "'raspberrypi.local' is not the URL of a device: ",
    "devices add pi ssh://": "'ssh://' names no host",
    "devices add a/b ssh://pi": "'a/b' cannot be the name of a device: use up to 64 letters",
    "devices add cpu ssh://pi": "there is a device 'cpu' already: choose another name, or remove",
    "devices add pi ssh://pi --runtime torch": "'torch' runs on this machine only; other devices",
    "devices add pi ssh://pi --runtime executorch": "cannot be installed on a device, because its",
    "devices add pi ssh://pi --runtime tensorrt": "unknown runtime 'tensorrt'; ",
    "devices add pi ssh://pi --runner perl": "--runner is python or native, but got 'perl'",
    "devices add pi adb:// --runtime openvino": "adb devices run the native runner, which has the",
    "devices add pi ssh://pi --cores fast": "--cores takes core numbers such as 4,5 or 4-7",
    "devices add pi ssh://pi --threads 0": "--threads must be from 1 to 256, but got 0",
    "devices add pi ssh://pi --precision fp8": "runtime 'onnxruntime' runs at fp32, int8 on cpu",
    "devices check gpu": "unknown device 'gpu'",
    "devices check fast": "profiles/fast.yaml:2: key 'threads'",
    "devices remove gpu": "unknown device 'gpu'",
    "devices remove cpu": "cpu ships with gnv2-nas and cannot be removed",
    "serach": "serach",
    "--bogus": "--bogus",
}


NEEDS_ORDINARY_USER = [line for line in REFUSED if "closed" in line]
IN_NEW_PROCESS = (
    "search --budget 1MFLOPs",
    "search --storage sqlite:///songs.db",
    "search --quality supernet:super.safetensors",
    "train net.json --data digits --output net.pth",
    "train net.json --data digits --weights text.pth",
    "profile net.json --budget soon",
    "profile demo:99",
    "report dmeo",
    "export net.json --weights zipped.pth",
    "export net.json --format ncnn --precision int8",
    "quality check --data digits --space tiny --seeds 0",
    "quality fit --data digits --space tiny --quality train --networks 5",
    "devices fit cpu --networks 5",
)


def list_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def check_refusal(answer, expected):
    assert answer.out == ""
    (message,) = answer.err.splitlines()
    assert message.startswith("error: ")
    assert any(each in message for each in expected.split("|"))
    assert len(message) < 1200
    assert answer.code == 2


@pytest.mark.parametrize("line", [line for line in REFUSED if line not in NEEDS_ORDINARY_USER])
def test_wrong_input_is_refused_in_one_line(prepared, invoke, line):
    before = list_files(prepared)
    check_refusal(invoke(line, prepared), REFUSED[line])
    assert list_files(prepared) == before
    assert not (prepared / "pwned").exists()


@pytest.mark.parametrize("line", [*IN_NEW_PROCESS, *NEEDS_ORDINARY_USER])
def test_wrong_input_is_refused_before_anything_heavy_is_imported(prepared, line):
    answer = run_installed(*shlex.split(line), cwd=prepared, ordinary=line in NEEDS_ORDINARY_USER)
    check_refusal(answer, REFUSED[line])
    assert not answer.imported & HEAVY


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "search --space small.yaml --study demo",
            "study 'demo' was made with quality params, not",
        ),
        ("report demo --storage nosuchkind://x", "--storage cannot be opened: "),
    ],
)
def test_what_only_the_database_knows_is_refused_in_one_line(prepared, line, expected):
    answer = gnv2_nas(*shlex.split(line), cwd=prepared)
    (message,) = (each for each in answer.err.splitlines() if each.startswith("error: "))
    assert expected in message
    assert (answer.code, answer.out) == (2, "")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("line", ["profile ../net.json", "search --space ../small.yaml"])
def test_a_folder_that_can_keep_no_measurement_is_refused_before_measuring(prepared, line):
    storage = "--storage sqlite:///../new.db" + " --reports ../reports" * ("search" in line)
    answer = run_installed(
        *shlex.split(f"{line} {storage}"), cwd=prepared / "closed", ordinary=True
    )
    assert answer.err == (
        "error: cannot write to 'profiles': Permission denied; choose a folder you may write to\n"
    )
    assert (answer.code, answer.out) == (2, "")
    assert not answer.imported & HEAVY


def test_weights_that_fit_are_exported(prepared, tmp_path):
    for name in ("good.safetensors", "good.pth"):
        target = tmp_path / f"{name}.onnx"
        answer = gnv2_nas("export", "net.json", "--weights", name, "--output", target, cwd=prepared)
        assert (answer.code, answer.out) == (0, "")
        assert target.stat().st_size > 10_000
        assert "random" not in answer.err
        assert f"| weights | `{name}` |" in target.with_suffix(".md").read_text()
    one, other = (path.read_bytes() for path in sorted(tmp_path.glob("*.onnx")))
    assert one == other


def test_a_text_of_the_users_is_not_overwritten_by_a_card(prepared, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    target = tmp_path / "README.onnx"
    answer = gnv2_nas("export", "net.json", "--output", target, cwd=prepared)
    assert answer.code == 2
    assert "the model card would overwrite" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_full_disk_while_exporting_fails_and_leaves_the_old_file(prepared, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_bytes(OLD_EXPORT)
    answer = run_installed(
        "export", "net.json", "--output", target, cwd=prepared, largest_file=5_000
    )
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith(f"error: cannot write {str(target)!r}: ")
    assert target.read_bytes() == OLD_EXPORT
    assert list(tmp_path.iterdir()) == [target]
