"""`Trainer`: the loop of every training.

All random numbers of a step are a function of the seed and the step's number. A training that was
stopped and resumed therefore ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from gnv2_nas.data import Dataset
from gnv2_nas.errors import CheckpointError, TrainingError, first_line
from gnv2_nas.interrupts import DelayedInterrupt
from gnv2_nas.training.context import TrainingContext, is_out_of_memory, use_half_the_cores
from gnv2_nas.training.history import (
    Observer,
    TrainingPoint,
    decode_history,
    encode_history,
    ignore_point,
)
from gnv2_nas.training.optimization import (
    WeightAverage,
    average_decay,
    evaluation_steps,
    learning_rate,
)
from gnv2_nas.training.state import StateFile
from gnv2_nas.training.stepper import LossMonitor, Stepper, StepTimer, TrainingInputs
from gnv2_nas.training.task import Evaluation, TrainingTask


class Trainer:
    """Trains a task by a recipe.

    Args:
        state_file: file to resume from; the state is saved to it every `save_every` seconds and
            at Ctrl-C. None saves nothing.
        observer: called after every step.
        stop_when: called after every evaluation; True ends the training.
        note: first message to the observer.

    Attributes:
        average: moving average of the weights.
        history: points that have an accuracy or a note.
    """

    def __init__(
        self,
        task: TrainingTask,
        dataset: Dataset,
        context: TrainingContext,
        *,
        state_file: StateFile | None,
        observer: Observer,
        stop_when: Callable[[TrainingPoint], bool] | None = None,
        save_every: float = 30.0,
        note: str = "",
    ) -> None:
        self.average = WeightAverage(task.module)
        self.history: list[TrainingPoint] = []
        self._task = task
        self._context = context
        self._recipe = context.recipe
        self._state_file = state_file
        self._observer = observer if context.world.is_leader else ignore_point
        self._stop_when = stop_when
        self._save_every = save_every
        self._notes = [note] if note else []
        self._inputs = TrainingInputs(dataset, context, task.resolution)
        self._stepper = Stepper(task, context, self._notes.append)
        self._losses = LossMonitor(self._recipe)
        self._timer = StepTimer()
        self._step = 0

    @property
    def seconds(self) -> float:
        """Time spent so far, earlier runs of the same training included."""
        return self._timer.seconds

    def run(self) -> None:
        """Train to the end.

        Raises:
            TrainingError: the loss is not finite, or memory ran out.
            CheckpointError: the state file belongs to another training.
            KeyboardInterrupt: Ctrl-C; the step is finished and the state saved.
        """
        self._resume()
        try:
            ctrl_c = DelayedInterrupt(second_stops=True)
            with _flush_denormals(), use_half_the_cores(), ctrl_c:
                self._loop(ctrl_c)
        except TrainingError as error:
            raise TrainingError(f"{error}{self._advise_on_state()}") from None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                "memory ran out and smaller micro-batches cannot help; a smaller batch_size "
                f"(now {self._recipe.batch_size}) or resolution would fit{self._advise_on_state()}"
            ) from None

    def evaluate(self) -> Evaluation:
        """Return the accuracy of the averaged weights after the last step."""
        last = self.history[-1] if self.history else None
        if last is None or last.accuracy is None or last.step != self._step:
            return self._evaluate()
        return Evaluation(last.accuracy, last.smallest_accuracy)

    def remove_state(self) -> None:
        """Remove the state file once the weights are saved."""
        if self._state_file is not None:
            self._state_file.remove()

    def _loop(self, ctrl_c: DelayedInterrupt) -> None:
        evaluations = evaluation_steps(self._recipe)
        saved = perf_counter()
        with closing(self._inputs.from_step(self._step)) as inputs:
            while self._step < self._recipe.steps:
                self._take_step(*next(inputs))
                evaluate = self._step in evaluations
                point = self._report(evaluate=evaluate)
                if ctrl_c.received or perf_counter() - saved > self._save_every:
                    self._save()
                    saved = perf_counter()
                if ctrl_c.received or (evaluate and self._should_stop(point)):
                    return

    def _take_step(self, images: Tensor, labels: Tensor) -> None:
        step = self._step
        self._task.module.train()
        loss, norm = self._stepper.gradients(step, images, labels)
        # On a CPU this raises before the weights could become non-finite.
        self._losses.add(step, loss, norm)
        self._stepper.update(step)
        self.average.update(average_decay(self._recipe, step))
        self._step += 1
        self._timer.count_step()

    def _report(self, *, evaluate: bool) -> TrainingPoint:
        """Tell the observer about the finished step."""
        found = self._evaluate() if evaluate and self._context.world.is_leader else None
        note, self._notes[:] = "; ".join(self._notes), []
        point = TrainingPoint(
            step=self._step,
            steps=self._recipe.steps,
            epoch=self._step / self._inputs.steps_per_epoch,
            loss=self._losses.mean,
            accuracy=found.accuracy if found else None,
            smallest_accuracy=found.smallest_accuracy if found else None,
            learning_rate=learning_rate(self._recipe, self._step - 1),
            seconds=self._timer.seconds,
            seconds_left=self._timer.seconds_left(self._recipe.steps - self._step),
            note=note,
        )
        if found or note:
            self.history.append(point)
        self._observer(point)
        return point

    def _evaluate(self) -> Evaluation:
        self._losses.check()
        return self._task.evaluate(self.average.module)

    def _should_stop(self, point: TrainingPoint) -> bool:
        if self._stop_when is None:
            return False
        world = self._context.world
        return world.broadcast(world.is_leader and self._stop_when(point))

    def _save(self) -> None:
        # Non-finite weights must not replace good ones.
        self._losses.check()
        if self._state_file is not None and self._context.world.is_leader:
            self._state_file.write(self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "module": self._task.module.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self._stepper.optimizer.state_dict(),
            "scaler": self._context.precision.scaler.state_dict(),
            "accumulate": self._stepper.accumulate,
            "loss": self._losses.mean,
            "seconds": self._timer.seconds,
            "history": encode_history(self.history).decode(),
        }

    def _resume(self) -> None:
        if self._state_file is None:
            return
        state = self._state_file.read()
        # No process may write the file before all have read it.
        self._context.world.wait()
        if state is None:
            return
        try:
            self._restore(state)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = first_line(error)
            raise CheckpointError(
                f"the state in {str(self._state_file.path)!r} does not fit ({reason}), perhaps "
                "because another version wrote it; delete it to start again"
            ) from None
        self._notes.append(f"resuming after step {self._step} of {self._recipe.steps}")

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._task.module.load_state_dict(state["module"])
        self.average.module.load_state_dict(state["average"])
        self._stepper.optimizer.load_state_dict(state["optimizer"])
        self._context.precision.scaler.load_state_dict(state["scaler"])
        self._stepper.accumulate = state["accumulate"]
        self._losses = LossMonitor(self._recipe, state["loss"])
        self._timer = StepTimer(state["seconds"])
        self.history = decode_history(state["history"])
        self._step = state["step"]

    def _advise_on_state(self) -> str:
        if self._state_file is None or not self._state_file.path.exists():
            return ""
        path = str(self._state_file.path)
        return f"; {path!r} keeps the last good state: delete it to start again with other settings"


@contextmanager
def _flush_denormals() -> Iterator[None]:
    """Treat denormal numbers as 0.

    The momentum of a weight without gradients decays to denormal values, which make each
    multiplication a hundred times slower.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
