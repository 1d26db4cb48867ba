"""`SearchSpace`: a parameterized set of networks, found by name, sampled, encoded and decoded."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from gnv2_nas.arch import Architecture, SupernetSpec
from gnv2_nas.documents import read_document
from gnv2_nas.errors import SpaceError, UnknownNameError
from gnv2_nas.files.writing import find_named, list_named
from gnv2_nas.space.decoding import Decoder
from gnv2_nas.space.encoding import encode
from gnv2_nas.space.genes import Gene, Value
from gnv2_nas.space.space_file import SpaceFile, build_genes
from gnv2_nas.space.supernet_spec import build_supernet_spec
from gnv2_nas.space.template import Template, build_template


class SupportsSuggest(Protocol):
    """What `suggest` needs of an optuna trial."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any: ...


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Networks described by one value for each gene.

    A genotype is a dict from the name of each gene to one of its choices. Several genotypes may
    describe one network; equal networks are equal `Architecture`s.
    """

    name: str
    description: str
    path: Path
    base: str
    """The preset that gives what no gene decides."""
    num_classes: int
    template: Template
    decisions: tuple[Gene, ...]
    """Everything that is decided about a network, what the file fixes included."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The decisions with more than one choice, in a fixed order."""
        return tuple(gene for gene in self.decisions if gene.searched)

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Input resolutions of the networks, pixels."""
        (gene,) = (gene for gene in self.decisions if gene.axis == "resolution")
        return tuple(int(choice) for choice in gene.choices)

    @cached_property
    def size(self) -> int:
        """Number of genotypes; networks are fewer where genes make no difference."""
        return math.prod(len(gene.choices) for gene in self.genes)

    @cached_property
    def content_hash(self) -> str:
        """12 hexadecimal digits of all that decides how a genotype decodes.

        Description and order of choices do not count, nor does an axis that stays as in the
        base: it may not even have existed when a study was begun.
        """
        decided = [[gene.name, gene.choices] for gene in self.decisions if not self._stock(gene)]
        content = json.dumps([self.template.base.id, self.num_classes, decided])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @cached_property
    def supernet_spec(self) -> SupernetSpec:
        """The largest of everything that a network of the space has, block by block."""
        return build_supernet_spec(self.template, self.num_classes, self.decisions)

    def with_classes(self, num_classes: int) -> SearchSpace:
        """The same space for another number of classes; `content_hash` tells them apart."""
        return replace(self, num_classes=num_classes)

    def decode(self, params: Mapping[str, Value]) -> Architecture:
        """The network a genotype describes.

        Raises:
            SpaceError: a gene is missing or unknown, or has a value that is not a choice.
        """
        values = list(self._fixed)
        for position, name, choices in self._searched:
            try:
                values[position] = choices[params[name]]
            except (KeyError, TypeError):
                raise self._refusal(params, self.decisions[position]) from None
        if len(params) != len(self._searched):
            raise self._unknown_gene(params)
        return self._decoder(values)

    def encode(self, arch: Architecture) -> dict[str, Value] | None:
        """A genotype that decodes to `arch`; None when the space does not contain it."""
        found = encode(self.template, self.decisions, arch)
        if found is None:
            return None
        params = {gene.name: found[gene] for gene in self.genes}
        return params if self.decode(params) == arch else None

    def sample_params(self, rng: random.Random) -> dict[str, Value]:
        """A random genotype: each gene uniformly over its choices."""
        return {gene.name: rng.choice(gene.choices) for gene in self.genes}

    def sample(self, rng: random.Random) -> Architecture:
        """The network of a random genotype."""
        return self.decode(self.sample_params(rng))

    def suggest(self, trial: SupportsSuggest) -> Architecture:
        """The network an optuna trial proposes; every trial is asked for every gene."""
        return self.decode(
            {gene.name: trial.suggest_categorical(gene.name, gene.choices) for gene in self.genes}
        )

    def smallest(self) -> dict[str, Value]:
        """The genotype of every gene's smallest choice."""
        return {gene.name: gene.choices[0] for gene in self.genes}

    def centre(self) -> dict[str, Value]:
        """The genotype of every gene's middle choice, the larger of two."""
        return {gene.name: gene.choices[len(gene.choices) // 2] for gene in self.genes}

    def largest(self) -> dict[str, Value]:
        """The genotype of every gene's largest choice."""
        return {gene.name: gene.choices[-1] for gene in self.genes}

    def at_resolution(self, params: Mapping[str, Value], resolution: int) -> dict[str, Value]:
        """The genotype `params` for images of so many pixels; the same where the space has one
        resolution only.

        Raises:
            SpaceError: `resolution` is none of the space's.
        """
        if resolution not in self.resolutions:
            choices = ", ".join(map(str, self.resolutions))
            raise SpaceError(
                f"space {self.name!r}: resolution must be one of {choices}, but got {resolution}"
            )
        searched = (gene.name for gene in self.genes if gene.axis == "resolution")
        return {**params, **dict.fromkeys(searched, resolution)}

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.template, self.num_classes, self.decisions)

    @cached_property
    def _fixed(self) -> tuple[Value, ...]:
        return tuple(gene.choices[0] for gene in self.decisions)

    @cached_property
    def _searched(self) -> tuple[tuple[int, str, dict[Value, Value]], ...]:
        return tuple(
            (position, gene.name, {choice: choice for choice in gene.choices})
            for position, gene in enumerate(self.decisions)
            if gene.searched
        )

    def _stock(self, gene: Gene) -> bool:
        stock = (self.template.blocks[index].stock[gene.axis] for index in gene.blocks)
        return all(gene.choices == (value,) for value in stock)

    def _refusal(self, params: Mapping[str, Value], gene: Gene) -> SpaceError:
        where = f"space {self.name!r}: gene {gene.name!r}"
        if gene.name not in params:
            return SpaceError(f"{where} is missing; every gene needs a value")
        choices = ", ".join(map(str, gene.choices))
        return SpaceError(f"{where} must be one of {choices}, but got {params[gene.name]!r}")

    def _unknown_gene(self, params: Mapping[str, Value]) -> SpaceError:
        known = {gene.name for gene in self.genes}
        name = next(name for name in params if name not in known)
        return SpaceError(f"space {self.name!r}: {UnknownNameError('gene', name, known)}")


_FOLDER = "search_spaces"
_WHAT = "search space"


def list_spaces() -> list[str]:
    """Names of the search spaces in reach, sorted."""
    return list(list_named(_FOLDER))


def load_space(name_or_path: str | Path) -> SearchSpace:
    """The search space of a name, or of a YAML file.

    Raises:
        UnknownNameError: no such space; the message lists the known ones.
        SpaceError: the file is wrong; one line: file, line, key and what would be right.
    """
    path = find_named(_FOLDER, _WHAT, str(name_or_path))
    document = read_document(path, SpaceFile, error=SpaceError, what=_WHAT)
    file = document.data
    template = build_template(file.base)
    return SearchSpace(
        name=path.stem,
        description=file.description,
        path=path,
        base=file.base,
        num_classes=file.num_classes,
        template=template,
        decisions=build_genes(document, template),
    )
