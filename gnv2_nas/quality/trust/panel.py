"""`TrustPanel`: how far the quality scores of a space order networks like their real accuracy.

`gnv2-nas quality check` trains a handful of networks and keeps the answer beside the space, as
`search_spaces/<space>.trust.json`; reports show it wherever a score of that space is used. Light
to import.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, holds_fields
from gnv2_nas.files.writing import built_in_folder, write_atomically
from gnv2_nas.quality.base import QualitySpec
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.rank_agreement import RankAgreement, agreement_gain

PANEL_FOLDER = "search_spaces"
BASELINE = "params"
"""The score that every other one must beat."""


class TrustNetwork(msgspec.Struct, frozen=True):
    """A network that was trained."""

    architecture: Architecture
    macs: int
    params: int
    in_band: bool
    """Whether its multiply-adds are within the budget band."""
    accuracies: tuple[float, ...]
    """Held-out accuracy after training from scratch, per cent, one for each seed."""

    @property
    def accuracy(self) -> float:
        """Mean over the seeds, per cent."""
        return fmean(self.accuracies)


class EstimatorTrust(msgspec.Struct, frozen=True):
    """One estimator against the trained accuracies."""

    spec: str
    """What `--quality` was given: "zen", "supernet:supernet.safetensors"."""
    title: str
    is_accuracy: bool
    needs_data: bool
    scores: tuple[float | None, ...]
    """Of each network; None where the estimator does not compare it."""
    seconds: float
    """For one network, on average."""
    overall: RankAgreement | None
    band: RankAgreement | None
    """Within the budget band."""
    gain_overall: RankAgreement | None = None
    """τ less that of the parameter count, over the same networks; see `add_gains`."""
    gain_band: RankAgreement | None = None
    file_hash: str = ""
    """Of the file in `spec`; "" where there is none."""


class TrustPanel(msgspec.Struct, frozen=True):
    """The evidence on the estimators of one space."""

    space: str
    space_hash: str
    num_classes: int
    data: str
    data_hash: str
    band: tuple[float, float]
    """Multiply-adds that count as one budget."""
    networks: tuple[TrustNetwork, ...]
    estimators: tuple[EstimatorTrust, ...]
    ceiling: RankAgreement | None
    """τ between two trainings of the same networks with other seeds: no score can be expected to
    do better against one training; None with a single seed."""
    ceiling_band: RankAgreement | None
    training: str
    """How the networks were trained, in words."""
    seconds: float
    """Spent on training."""

    def of(self, spec: str) -> EstimatorTrust | None:
        """What was found about the estimator that `--quality` names; None where it was not
        checked. A file counts by its name, wherever it lies."""
        wanted = QualitySpec.parse(spec)
        matching = (e for e in self.estimators if QualitySpec.parse(e.spec).matches(wanted))
        return next(matching, None)

    def known_for(self, spec: str, file_hash: str) -> TrustPanel:
        """The panel without what it knows of another file of the same name."""
        found = self.of(spec)
        if found is None or found.file_hash == file_hash:
            return self
        others = tuple(each for each in self.estimators if each is not found)
        return msgspec.structs.replace(self, estimators=others)

    def sentence(self, spec: str) -> str:
        """ "in band τ 0.42 [0.10, 0.68]; parameters 0.55 [0.20, 0.80]: not better than the
        parameter count"; says so when the estimator was not checked."""
        trust, baseline = self.of(spec), self.of(BASELINE)
        if trust is None:
            return f"not checked on space {self.space}: gnv2-nas quality check"
        where, found = _best_known(trust)
        if found is None:
            return "too few networks to tell"
        if trust is baseline or baseline is None:
            return f"{where} τ {found}"
        sizes = baseline.band if where == "in band" else baseline.overall
        return f"{where} τ {found}; parameters {sizes}: {verdict(trust)}"

    def best_data_free(self) -> str:
        """The data-free estimator of the highest τ in band, the parameter count where none is
        higher."""
        best = max(self._data_free(), key=_tau_in_band, default=None)
        baseline = self.of(BASELINE)
        if best is None or (baseline and _tau_in_band(best) <= _tau_in_band(baseline)):
            return BASELINE
        return best.spec

    def data_free_sentence(self) -> str:
        """Whether any data-free score is worth more than the parameter count inside a budget."""
        best = self.of(self.best_data_free())
        if best is None or best.spec == BASELINE:
            others = (each for each in self._data_free() if each.spec != BASELINE)
            known = "beats" if all(verdict(each) == NOT_BETTER for each in others) else "is above"
            return f"no data-free score {known} the parameter count {self._where()}"
        known = "beats" if verdict(best) == BETTER else "is above, but cannot be told from,"
        return f"{best.title} {known} the parameter count {self._where()}"

    def _where(self) -> str:
        baseline = self.of(BASELINE)
        inside = baseline is not None and baseline.band is not None
        return "inside the budget band" if inside else "over the whole space"

    def _data_free(self) -> list[EstimatorTrust]:
        return [each for each in self.estimators if not (each.is_accuracy or each.needs_data)]


