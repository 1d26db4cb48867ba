"""Several trainings: what each gives, what is kept, and what a failure costs."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.checkpoints.checkpoint import read_training
from gnv2_nas.errors import InputError, TrainingError
from gnv2_nas.training import train_network
from gnv2_nas.workflows.trainings import TrainedNetwork, TrainingJob, train_networks
from tests.training.small import RESOLUTION, digits, digits_at, short_recipe, small_network

NETWORKS = (small_network(), small_network(head_channels=48))


def jobs_in(folder, **changes):
    """One network with two seeds, and another."""
    recipe = short_recipe(**changes)
    return [
        TrainingJob(
            NETWORKS[number], recipe, RESOLUTION, seed, folder / f"{number}-{seed}.safetensors"
        )
        for number, seed in ((0, 0), (0, 1), (1, 0))
    ]


def test_each_job_gives_what_its_training_alone_gives(tmp_path):
    jobs, points = jobs_in(tmp_path), []
    found = dict(
        train_networks(
            jobs, "digits", digits_at, observer=lambda job, point: points.append((job, point.step))
        )
    )
    assert list(found) == [0, 1, 2]
    assert points == [(job, step) for job in range(3) for step in range(1, 7)]
    for number, job in enumerate(jobs):
        alone = train_network(job.architecture, digits(), job.recipe, None, seed=job.seed)
        assert isinstance(found[number], TrainedNetwork)
        assert found[number].accuracy == alone.accuracy
        record = read_training(job.output)
        assert (record.seed, record.accuracy) == (job.seed, pytest.approx(alone.accuracy))


def test_each_job_reads_the_images_at_its_own_resolution(tmp_path):
    small, *_ = jobs_in(tmp_path)
    large = msgspec.structs.replace(
        small, architecture=small.architecture.replace(resolution=24), side=24, output=None
    )
    found = dict(train_networks([small, large], "digits", digits_at))
    alone = train_network(large.architecture, digits_at(24), large.recipe, None)
    assert isinstance(found[1], TrainedNetwork)
    assert found[1].accuracy == alone.accuracy


def test_a_training_that_fails_does_not_end_the_others(tmp_path):
    jobs = jobs_in(tmp_path)
    jobs[1] = msgspec.structs.replace(jobs[1], recipe=short_recipe(learning_rate=1e30))
    found = dict(train_networks(jobs, "digits", digits_at))
    assert isinstance(found[1], TrainingError)
    assert all(isinstance(found[number], TrainedNetwork) for number in (0, 2))


def test_an_output_that_cannot_be_written_ends_them_all(tmp_path):
    jobs = jobs_in(tmp_path / "file" / "below")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        list(train_networks(jobs, "digits", digits_at))


def test_no_jobs_need_nothing():
    assert list(train_networks([], "digits", digits_at, workers=4, ray="auto")) == []
