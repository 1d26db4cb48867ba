"""The pages of the documentation and their fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("**/*.md"))
    if path.is_file()
)

SHELL = ("sh", "bash", "shell")
CONSOLE = "console"
"""A session: lines after `$ ` are commands, the others are what they print."""
PYTHON = "python"
FILES = ("yaml", "json")
"""Written to the path that the first line names in a comment, when it names one."""

DEVICE = "device"
"""Word after the language of a block whose commands need a device that the tests do not have."""

FENCED = re.compile(r"^( *)```([\w-]*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its opening fence."""

    language: str
    text: str
    line: int
    needs_device: bool = False

    def commands(self) -> str:
        """The shell script of the block; "" when it holds no commands."""
        if self.language in SHELL:
            return self.text
        if self.language == CONSOLE:
            return "\n".join(re.findall(r"^\$ (.*(?:\\\n.*)*)$", self.text, re.MULTILINE))
        return ""

    def shows_an_error(self) -> bool:
        return self.language == CONSOLE and bool(re.search(r"^error: ", self.text, re.MULTILINE))

    def file(self) -> str:
        """The path a file block names in its first line, or ""."""
        found = re.match(r"# (\S+\.\w+)\n", self.text)
        return found[1] if found and self.language in FILES else ""


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in FENCED.finditer(text):
        indent, language, words, body = match.groups()
        body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        line = text[: match.start()].count("\n") + 1
        found.append(Block(language, body, line, DEVICE in words.split()))
    return found


def outside_blocks(page: str) -> str:
    return FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
