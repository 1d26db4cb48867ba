"""What changes from step to step: the learning rate, the decay of the average, when to evaluate."""

from __future__ import annotations

import math

from gnv2_nas.quality.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the update number `step`, counted from 0: linear warm-up, then half a cosine to 0
    (Loshchilov and Hutter, SGDR, 2017, eq. 5, without restarts)."""
    warm_up = round(recipe.warmup * recipe.steps)
    if step < warm_up:
        return recipe.learning_rate * (step + 1) / (warm_up + 1)
    done = (step - warm_up) / max(1, recipe.steps - warm_up)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def average_decay(recipe: Recipe, step: int) -> float:
    """Of the average of the weights after update number `step`, counted from 0.

    Lower at first, or the random initial weights would stay in the average for long.
    """
    return min(recipe.ema_decay, (1 + step) / (10 + step))


def evaluation_steps(recipe: Recipe) -> frozenset[int]:
    """Numbers of finished steps after which the held-out images are looked at."""
    times = min(recipe.evaluations, recipe.steps)
    return frozenset(round(number * recipe.steps / times) for number in range(1, times + 1))
