"""A search with images: what they decide, and what is refused before anything heavy is loaded."""

from __future__ import annotations

import random

import optuna
import pytest
from msgspec.structs import replace

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.metadata import SupernetRecord
from gnv2_nas.errors import DataError, InputError, StudyError
from gnv2_nas.nn.supernet import Supernet, save_supernet
from gnv2_nas.search.storage.format import STUDY
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.workflows.search.request import CheckedSearch, SearchRequest
from gnv2_nas.workflows.search.scorer import make_scorer
from tests.search.search_helpers import STORAGE, searched, session
from tests.search.spaces import SMALL, space_of, write_space


def checked(folder, **asked) -> CheckedSearch:
    options = {"space": str(write_space(folder, SMALL)), "quality": "params", "storage": STORAGE}
    return SearchRequest(**options | asked).check()


def class_folders(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            (folder / name / f"{number}.png").touch()
    return str(folder)


def write_supernet(path, steps=1):
    """A supernet for digits that was never trained."""
    space = space_of(path.parent, SMALL)
    classes = tuple(map(str, range(10)))
    record = SupernetRecord(
        space=space.name, space_hash=space.content_hash, supernet_spec=space.supernet_spec,
        preprocessing=Preprocessing((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), classes),
        data="digits", data_hash="0" * 12, steps=steps, seconds=1.0,
        largest_accuracy=0.5, smallest_accuracy=0.4,
    )  # fmt: skip
    save_supernet(Supernet(space.supernet_spec), record, path)


def test_the_images_decide_the_number_of_classes(folder):
    images = class_folders(folder / "pets", "cat", "cow", "dog")
    asked = checked(folder, data=images)
    assert asked.space.num_classes == 3
    assert asked.settings.space_hash == asked.space.content_hash
    assert asked.settings.space_hash != checked(folder).settings.space_hash
    assert asked.settings.data == images
    opened = searched(folder, trials=2, data=images)
    record = opened.store.record()
    assert {each.architecture.num_classes for each in record.trials} == {3}
    assert record.settings.data == images


@pytest.mark.parametrize("quality", ["supernet:net.safetensors", "train"])
def test_an_estimator_that_needs_images_says_so(folder, quality):
    write_supernet(folder / "net.safetensors")
    with pytest.raises(InputError, match=f"--quality {quality.split(':')[0]} needs images: give"):
        checked(folder, quality=quality)


def test_images_that_are_not_there_are_refused(folder):
    with pytest.raises(DataError, match="pets"):
        checked(folder, data="pets")


def test_a_study_is_named_after_its_images_and_its_estimator(folder):
    write_supernet(folder / "net.safetensors")
    named = checked(folder, data="digits", quality="supernet:net.safetensors", budgets=("1MFLOPs",))
    assert named.study == "small-digits-supernet-net-1MFLOPs-cpu"
    assert checked(folder).study == "small-cpu"


def test_another_file_of_the_same_name_is_another_study(folder):
    file = folder / "net.safetensors"
    contents = []
    for steps in (1, 2):
        write_supernet(file, steps)
        contents.append(file.read_bytes())
    hashes = []
    for content in (*contents, contents[0]):
        file.write_bytes(content)
        asked = checked(folder, data="digits", quality="supernet:net.safetensors")
        hashes.append(asked.settings.quality_hash)
    assert hashes[0] == hashes[2] != hashes[1]


def test_going_on_with_other_images_is_refused(folder):
    one = class_folders(folder / "pets", "cat", "dog")
    other = class_folders(folder / "toys", "car", "doll")
    searched(folder, trials=1, data=one)
    with pytest.raises(StudyError, match=r"made with data .*pets, not .*toys"):
        session(folder, data=other)
    with pytest.raises(StudyError, match="another content of space"):
        session(folder)


def test_studies_from_before_there_were_images_go_on(folder):
    searched(folder, trials=1)
    added = ("quality_hash", "data", "data_hash")
    study = optuna.load_study(study_name="demo", storage=STORAGE)
    beginning = study.user_attrs[STUDY]
    settings = {key: value for key, value in beginning["settings"].items() if key not in added}
    kept = ("sampler", "seed", "command", "created_at")
    provenance = {key: beginning["provenance"][key] for key in kept}
    study.set_user_attr(STUDY, beginning | {"settings": settings, "provenance": provenance})
    session(folder, trials=2).loop().run()
    record = open_study(STORAGE, "demo").record()
    assert sum(not each.baseline for each in record.trials) == 2
    assert record.quality_info.name == "params"


def test_a_worker_scores_with_the_files_of_the_search_only(folder):
    """On another machine, the folder of the search may hold others or none."""
    write_supernet(weights := folder / "net.safetensors")
    opened = session(folder, quality="supernet:net.safetensors", data="digits")
    settings, source = opened.checked.settings, opened.checked.request.space
    network = opened.checked.space.sample(random.Random(0))
    assert make_scorer(settings, source, 0)(network) >= 0
    write_supernet(weights, steps=2)
    with pytest.raises(InputError, match=r"'supernet:net.safetensors' is \w{12}, but was \w{12} "):
        make_scorer(settings, source, 0)
    weights.unlink()
    with pytest.raises(InputError, match=r"net\.safetensors"):
        make_scorer(settings, source, 0)
    write_space(folder, SMALL.replace("0.35", "0.3"))
    counted = replace(settings, quality="params", quality_hash="")
    with pytest.raises(InputError, match=r"small.yaml' is \w{12}, but was \w{12} when the search"):
        make_scorer(counted, source, 0)
