"""Budgets and durations as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnv2_nas.errors import BudgetError, InputError
from gnv2_nas.units import (
    format_at_least,
    format_duration,
    format_quantity,
    parse_duration,
    parse_quantity,
    parse_rate,
    shortest_quantity,
)


@pytest.mark.parametrize(
    ("text", "dimension", "amount"),
    [
        ("300MFLOPs", "macs", 300e6),
        ("300 MFLOPs", "macs", 300e6),
        ("  300 mflops  ", "macs", 300e6),
        ("0.3GFLOPs", "macs", 300e6),
        ("3e8FLOPs", "macs", 300e6),
        ("300000kMACs", "macs", 300e6),
        ("300MMAC", "macs", 300e6),
        ("6Mparams", "params", 6e6),
        ("6000kparam", "params", 6e6),
        ("12ms", "time", 12.0),
        ("12MS", "time", 12.0),
        (".5s", "time", 500.0),
        ("+12.ms", "time", 12.0),
        ("250us", "time", 0.25),
        ("250\N{MICRO SIGN}s", "time", 0.25),
        ("250\N{GREEK SMALL LETTER MU}s", "time", 0.25),
        ("20MB", "bytes", 20e6),
        ("20mb", "bytes", 20e6),
        ("20MiB", "bytes", 20 * 2**20),
        ("512KiB", "bytes", 512 * 2**10),
        ("4096B", "bytes", 4096),
        ("2kB", "bytes", 2e3),
        ("2GB", "bytes", 2e9),
        ("2GiB", "bytes", 2 * 2**30),
        ("2Gparams", "params", 2e9),
        ("7params", "params", 7.0),
    ],
)
def test_budgets_are_read(text, dimension, amount):
    assert parse_quantity(text) == (dimension, pytest.approx(amount, rel=1e-12))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("300", "has no unit"),
        ("", "a number with a unit is needed"),
        ("ms", "a number with a unit is needed"),
        ("MFLOPs300", "a number with a unit is needed"),
        ("-5ms", "`0 < budget < inf` must hold"),
        ("0MFLOPs", "`0 < budget < inf` must hold"),
        ("-0ms", "`0 < budget < inf` must hold"),
        ("1e400MB", "`0 < budget < inf` must hold"),
        ("1e-400ms", "`0 < budget < inf` must hold"),
        ("1e305GB", "`0 < budget < inf` must hold"),
        ("nan ms", "a number with a unit is needed"),
        ("inf ms", "a number with a unit is needed"),
        ("6M params", "a number with a unit is needed"),
        ("12 ms 6", "a number with a unit is needed"),
        ("1,5ms", "unknown unit ',5ms'"),
        ("1_000ms", "unknown unit '_000ms'"),
        ("0x10MB", "unknown unit 'x10MB'"),
        ("300parsecs", "unknown unit 'parsecs'"),
        ("300M", "unknown unit 'M'"),
        ("5m", "unknown unit 'm'"),
        ("300MMFLOPs", "unknown unit 'MMFLOPs'"),
        ("12mms", "unknown unit 'mms'"),
        ("12\N{CYRILLIC SMALL LETTER EM}s", "unknown unit"),
    ],
)
def test_wrong_budgets_are_refused_with_what_would_be_right(text, problem):
    with pytest.raises(BudgetError) as caught:
        parse_quantity(text)
    message = str(caught.value)
    assert repr(text) in message
    assert problem in message
    assert "for example 300MFLOPs, 12ms, 6Mparams or 20MB" in message
    assert "\n" not in message


@given(st.text(max_size=12) | st.from_regex(r"[0-9.e+-]{1,8} ?[kMG]?[A-Za-z]{0,6}"))
def test_any_text_is_an_amount_or_refused_in_one_line(text):
    try:
        _, amount = parse_quantity(text)
    except BudgetError as error:
        lines, amount = str(error).splitlines(), 1.0
    else:
        lines = ["no message"]
    assert 0 < amount < math.inf
    assert len(lines) == 1


@given(
    dimension=st.sampled_from(["macs", "params", "time", "bytes"]),
    amount=st.floats(1e-3, 1e13, exclude_min=True),
)
def test_what_is_printed_can_be_read_back(dimension, amount):
    text = format_quantity(dimension, amount)
    rounded = 0.005 if dimension in ("time", "params") else 0.05
    step = {"time": 1.0, "params": 1e6, "macs": 1e6, "bytes": 1e6}[dimension]
    try:
        again = parse_quantity(text)
    except BudgetError:  # printed as zero
        assert amount <= rounded * step
    else:
        assert again[0] == dimension
        assert again[1] == pytest.approx(amount, abs=1.01 * rounded * step, rel=5e-3)


@given(
    dimension=st.sampled_from(["macs", "params", "time", "bytes"]),
    amount=st.floats(1e-3, 1e13) | st.integers(1, 10**10),
)
def test_what_is_printed_as_enough_is_enough_and_little_more(dimension, amount):
    again = parse_quantity(format_at_least(dimension, amount))
    assert again[0] == dimension
    assert amount <= again[1] <= 1.011 * amount


@pytest.mark.parametrize(
    ("dimension", "amount", "text"),
    [
        ("macs", 167_048_288, "167.0 MFLOPs"),
        ("macs", 1_234_567_890, "1.23 GFLOPs"),
        ("params", 6_156_908, "6.16 Mparams"),
        ("time", 7.4219, "7.42 ms"),
        ("time", 123.456, "123.5 ms"),
        ("time", 99.994, "99.99 ms"),
        ("time", 100.0, "100.0 ms"),
        ("macs", 1e9, "1.00 GFLOPs"),
        ("macs", 999_900_000, "999.9 MFLOPs"),
        ("params", 1e9, "1.00 Gparams"),
        ("bytes", 24_530_000, "24.5 MB"),
    ],
)
def test_amounts_are_printed_with_three_or_four_figures(dimension, amount, text):
    assert format_quantity(dimension, amount) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("90", 90), ("10m", 600), ("10 min", 600), ("1.5h", 5400), (".5H", 1800),
        (" 45 sec ", 45), ("0.1s", 0.1), ("3.s", 3), ("2 m", 120),
    ],
)  # fmt: skip
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0s", "-1s", "1d", "10 minutes", "1h30m", "nan", "inf", "1e3s"]
)
def test_wrong_durations_are_refused(text):
    with pytest.raises(InputError) as caught:
        parse_duration(text, "--timeout")
    zero = text in ("0", "0s")
    problem = "`timeout > 0` must hold" if zero else f"cannot read --timeout {text!r}; write"
    assert problem in str(caught.value)
    assert f"--timeout {text!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("dimension", "amount", "text"),
    [
        ("macs", 0.03e9, "30MFLOPs"), ("macs", 3e9, "3GFLOPs"), ("macs", 1234.0, "1234FLOPs"),
        ("bytes", 2.0**30, "1GiB"), ("time", 5.0, "5ms"), ("time", 3e3, "3s"),
        ("params", 1_234_567.0, "1234567params"),
    ],
)  # fmt: skip
def test_the_shortest_text_of_an_amount(dimension, amount, text):
    assert shortest_quantity(dimension, amount) == text
    assert parse_quantity(text) == (dimension, pytest.approx(amount, rel=1e-12))


@pytest.mark.parametrize(
    ("dimension", "amount", "text"),
    [("macs", 1.234e6, "1.24 MFLOPs"), ("macs", 299.1e6, "300 MFLOPs"), ("time", 1.0, "1.01 ms")],
)
def test_enough_is_rounded_up_to_three_figures(dimension, amount, text):
    assert format_at_least(dimension, amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (45.4, "45 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (3599, "59 min 59 s"),
        (3599.6, "1 h 0 min"), (7500, "2 h 5 min"),
    ],
)  # fmt: skip
def test_durations_are_printed_for_people(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["30fps", "30", " 30 FPS", "30/s", "30.0 Hz"])
def test_rates_are_times_a_second(text):
    assert parse_rate(text) == 30


@pytest.mark.parametrize("text", ["", "fast", "0", "-5", "30ms", "nan", "1e3"])
def test_wrong_rates_are_refused(text):
    with pytest.raises(InputError, match="--pace takes frames a second above 0, such as 30fps"):
        parse_rate(text, "--pace")
