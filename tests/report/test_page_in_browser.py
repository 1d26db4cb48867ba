"""The page as a reader meets it: a file, no network, a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser

from gnv2_nas.arch import Architecture
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.study.settings import StudyDevice
from tests.report.conftest import Opened, open_file
from tests.report.studies import searched, typical

Open = Callable[..., Opened]
RECORD = searched(60, budgets=("300MFLOPs", "12ms"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(RECORD, tmp_path_factory.mktemp("reports")).html


@pytest.fixture(scope="module")
def opened(report: Path, chromium: Browser) -> Iterator[Opened]:
    """The report in a page that the tests share: opening it is most of their time."""
    opened = open_file(chromium, report)
    wait_until_drawn(opened)
    yield opened
    opened.page.context.close()


def wait_until_drawn(opened: Opened) -> None:
    opened.page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.points path'))"
    )


def point_at(opened: Opened, trial: int) -> tuple[float, float]:
    """Where a trial is drawn in the first figure, pixels of the viewport."""
    place = opened.page.evaluate(
        """(trial) => {
            const plot = document.getElementById("front-plot");
            plot.scrollIntoView({ block: "center" });
            for (const trace of plot.data) {
                const n = [...(trace.customdata || [])].indexOf(trial);
                if (n < 0) continue;
                const { xaxis, yaxis } = plot._fullLayout;
                const box = plot.getBoundingClientRect();
                return [
                    box.left + xaxis._offset + xaxis.d2p(trace.x[n]),
                    box.top + yaxis._offset + yaxis.d2p(trace.y[n]),
                ];
            }
        }""",
        trial,
    )
    return place[0], place[1]


@pytest.mark.parametrize(("width", "color_scheme"), [(1280, "light"), (390, "dark")])
def test_opens_without_complaints_or_requests(
    report: Path, open_page: Open, width: int, color_scheme: str
) -> None:
    opened = open_page(report, width=width, color_scheme=color_scheme)
    wait_until_drawn(opened)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []
    assert opened.requests == [report.as_uri()]


def test_opens_where_there_is_no_front(open_page: Open, tmp_path: Path) -> None:
    opened = open_page(write_report(typical(20, budgets=("1MFLOPs",)), tmp_path).html)
    wait_until_drawn(opened)
    assert opened.complaints == []


def test_each_budget_of_a_list_has_a_figure_and_its_table(open_page: Open, tmp_path: Path) -> None:
    record = searched(30, budgets=("120MFLOPs,200MFLOPs",))
    opened = open_page(write_report(record, tmp_path).html)
    wait_until_drawn(opened)
    for number, limit in enumerate(record.settings.limits, start=1):
        member = next(one for one in study_front(record.within(limit)) if not one.baseline)
        opened.page.click(f"a[href='#view-{number}']")
        opened.page.evaluate(
            """([view, trial]) => document.getElementById(`front-${view}-plot`)
                .emit("plotly_click", { points: [{ customdata: trial }] })""",
            [number, member.number],
        )
        opened.page.wait_for_selector(f"#networks-{number} #trial-{number}-{member.number}.found")
    assert opened.complaints == []


def test_every_candidate_is_a_point(opened: Opened) -> None:
    drawn = opened.page.evaluate(
        """document.getElementById("front-plot").data
            .filter(trace => trace.customdata)
            .reduce((sum, trace) => sum + trace.customdata.length, 0)"""
    )
    assert drawn == len(RECORD.trials)
    assert opened.page.locator("#front-plot .points path").count() >= len(study_front(RECORD))


def test_hover_shows_the_architecture(opened: Opened) -> None:
    member = next(one for one in study_front(RECORD) if not one.baseline)
    opened.page.mouse.move(*point_at(opened, member.number))
    hover = opened.page.wait_for_selector("#front-plot .hovertext")
    assert hover is not None
    text = hover.text_content() or ""
    assert member.architecture.id in text
    assert "widths" in text
    assert f"trial {member.number}" in text


def test_on_a_desktop_the_table_fits(opened: Opened) -> None:
    fits = "all => all.every(region => region.scrollWidth <= region.clientWidth)"
    assert opened.page.locator(".scroll").evaluate_all(fits)


def test_no_two_elements_share_an_id(opened: Opened) -> None:
    ids = opened.page.locator("body [id]").evaluate_all("all => all.map(one => one.id)")
    assert len(set(ids)) == len(ids)


def test_a_click_finds_the_row(opened: Opened) -> None:
    member = next(one for one in study_front(RECORD) if not one.baseline)
    opened.page.mouse.click(*point_at(opened, member.number))
    opened.page.wait_for_selector(f"#trial-{member.number}.found")


def test_the_table_downloads_architectures(opened: Opened) -> None:
    member = study_front(RECORD)[0]
    with opened.page.expect_download() as download:
        opened.page.locator(f"#trial-{member.number} a[download]").click()
    text = Path(download.value.path()).read_text()
    assert Architecture.from_json(text) == member.architecture
    assert json.loads(text)["resolution"] == member.architecture.resolution
    assert download.value.suggested_filename.endswith(f"{member.architecture.id}.json")
    assert opened.complaints == []


def test_columns_sort_within_their_group(opened: Opened) -> None:

    def latencies() -> list[float]:
        texts = opened.page.locator(
            "#networks tbody:first-of-type td:nth-of-type(2)"
        ).all_inner_texts()
        return [float(text.split()[0]) for text in texts]

    header = opened.page.get_by_role("button", name="latency, ms")
    header.click()
    assert latencies() == sorted(latencies())
    header.click()
    assert latencies() == sorted(latencies(), reverse=True)
    assert opened.page.locator("#networks tr.group").count() == 2


def test_a_reference_can_be_copied(opened: Opened) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.page.locator("tbody .copy").first.click()
    opened.page.get_by_text("copied", exact=True).wait_for()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == f"demo:{study_front(RECORD)[0].number}"


def test_nothing_on_the_page_sends_the_chart_away(opened: Opened) -> None:
    buttons = opened.page.locator("#front-plot .modebar-btn").evaluate_all(
        "buttons => buttons.map(button => button.dataset.title)"
    )
    assert len(buttons) == 6
    assert not any("cloud" in title.lower() for title in buttons)


def test_nasty_names_do_nothing(open_page: Open, tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\"'ü"
    record = typical(10, name=nasty)
    settings = replace(record.settings, space=nasty, devices=(StudyDevice(nasty),), quality=nasty)
    changed = [
        replace(one, params={"width": 1.0, nasty: n}, origin="change")
        for n, one in enumerate(record.trials)
    ]
    provenance = replace(record.provenance, command=nasty, sampler=nasty)
    record = replace(record, settings=settings, provenance=provenance, trials=tuple(changed))
    opened = open_page(write_report(record, tmp_path).html)
    wait_until_drawn(opened)
    assert opened.page.title() == f"{nasty} – gnv2-nas"
    assert opened.page.locator("h1").inner_text() == nasty
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []
    assert len(opened.requests) == 1


@pytest.mark.parametrize("networks", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_page_of_many_networks(open_page: Open, tmp_path: Path, networks: int) -> None:
    start = time.process_time()
    files = write_report(searched(networks), tmp_path)
    assert time.process_time() - start < 40
    assert files.html.stat().st_size < 10e6
    assert len(files.csv.read_text().splitlines()) > networks
    opened = open_page(files.html)
    wait_until_drawn(opened)
    assert opened.complaints == []
