"""The files of trust panels: `search_spaces/<space>.trust.json`, one panel for each set of images.

Reports show them beside every score of that space. Light to import.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, holds_fields
from gnv2_nas.files.writing import built_in_folder, write_atomically
from gnv2_nas.quality.trust.panel import TrustPanel, add_gains
from gnv2_nas.space import SearchSpace, Value

PANEL_FOLDER = "search_spaces"


def trust_path(space: str, folder: Path | None = None) -> Path:
    """File of a space's panels, by default in the working directory."""
    return (folder or Path(PANEL_FOLDER)) / f"{space}.trust.json"


def accuracies_path(panel: Path) -> Path:
    """File of accuracies beside a file of panels."""
    return panel.with_suffix(".jsonl")


TRUST = Kind(
    "the trust panel", lambda path: holds_fields(path, "space_hash", "networks", "estimators")
)


def save_trust(panel: TrustPanel) -> Path:
    """Write a panel beside those of the same space on other images, atomically.

    It replaces the one on images of the same name.

    Raises:
        StorageError: the disk refused.
    """
    path = trust_path(panel.space)
    others = [each for each in _read(path) if each.data != panel.data]
    write_atomically(path, msgspec.json.format(msgspec.json.encode([*others, panel])) + b"\n")
    return path


def find_trust(space: SearchSpace) -> tuple[TrustPanel, ...]:
    """Find the panels of a space in the working directory, else among the built-in ones.

    Those about another space of that name are left out. The number of classes may differ, because
    it changes the last layer only.
    """
    for panels in _list_files(space):
        if found := tuple(panel for panel in panels if _is_about(panel, space)):
            return found
    return ()


def find_trust_of_other_form(space: SearchSpace) -> tuple[TrustPanel, ...]:
    """Find panels of another form of a space whose networks all belong to the space as it is.

    This is so after an axis or choices were added. Such panels say something about a part of the
    space, so they are shown, but they do not choose a score. Their `unvaried` is set.
    """
    for panels in _list_files(space):
        drawn = ((panel, _find_unvaried(panel, space)) for panel in panels)
        if found := tuple(
            msgspec.structs.replace(panel, unvaried=axes)
            for panel, axes in drawn
            if axes is not None and not _is_about(panel, space)
        ):
            return found
    return ()


def _list_files(space: SearchSpace) -> Iterator[list[TrustPanel]]:
    for folder in (Path(PANEL_FOLDER), built_in_folder(PANEL_FOLDER)):
        yield _read(trust_path(space.name, folder))


def _find_unvaried(panel: TrustPanel, space: SearchSpace) -> tuple[str, ...] | None:
    """List axes of the space that are the same in all networks; None if one is no member."""
    sized = space.with_classes(panel.num_classes)
    values: dict[str, set[Value]] = {}
    for network in panel.networks:
        params = sized.encode(network.architecture)
        if params is None:
            return None
        for gene in sized.genes:
            values.setdefault(gene.axis, set()).add(params[gene.name])
    return tuple(axis for axis, found in values.items() if len(found) == 1)


def _is_about(panel: TrustPanel, space: SearchSpace) -> bool:
    return space.with_classes(panel.num_classes).content_hash == panel.space_hash


def _read(path: Path) -> list[TrustPanel]:
    """Read the panels of a file; none if there is no file or a later version wrote it.

    Earlier versions wrote a single panel, and stored intervals of gains that were too narrow, so
    gains are recomputed.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TrustPanel | list[TrustPanel])
        return list(map(add_gains, found if isinstance(found, list) else [found]))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, InputError, ValueError):
        return []
