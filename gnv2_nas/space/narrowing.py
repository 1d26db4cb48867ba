"""A search space file without some of its axes, with the comments of its author."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from gnv2_nas.documents.plain_yaml import PlainYamlError, parse
from gnv2_nas.errors import SpaceError
from gnv2_nas.space.search_space import SearchSpace


def searched_axes(space: SearchSpace) -> tuple[str, ...]:
    """Return the names of the axes with more than one choice somewhere."""
    return tuple(dict.fromkeys(gene.axis for gene in space.genes))


def remove_axes(
    space: SearchSpace, axes: Collection[str], description: str, notes: Sequence[str]
) -> str:
    """Return the text of a space without some axes, which then stay as in the base network.

    Comments within the file are kept, but not the one at its top, which is about all of it.

    Args:
        space: the space; its file is read again.
        axes: names of axes; those that the space does not open are ignored.
        description: of the new space.
        notes: lines of the comment at its top.

    Raises:
        SpaceError: nothing would be left to search.
    """
    if not set(searched_axes(space)) - set(axes):
        raise SpaceError(
            f"space {space.name!r} without {', '.join(axes)} has nothing to search; give another "
            "--space"
        )
    text = space.path.read_text("utf-8-sig")
    wanted, known = parse(text)
    wanted["axes"] = {name: value for name, value in wanted["axes"].items() if name not in axes}
    wanted["description"] = description
    lines = text.splitlines()
    keys = sorted(line - 1 for path, line in known.items() if len(path) in (1, 2))
    removed = set(range(keys[0]))
    for key in (("description",), *(("axes", axis) for axis in axes)):
        if key in known:
            start = known[key] - 1
            end = min((line for line in keys if line > start), default=len(lines))
            removed.update(range(_comment_above(lines, start), _comment_above(lines, end)))
    kept = f"description: {json.dumps(description, ensure_ascii=False)}\n" + "".join(
        f"{line}\n" for number, line in enumerate(lines) if number not in removed
    )
    if _data(kept) != wanted:  # written in another style than a line for each key
        kept = json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"
    return "".join(f"# {note}\n" for note in notes) + kept


def _comment_above(lines: Sequence[str], line: int) -> int:
    """Return the first line of the comments and empty lines that precede a line."""
    while line > 0 and not lines[line - 1].split("#")[0].strip():
        line -= 1
    return line


def _data(text: str) -> Any:
    try:
        return parse(text)[0]
    except PlainYamlError:
        return None