BETTER = "better than the parameter count"
NOT_BETTER = "not better than the parameter count"
CANNOT_TELL = "cannot be told from the parameter count"


def verdict(trust: EstimatorTrust) -> str:
    """How an estimator does beside the parameter count: by the interval of the difference of
    their τ, over the networks that its own τ is told for."""
    gain = trust.gain_band if trust.band else trust.gain_overall
    if gain is None or gain.low <= 0 < gain.high:
        return CANNOT_TELL
    return BETTER if gain.low > 0 else NOT_BETTER


def add_gains(panel: TrustPanel) -> TrustPanel:
    """The panel with every `gain_overall` and `gain_band` worked out from its scores."""
    sizes = [float(network.params) for network in panel.networks]
    accuracies = [network.accuracy for network in panel.networks]

    def gain(trust: EstimatorTrust, *, in_band: bool) -> RankAgreement | None:
        known = [
            (score, size, accuracy)
            for score, size, accuracy, network in zip(
                trust.scores, sizes, accuracies, panel.networks, strict=True
            )
            if score is not None and (network.in_band or not in_band)
        ]
        if not known:
            return None
        ours, others, truth = zip(*known, strict=True)
        return agreement_gain(ours, others, truth)

    estimators = tuple(
        msgspec.structs.replace(
            each, gain_overall=gain(each, in_band=False), gain_band=gain(each, in_band=True)
        )
        if each.scores
        else each
        for each in panel.estimators
    )
    return msgspec.structs.replace(panel, estimators=estimators)


def trust_path(space: str, folder: Path | None = None) -> Path:
    """Where the panel of a space is kept, in the working directory unless told otherwise."""
    return (folder or Path(PANEL_FOLDER)) / f"{space}.trust.json"


def accuracies_path(panel: Path) -> Path:
    """The file beside a panel that keeps every accuracy as it is found."""
    return panel.with_suffix(".jsonl")


TRUST = Kind(
    "the trust panel", lambda path: holds_fields(path, "space_hash", "networks", "estimators")
)


def save_trust(panel: TrustPanel) -> Path:
    """Keep the panel; an older one is replaced at once or not at all.

    Raises:
        StorageError: the disk refused.
    """
    path = trust_path(panel.space)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(panel)) + b"\n")
    return path


def find_trust(space: SearchSpace) -> TrustPanel | None:
    """The panel of a space: that of the working directory, else a built-in one.

    None when there is none, or when it is about another space of that name. The number of classes
    may differ: they change no network before its last layer.
    """
    for folder in (Path(PANEL_FOLDER), built_in_folder(PANEL_FOLDER)):
        panel = _read(trust_path(space.name, folder))
        if panel is not None and _is_about(panel, space):
            return panel
    return None


def _is_about(panel: TrustPanel, space: SearchSpace) -> bool:
    return space.with_classes(panel.num_classes).content_hash == panel.space_hash


def _read(path: Path) -> TrustPanel | None:
    """None where there is no such file, or it was written by another version.

    Gains are worked out anew: earlier versions gave intervals that were too narrow.
    """
    try:
        return add_gains(msgspec.json.decode(path.read_bytes(), type=TrustPanel))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, InputError, ValueError):
        return None


def _best_known(trust: EstimatorTrust) -> tuple[str, RankAgreement | None]:
    """τ in band, or overall where too few networks are in it."""
    return ("in band", trust.band) if trust.band else ("overall", trust.overall)


def _tau_in_band(trust: EstimatorTrust) -> float:
    _, found = _best_known(trust)
    return -1.0 if found is None else found.tau
