"""`SearchSpace`: a parameterized set of networks."""

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
from gnv2_nas.space.genes import Gene, Template, Value, build_template
from gnv2_nas.space.space_file import SpaceFile, build_genes
from gnv2_nas.space.supernet_spec import build_supernet_spec


class SupportsSuggest(Protocol):
    """The part of an Optuna trial that `suggest` uses."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any: ...


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """A set of networks, each described by one value per gene.

    A genotype is a dict from gene name to choice. Several genotypes may describe the same network;
    they decode to equal `Architecture`s.
    """

    name: str
    description: str
    path: Path
    base: str
    """The preset that gives all values that no gene controls."""
    num_classes: int
    template: Template
    decisions: tuple[Gene, ...]
    """All genes, including fixed ones."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The genes with more than one choice, in a fixed order."""
        return tuple(gene for gene in self.decisions if gene.searched)

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Input resolutions of the networks in pixels."""
        (gene,) = (gene for gene in self.decisions if gene.axis == "resolution")
        return tuple(int(choice) for choice in gene.choices)

    @cached_property
    def size(self) -> int:
        """Number of genotypes. There are fewer networks, because some genes may have no effect."""
        return math.prod(len(gene.choices) for gene in self.genes)

    @cached_property
    def content_hash(self) -> str:
        """12 hexadecimal digits of everything that affects how a genotype decodes.

        The description and the order of choices do not count. Neither do axes that stay as in the
        base network, so that adding an axis to the package changes no hash.
        """
        decided = [[gene.name, gene.choices] for gene in self.decisions if not self._stock(gene)]
        content = json.dumps([self.template.base.id, self.num_classes, decided])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @cached_property
    def supernet_spec(self) -> SupernetSpec:
        """The size of the supernet that contains all networks of the space."""
        return build_supernet_spec(self.template, self.num_classes, self.decisions)

    def with_classes(self, num_classes: int) -> SearchSpace:
        """The same space for another number of classes; its `content_hash` differs."""
        return replace(self, num_classes=num_classes)

    def decode(self, params: Mapping[str, Value]) -> Architecture:
        """The network of a genotype.

        Raises:
            SpaceError: a gene is missing or unknown, or its value is not one of its choices.
        """
        values = list(self._fixed_values)
        for position, name, choices in self._searched_genes:
            try:
                values[position] = choices[params[name]]
            except (KeyError, TypeError):
                raise self._refusal(params, self.decisions[position]) from None
        if len(params) != len(self._searched_genes):
            raise self._unknown_gene(params)
        return self._decoder(values)

    def encode(self, arch: Architecture) -> dict[str, Value] | None:
        """A genotype that decodes to `arch`; None if the space does not contain it."""
        found = encode(self.template, self.decisions, arch)
        if found is None:
            return None
        params = {gene.name: found[gene] for gene in self.genes}
        return params if self.decode(params) == arch else None

    def sample_params(self, rng: random.Random) -> dict[str, Value]:
        """A random genotype; each gene is uniform over its choices."""
        return {gene.name: rng.choice(gene.choices) for gene in self.genes}

    def sample(self, rng: random.Random) -> Architecture:
        """The network of a random genotype."""
        return self.decode(self.sample_params(rng))

    def suggest(self, trial: SupportsSuggest) -> Architecture:
        """The network that an Optuna trial suggests. It asks the trial for every gene."""
        return self.decode(
            {gene.name: trial.suggest_categorical(gene.name, gene.choices) for gene in self.genes}
        )

    def smallest(self) -> dict[str, Value]:
        """The genotype of every gene's smallest choice."""
        return {gene.name: gene.choices[0] for gene in self.genes}

    def centre(self) -> dict[str, Value]:
        """The genotype of every gene's middle choice; the larger of two."""
        return {gene.name: gene.choices[len(gene.choices) // 2] for gene in self.genes}

    def largest(self) -> dict[str, Value]:
        """The genotype of every gene's largest choice."""
        return {gene.name: gene.choices[-1] for gene in self.genes}

    def at_resolution(self, params: Mapping[str, Value], resolution: int) -> dict[str, Value]:
        """`params` with another resolution.

        Raises:
            SpaceError: the space does not have this resolution.
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
    def _fixed_values(self) -> tuple[Value, ...]:
        return tuple(gene.choices[0] for gene in self.decisions)

    @cached_property
    def _searched_genes(self) -> tuple[tuple[int, str, dict[Value, Value]], ...]:
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
    """Names of all search spaces: built-in ones and those in the working directory, sorted."""
    return list(list_named(_FOLDER))


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Load a search space by name or from a YAML file.

    Raises:
        UnknownNameError: no such space; the message lists all names.
        SpaceError: the file is wrong; the message names file, line and key.
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
