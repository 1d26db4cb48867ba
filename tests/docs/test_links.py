"""Files and pictures that the documentation links to are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT, outside_blocks

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    links = [link for link in LINK.findall(outside_blocks(page)) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []
