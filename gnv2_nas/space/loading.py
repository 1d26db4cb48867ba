"""Search spaces by name: from the working directory first, then the built-in ones."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.documents import read_document
from gnv2_nas.errors import SpaceError
from gnv2_nas.files.writing import find_named, list_named
from gnv2_nas.space.opening import genes_of
from gnv2_nas.space.schema import SpaceFile
from gnv2_nas.space.search_space import SearchSpace
from gnv2_nas.space.template import template_of

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
    template = template_of(file.base)
    return SearchSpace(
        name=path.stem,
        description=file.description,
        path=path,
        base=file.base,
        num_classes=file.num_classes,
        template=template,
        decisions=genes_of(document, template),
    )
