"""`gnv2-nas spaces`"""

from __future__ import annotations

from typing import Annotated

import typer

from gnv2_nas.cli.console import print_json, print_line, print_table, read_all
from gnv2_nas.cli.options import Json, normalize_space


def spaces(
    name: Annotated[
        str,
        typer.Argument(
            help="Show the genes of this space: what differs between its networks.",
            callback=normalize_space,
        ),
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of space files, for editors.")
    ] = False,
    json: Json = False,
) -> None:
    """List the search spaces, or show the genes of one.

    Examples:
    [cyan]gnv2-nas spaces[/]
    [cyan]gnv2-nas spaces ghostnetv2[/]
    [cyan]gnv2-nas spaces --schema > space.schema.json[/]
    """
    if schema:
        from gnv2_nas.space import json_schema

        return print_json(json_schema())
    return _show(name, json) if name else _list(json)


def _list(json: bool) -> None:
    from gnv2_nas.space import list_spaces, load_space

    found = read_all(list_spaces(), load_space)
    if json:
        keys = ("name", "description", "base", "size")
        rows = [{key: getattr(space, key) for key in keys} for space in found]
        counts = [{"size": str(each.size), "genes": len(each.genes)} for each in found]
        return print_json([row | more for row, more in zip(rows, counts, strict=True)])
    return print_table(
        ("space", "description", "genes", "genotypes"),
        [(s.name, s.description, str(len(s.genes)), f"{s.size:.1e}") for s in found],
        left=2,
    )


def _show(name: str, json: bool) -> None:
    from gnv2_nas.search.study.budgets import corner_networks
    from gnv2_nas.space import load_space
    from gnv2_nas.space.genes import AXES
    from gnv2_nas.workflows.references import describe_size

    space = load_space(name)
    genes = {gene.name: list(gene.choices) for gene in space.genes}
    if json:
        return print_json(
            {"name": space.name, "description": space.description, "base": space.base,
             "size": str(space.size), "genes": genes}
        )  # fmt: skip
    print_line(f"{space.name}: {space.description}")
    print_line(f"base {space.base}, {len(genes)} genes, {space.size:.1e} genotypes")
    for corner, arch in corner_networks(space).items():
        print_line(f"{corner:>8}: {describe_size(arch)}")
    first = {gene.axis: gene.name for gene in reversed(space.genes)}
    rows = [
        (
            gene.name, ", ".join(map(str, gene.choices)),
            AXES[gene.axis].meaning if gene.name == first[gene.axis] else "",
        )
        for gene in space.genes
    ]  # fmt: skip
    return print_table(("gene", "choices, small to large", "meaning"), rows, left=3)
