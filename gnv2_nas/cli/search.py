"""`gnv2-nas search`"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli import any_case
from gnv2_nas.cli.console import print_json, say
from gnv2_nas.cli.options import REPORTS, DeviceName, Json, ReportFolder, Storage
from gnv2_nas.commands import PROGRAM, join_command
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.cli.progress import SearchProgress
    from gnv2_nas.workflows.search import SearchSession
    from gnv2_nas.workflows.search_request import CheckedRequest


def search(
    context: typer.Context,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="Limit: 300MFLOPs, 12ms, 6Mparams or 20MB. May be given several times."),
    ] = None,
    space: Annotated[
        str,
        typer.Option(help="Search space: a name or a YAML file.", callback=any_case.space),
    ] = defaults.SPACE,
    device: DeviceName = defaults.DEVICE,
    quality: Annotated[
        str,
        typer.Option(
            help="What to maximise: an accuracy (supernet:FILE, train, predictor:FILE) or a score "
            "without data (zen, naswot, synflow, az-nas, params, macs).",
            show_default=f"{defaults.QUALITY}, or what gnv2-nas quality check found to be better",
            callback=any_case.quality,
        ),
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            help="Your images: a folder of class folders, or digits. Gives the classes.",
            callback=any_case.data,
        ),
    ] = "",
    objectives: Annotated[
        str,
        typer.Option(
            help="Comma-separated: quality, latency, macs, params, memory.",
            callback=any_case.lower,
        ),
    ] = defaults.OBJECTIVES,
    sampler: Annotated[
        str,
        typer.Option(help="predictor, nsga2, tpe, gp or random.", callback=any_case.sampler),
    ] = defaults.SAMPLER,
    trials: Annotated[
        int, typer.Option(help="Networks the study shall have in the end, stock not counted.")
    ] = defaults.TRIALS,
    timeout: Annotated[
        str,
        typer.Option(
            help="Time for this run, from its start to its report: 90s, 10m, 1.5h. Up to a fifth "
            "of it, a minute at most, is kept for measuring the front in the end."
        ),
    ] = defaults.TIMEOUT,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = defaults.SEED,
    workers: Annotated[
        int, typer.Option(help="Processes that score networks; only one measures at a time.")
    ] = defaults.WORKERS,
    stop_when_flat: Annotated[
        bool, typer.Option("--stop-when-flat", help="End when the front has stopped growing.")
    ] = False,
    changes: Annotated[
        int,
        typer.Option(help="Single changes to the recommended network to try in the end; 0: none."),
    ] = defaults.CHANGES,
    study: Annotated[str, typer.Option(help="Name; the same name goes on where it stopped.")] = "",
    storage: Storage = defaults.STORAGE,
    reports: ReportFolder = REPORTS,
    json: Json = False,
) -> None:
    """Find the networks of a space that are best on a device within budgets.

    Example: [cyan]gnv2-nas search --budget 300MFLOPs[/],
    [cyan]gnv2-nas search --budget 300MFLOPs --budget 12ms --space mobile --trials 200[/],
    [cyan]gnv2-nas search --data images --quality supernet:supernet.safetensors --budget 12ms[/]
    """
    from gnv2_nas.report.files import check_report_files
    from gnv2_nas.units import parse_duration
    from gnv2_nas.workflows.search_request import SearchRequest, check_request

    asked = SearchRequest(
        budgets=tuple(budget or ()),
        space=space,
        device=device,
        quality=quality,
        data=data,
        objectives=objectives,
        sampler=sampler,
        trials=trials,
        timeout=parse_duration(timeout, "--timeout"),
        seed=seed,
        workers=workers,
        stop_when_flat=stop_when_flat,
        changes=changes,
        study=study,
        storage=storage,
        reports=reports,
        command=join_command([PROGRAM, *sys.argv[1:]]),
    )
    checked = check_request(asked)
    check_report_files(checked.study, reports)
    if checked.settings.quality not in (quality, defaults.QUALITY):
        say(
            f"score: {checked.settings.quality}, best of the data-free ones on this space by "
            "trained networks: gnv2-nas quality check"
        )
    _run(checked, began=context.obj, json=json)


def _run(checked: CheckedRequest, *, began: float | None, json: bool) -> None:
    from gnv2_nas.cli.measuring import calibrate
    from gnv2_nas.cli.networks import size_line
    from gnv2_nas.cli.progress import SearchProgress

    space = checked.space
    say(f"study {checked.study} · space {space.name}, {space.size:.1e} genotypes")
    session = _opened(checked, began)
    if session.dataset is not None:
        for line in (*session.dataset.report.lines(), *_told(session)):
            say(line)
    if checked.settings.measures:
        calibrate(session.evaluator.device, session.deadline.at)
    if session.resumed:
        say(f"going on with {len(session.store.trials())} finished trials")
    for corner in session.corners():
        measured = "" if corner.latency is None else f", {corner.latency.ms:.2f} ms"
        say(f"{corner.name:>8}: {size_line(corner.architecture)}{measured}")
    with closing(session), SearchProgress() as progress:
        try:
            ended, interrupted = _searched(session, progress), False
        except KeyboardInterrupt:
            ended, interrupted = "interrupted; the same command goes on from here", True
    _conclude(checked, session, ended, json=json)
    if interrupted:
        raise KeyboardInterrupt


def _searched(session: SearchSession, progress: SearchProgress) -> str:
    """Search, then measure the front side by side and ask what its best compromise is made of."""
    from gnv2_nas.search.confirmation import finish

    loop = session.loop(progress.show)
    ended = loop.run()
    changes = session.checked.request.changes
    for sentence in finish(loop, changes):
        say(sentence)
    for failure in loop.failed:
        say(f"not scored: {failure.reason}")
    return ended


def _opened(checked: CheckedRequest, began: float | None) -> SearchSession:
    from gnv2_nas.cli.measuring import with_progress
    from gnv2_nas.workflows.search import SearchSession

    if not checked.settings.data:
        return SearchSession(checked, waiting=say, began=began)
    what = f"reading the images of {checked.settings.data}"
    return with_progress(what, lambda progress: SearchSession(checked, progress, say, began))


def _told(session: SearchSession) -> list[str]:
    """What the estimator says of itself."""
    info = session.evaluator.estimator.info
    noise = f"; differences up to {info.noise:.2g}{info.unit} are luck" if info.noise else ""
    return [f"{info.in_text}: {info.note}; a network costs {info.cost}{noise}"]


def _conclude(checked: CheckedRequest, session: SearchSession, ended: str, *, json: bool) -> None:
    from gnv2_nas.cli.front import print_front
    from gnv2_nas.report.study_page.write import write_report
    from gnv2_nas.report.wording import next_command
    from gnv2_nas.search.analysis.recommendation import recommend

    record = session.store.record()
    files = write_report(record, checked.request.reports)
    found = recommend(record)
    if json:
        return print_json(
            {"study": record.name, "ended": ended, "report": str(files.html), "front": found.front}
        )
    say(f"ended: {ended}")
    print_front(record, found.front)
    say(f"report: {files.html}")
    if found.recommended:
        say(f"next: {next_command(record, found.recommended)}")
    return None
