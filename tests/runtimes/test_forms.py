"""Files of every form compute the same, in every runtime whose files have forms."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import lower
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, RUNTIMES, Runtime, get_runtime
from tests.networks import difference, random_model
from tests.runtimes.runtime_contract import MANY_PARTS, SMALL_PRESETS
from tests.strategies import architectures

FORMS = st.builds(
    FileForm,
    channel_multiple=st.sampled_from([1, 4, 8, 16]),
    fuse_up_to=st.sampled_from([0, 8, 16, 1000]),
    split_depthwise=st.booleans(),
    sink_concats=st.booleans(),
)
NETWORKS = architectures(max_blocks=3).filter(lambda arch: arch.num_classes > 2)
"""Of several classes: a single logit may happen to be next to nothing."""
TWO = (MANY_PARTS, SMALL_PRESETS["ghostnet-1.0"])
TAKING = [name for name, info in RUNTIMES.items() if info.takes_form]

runtime_of = cache(get_runtime)


def logits(runtime: Runtime, arch: Architecture, form: FileForm) -> object:
    files = runtime.with_form(form).write(arch, random_model(arch))
    return runtime.load(files, threads=1).logits()


@pytest.mark.parametrize("name", TAKING)
@settings(max_examples=8, deadline=None)
@given(arch=NETWORKS, form=FORMS)
def test_every_form_computes_what_the_built_in_one_does(
    name: str, arch: Architecture, form: FileForm
) -> None:
    runtime = runtime_of(name)
    apart = difference(logits(runtime, arch, form), logits(runtime, arch, FileForm()))
    assert apart < 1e-4


@pytest.mark.parametrize("name", TAKING)
def test_every_option_changes_the_file(name: str) -> None:
    """Of two networks, because no network gives every pass something to do in every runtime."""
    runtime = runtime_of(name)
    built_in, plain = runtime.built_in_form, [runtime.write(arch) for arch in TWO]
    others = [
        FileForm(channel_multiple=4),
        FileForm(fuse_up_to=1000),
        FileForm(split_depthwise=not built_in.split_depthwise),
        FileForm(sink_concats=not built_in.sink_concats),
    ]
    if name == "litert":
        others.pop()  # its writer sinks concatenations in any case
    for form in others:
        assert [runtime.with_form(form).write(arch) for arch in TWO] != plain
    assert [runtime.with_form(built_in).write(arch) for arch in TWO] == plain


@pytest.mark.parametrize("name", TAKING)
def test_layers_of_a_form_have_the_names_of_the_graph(name: str) -> None:
    runtime = runtime_of(name)
    split = not runtime.built_in_form.split_depthwise
    for arch, form in zip(TWO, (FileForm(4, 16, split), FileForm(16, 0, True, True)), strict=True):
        other, names = runtime.with_form(form), {op.name for op in lower(arch).ops}
        layers = other.layer_seconds(other.write(arch), 1, runs=1)
        assert layers.keys() <= {*names, LAYOUT_CHANGES}
        assert len(layers) > 10


def test_other_runtimes_take_no_form() -> None:
    with pytest.raises(InputError, match="files of runtime 'torch' have one form only"):
        get_runtime("torch", form=FileForm(channel_multiple=8))
