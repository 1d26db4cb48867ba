"""Accuracies of trained networks with intervals over both seeds and images.

The answers of one network are a table: trainings × held-out images, 1 where the answer is right.
Trainings and images are random effects. Trainings are nested in their network, because a seed means
nothing across networks; images are crossed with all networks, which all see the same ones. This is
the design of studies in which readers judge cases, each reader by one modality: Hillis, "A
marginal-mean ANOVA approach for analyzing multireader multicase radiological imaging data",
Statistics in Medicine 33 (2014), with the degrees of freedom of Hillis, "A comparison of
denominator degrees of freedom methods …", Statistics in Medicine 26 (2007).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.stats.intervals import Z95, wilson_interval

Answers = NDArray[np.float64]
"""(trainings, images) of one network: 1 for a right answer, 0 for a wrong one."""


class Estimate(msgspec.Struct, frozen=True):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def estimate_accuracy(answers: Answers) -> Estimate:
    """Return the accuracy of a network, 0 to 1, over other trainings and other images.

    It is Wilson's interval for as many images as have the variance V that `_combine` finds,
    p (1 - p) / V, made wider by Student's t over the normal quantile. With one training, only the
    choice of the images is covered.
    """
    share, images = float(answers.mean()), answers.shape[1]
    variance, wider = _combine((answers,))
    effective = images if not variance else share * (1 - share) / (variance * wider**2)
    low, high = wilson_interval(share * effective, effective)
    return Estimate(share, low, high)


def estimate_gain(first: Answers, second: Answers) -> Estimate:
    """Return the accuracy of the first network minus that of the second, paired by image.

    Args:
        first: its trainings may be more or fewer than those of `second`.
        second: of the same images in the same order.
    """
    gain = float(first.mean() - second.mean())
    variance, wider = _combine((first, second))
    half = Z95 * wider * math.sqrt(variance)
    return Estimate(gain, gain - half, gain + half)


def _combine(networks: tuple[Answers, ...]) -> tuple[float, float]:
    """Return the variance of a mean, or of a difference of two, and what widens its interval.

    With S trainings of a network, v the variance of their accuracies, r the residual variance of an
    answer given training and image, and w the variance over N images of the mean answer (for two
    networks, of the difference of their mean answers):

        V = Σ v / S + max(w / N - Σ r / (S N), 0)

    because v / S and w / N both contain r / (S N). Of two networks, half an image on either side is
    added to the differences (Agresti & Min, Statistics in Medicine 24, 2005), so that two networks
    with equal answers do not differ by exactly 0. The degrees of freedom are those of
    Satterthwaite, with S - 1 for each v and N - 1 for the images.

    Returns:
        V, and Student's 95 % quantile over the normal one.
    """
    from scipy.special import stdtrit

    images = networks[0].shape[1]
    pairs = zip((1, -1), networks, strict=False)
    of_images = sum((sign * each.mean(axis=0) for sign, each in pairs), np.zeros(images))
    squares = float(((of_images - of_images.mean()) ** 2).sum()) + (len(networks) > 1)
    spread = squares / (images - 1) / images
    repeated = [each for each in networks if len(each) > 1]
    trainings = [float(each.mean(axis=1).var(ddof=1)) / len(each) for each in repeated]
    shared = max(spread - sum(map(_residual, repeated)), 0.0)
    variance = sum(trainings) + shared
    uncertain = sum(v**2 / (len(each) - 1) for v, each in zip(trainings, repeated, strict=True))
    uncertain += shared**2 / (images - 1)
    if not uncertain:
        return variance, 1.0
    quantile = float(stdtrit(variance**2 / uncertain, 0.975))
    return variance, quantile / float(stdtrit(math.inf, 0.975))


def _residual(answers: Answers) -> float:
    """Return r / (S N), the part of the mean's variance that is of neither training nor image."""
    trainings, images = answers.shape
    centred = answers - answers.mean(axis=0) - answers.mean(axis=1, keepdims=True) + answers.mean()
    freedom = (trainings - 1) * (images - 1)
    return float((centred**2).sum() / (freedom * trainings * images))
