"""Quality estimators: protocol, labels and context. Light to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from gnv2_nas.arch import Architecture, SupernetSpec
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.files.writing import content_hash
from gnv2_nas.space import SearchSpace

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset


class QualitySpec(msgspec.Struct, frozen=True):
    """An estimator and its file, as `--quality NAME` or `--quality NAME:FILE` names them.

    Users type the text form, and studies store it: `str(QualitySpec.parse(text)) == text`.
    """

    name: str
    file: str | None = None
    """None where the text has no colon."""

    @classmethod
    def parse(cls, text: str) -> QualitySpec:
        """Split the text at its first colon; `check_estimator` says whether it is valid."""
        name, colon, file = text.partition(":")
        return cls(name, file if colon else None)

    def __str__(self) -> str:
        return self.name if self.file is None else f"{self.name}:{self.file}"

    @property
    def path(self) -> Path | None:
        """The file; None where none is named."""
        return Path(self.file) if self.file else None

    @property
    def label(self) -> str:
        """A short name for people and for names of studies: "supernet", "supernet-large"."""
        stem = self.path.stem if self.path else ""
        return f"{self.name}-{stem}" if stem not in ("", self.name) else self.name

    def hash_file(self) -> str:
        """12 hexadecimal digits of the file's content; "" without a file."""
        return content_hash(self.path) if self.path else ""

    def matches(self, other: QualitySpec) -> bool:
        """Whether both name one estimator and a file of one name, in whatever folders."""
        files = [spec.path.name if spec.path else "" for spec in (self, other)]
        return self.name == other.name and files[0] == files[1]


class EstimatorInfo(msgspec.Struct, frozen=True):
    """Label of a score."""

    name: str
    title: str
    in_text: str
    """The title within a sentence."""
    note: str
    """What the score is; says so if it is not an accuracy."""
    cost: str
    """Time for GhostNetV2 1.0 at its own resolution, on one core of an x86 server."""
    noise: float = 0.0
    """Differences up to this, in the unit of the score, are noise; 0 for exact scores."""
    is_accuracy: bool = False
    unit: str = ""
    """"%" for accuracies."""
    families: tuple[str, ...] = ()
    """`Architecture.family` of the networks with comparable scores; () means all."""
    needs_data: bool = False
    relative: bool = False
    """Whether the score compares with networks of the search space."""
    parts: tuple[str, ...] = ()
    """Names of the scores that it combines; () if it is no combination."""
    file: str = ""
    """Description of FILE in NAME:FILE; "" if the estimator takes none."""
    needs_file: bool = False
    supernet_spec: SupernetSpec | None = msgspec.field(default=None, name="envelope")
    """Only networks inside it have a score; None if every network has one."""

    def compares(self, arch: Architecture) -> bool:
        """Whether the score of `arch` is comparable to those of other networks."""
        if self.families and arch.family not in self.families:
            return False
        return self.supernet_spec is None or _inside(self.supernet_spec, arch)


def _inside(supernet_spec: SupernetSpec, arch: Architecture) -> bool:
    try:
        supernet_spec.find_positions(arch)
    except InputError:
        return False
    return True


_GHOST_FAMILIES = ("ghostnet", "ghostnetv2", "repghostnet")

