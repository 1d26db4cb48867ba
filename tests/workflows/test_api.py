"""The Python functions: a study in a notebook, the checks of the command line, and no output."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gnv2_nas as gn
from gnv2_nas.errors import Gnv2NasError
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.workflows.events import Event, Message, SearchProgress
from tests.cli.command import Invoke, make_invoke
from tests.measurement.networks import tiny_ghost
from tests.search.spaces import SMALL, write_space

COUNTED = {"space": "small.yaml", "objectives": ["quality", "macs"], "quality": "params"}
FUNCTIONS = ("search", "load_study", "train", "export", "check_trust", "fit_latency_model")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path, SMALL)
    return tmp_path


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Invoke:
    return make_invoke(monkeypatch, capfd)


def test_a_search_returns_a_study_and_prints_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Event] = []
    study = gn.search("0.9MFLOPs", **COUNTED, trials=6, study="demo", events=seen.append)
    assert tuple(capfd.readouterr()) == ("", "")
    assert study.name == "demo"
    assert sum(not trial.baseline and trial.origin != "change" for trial in study.trials) == 6
    assert study.recommended in study.front
    assert all(trial.feasible for trial in study.front)
    frame = study.to_frame()
    assert len(frame) == len(study.trials)
    assert set(frame[frame["front"]]["trial"]) == {trial.number for trial in study.front}
    assert any(isinstance(each, Message) and "study demo" in each.text for each in seen)
    assert any(isinstance(each, SearchProgress) and 0 <= each.share <= 1 for each in seen)
    page = study.report(folder / "pages")
    assert page == folder / "pages" / "demo.html"
    # The command that repeats the search, although it was never typed.
    assert "gnv2-nas search --budget 0.9MFLOPs --space small.yaml" in page.read_text()
    assert not (folder / "reports").exists()
    again = gn.load_study("demo")
    assert again.trials == study.trials
    assert again.recommended == study.recommended


def test_a_notebook_shows_the_front(folder: Path) -> None:
    study = gn.search(**COUNTED, trials=4, study="<b>&", ablations=0)
    shown = study._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;:" in shown
    assert shown.count("<tr>") == 1 + len(study.front)
    assert study.recommended is not None
    assert f"<th>&lt;b&gt;&amp;:{study.recommended.number} (recommended)</th>" in shown
    nothing = gn.search("0.5MFLOPs", **COUNTED | {"study": "none", "trials": 1, "ablations": 0})
    assert nothing.front or "no network keeps every budget yet" in nothing._repr_html_()


def test_ctrl_c_keeps_what_was_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(loop: SearchLoop) -> str:
        run(loop)
        raise KeyboardInterrupt

    run = SearchLoop.run
    monkeypatch.setattr(SearchLoop, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        gn.search(**COUNTED, trials=3, study="demo", reports="reports")
    assert sum(not trial.baseline for trial in gn.load_study("demo").trials) == 3
    assert (folder / "reports" / "demo.html").exists()


WRONG = {
    "search --trials 0": lambda: gn.search(trials=0),
    "search --budget 300": lambda: gn.search(["300"]),
    "search --space ghostnetw": lambda: gn.search(space="ghostnetw"),
    "search --timeout soon": lambda: gn.search(timeout="soon"),
    "report nowhere": lambda: gn.load_study("nowhere"),
    "train ghostnet-1.0 --data digits --epochs 0": lambda: gn.train(
        "ghostnet-1.0", "digits", epochs=0
    ),
    "export ghostnet": lambda: gn.export("ghostnet"),
    "export ghostnet-1.0 --format onxx": lambda: gn.export("ghostnet-1.0", format="onxx"),
    "quality check --data digits --space tiny --seeds 0": lambda: gn.check_trust(
        "digits", "tiny", seeds=0
    ),
    "devices fit gpu": lambda: gn.fit_latency_model("gpu"),
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_raises_what_the_command_line_prints(
    folder: Path, invoke: Invoke, line: str
) -> None:
    answer = invoke(line, folder)
    with pytest.raises(Gnv2NasError) as caught:
        WRONG[line]()
    assert answer.err == f"error: {caught.value}\n"
    assert answer.code == caught.value.exit_code


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("search", {"trials": "many"}, "trials: expected int, but got str 'many'"),
        ("search", {"objectives": 3}, "objectives: expected str, but got int 3"),
        ("search", {"budgets": [300]}, "budgets: expected tuple"),
        ("search", {"space": None}, "space: expected str"),
        ("search", {"budget": "300MFLOPs"}, "unexpected keyword argument 'budget'"),
        ("train", {"network": 3, "data": "digits"}, "network: expected str"),
        ("export", {"network": "ghostnet-1.0", "output": 3}, "output: expected"),
        ("check_trust", {"data": "digits", "space": "tiny", "seeds": 1.5}, "seeds: expected int"),
        ("fit_latency_model", {"networks": "9"}, "networks: expected int"),
    ],
)
def test_a_wrong_type_fails_at_the_call(
    folder: Path, name: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        getattr(gn, name)(**arguments)
    assert {path.name for path in folder.iterdir()} == {"small.yaml"}


def test_an_architecture_is_exported_without_a_name(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arch = tiny_ghost()
    exported = gn.export(arch, output="net.onnx")
    assert exported.files == (Path("net.onnx"),)
    assert exported.card == Path("net.md")
    assert exported.parity is not None
    assert exported.parity < 1e-3
    assert tuple(capfd.readouterr()) == ("", "")
    assert gn.export(arch, format="json").files == (Path(f"{arch.id}.json"),)
    gn.export(arch, output="net.onnx", progress=True)
    assert "written: net.onnx" in capfd.readouterr().err


def test_every_function_has_a_complete_signature_and_says_what_it_raises() -> None:
    for name in FUNCTIONS:
        function = getattr(gn, name)
        signature = inspect.signature(function)
        assert signature.return_annotation is not signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty
            assert parameter.kind is not parameter.VAR_KEYWORD
            assert f"{parameter.name}: " in function.__doc__ or name == "load_study"
        assert "Raises:" in function.__doc__


def test_search_is_the_function_whoever_imports_the_room_of_that_name() -> None:
    code = (
        "import sys, gnv2_nas as gn; from gnv2_nas.search import study; import gnv2_nas.search;"
        "assert callable(gn.search) and gn.search.__name__ == 'search';"
        "assert study.__name__ == 'gnv2_nas.search.study'; gn.Study;"
        "print(*{'torch', 'optuna', 'pandas', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