_INFOS = (
    EstimatorInfo(
        "params", "Parameter score", "parameter score",
        "millions of parameters; not an accuracy", "nothing",
    ),
    EstimatorInfo(
        "macs", "MAC score", "MAC score",
        "millions of multiply-adds; not an accuracy", "nothing",
    ),
    EstimatorInfo(
        "zen", "Zen-score", "Zen-score",
        "data-free; not an accuracy", "0.4 s", noise=0.3,
        families=_GHOST_FAMILIES,
    ),
    EstimatorInfo(
        "naswot", "NASWOT score", "NASWOT score",
        "data-free; not an accuracy", "0.5 s", noise=0.05,
        families=_GHOST_FAMILIES,
    ),
    EstimatorInfo(
        "synflow", "SynFlow score", "SynFlow score",
        "data-free; not an accuracy", "0.3 s",
        families=_GHOST_FAMILIES,
    ),
    EstimatorInfo(
        "az-nas", "AZ-NAS score", "AZ-NAS score",
        "data-free; a rank among networks of the space; not an accuracy",
        "0.8 s, and once 16 s for networks of the space", noise=0.6,
        families=_GHOST_FAMILIES, relative=True,
    ),
    EstimatorInfo(
        "zico", "ZiCo score", "ZiCo score",
        "data-free; not an accuracy", "0.9 s", noise=1.0,
        families=_GHOST_FAMILIES,
    ),
    EstimatorInfo(
        "swap", "SWAP score", "SWAP score",
        "data-free; not an accuracy", "0.5 s", noise=0.005,
        families=_GHOST_FAMILIES,
    ),
    EstimatorInfo(
        "naswot+params", "Combined NASWOT and parameter score",
        "combined NASWOT and parameter score",
        "data-free; mean z-score of naswot and params among networks of the space; not an accuracy",
        "0.5 s, and once 16 s for networks of the space", noise=0.05,
        families=_GHOST_FAMILIES, relative=True, parts=("naswot", "params"),
    ),
    EstimatorInfo(
        "supernet", "Supernet accuracy", "supernet accuracy",
        "on held-out images, with weights shared by the whole space",
        "a recalibration and one pass over the held-out images",
        is_accuracy=True, unit="%", needs_data=True,
        file="a supernet that gnv2-nas train supernet wrote", needs_file=True,
    ),
    EstimatorInfo(
        "train", "Trained accuracy", "trained accuracy",
        "on held-out images, after a short training",
        "a short training", noise=1.0,
        is_accuracy=True, unit="%", needs_data=True,
        file="a supernet to inherit weights from",
    ),
    EstimatorInfo(
        "predictor", "Predicted accuracy", "predicted accuracy",
        "predicted from the layers, not measured", "0.5 ms",
        is_accuracy=True, unit="%",
        file="a fitted accuracy predictor", needs_file=True,
    ),
)  # fmt: skip

ESTIMATORS: Mapping[str, EstimatorInfo] = MappingProxyType({info.name: info for info in _INFOS})


class QualityEstimator(Protocol):
    """Scores architectures; higher is better."""

    @property
    def info(self) -> EstimatorInfo: ...

    def score(self, arch: Architecture) -> float:
        """Score an architecture: the same value in every process; accuracies in per cent."""
        ...


@dataclass(frozen=True)
class QualityContext:
    """What some estimators need besides the network."""

    space: SearchSpace | None = None
    dataset: Dataset | None = None
    seed: int = 0
    """Seed of trainings. Data-free scores have a fixed one, so that studies are comparable."""


NO_CONTEXT = QualityContext()


_REMEDIES = {
    "supernet": "train one on {} with gnv2-nas train supernet",
    "predictor": "fit one to {} with gnv2-nas quality fit",
}


class SpaceRecord(Protocol):
    """The space that a file was made for."""

    @property
    def space(self) -> str: ...
    @property
    def space_hash(self) -> str: ...
    @property
    def supernet_spec(self) -> SupernetSpec: ...


def check_space_matches(
    path: Path, kind: str, record: SpaceRecord, space: SearchSpace | None
) -> None:
    """Check that a file was made for the space of a search and its number of classes.

    Args:
        kind: "supernet" or "predictor".
        space: the space with the classes of the images; None outside of a search.

    Raises:
        CheckpointError: it was made for another space or number of classes.
    """
    if space is None or record.space_hash == space.content_hash:
        return
    classes = record.supernet_spec.num_classes
    what = f"{str(path)!r} is a {kind} of space {record.space!r} with {classes} classes"
    if classes != space.num_classes:
        raise CheckpointError(
            f"{what}: one for {classes} classes, but space {space.name!r} has "
            f"{space.num_classes} with these images; {_REMEDIES[kind].format('them')}"
        )
    raise CheckpointError(
        f"{what} ({record.space_hash}), not of {space.name!r} ({space.content_hash}); "
        f"{_REMEDIES[kind].format('it')}"
    )
