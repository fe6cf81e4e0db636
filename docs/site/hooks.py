"""What MkDocs does not do by itself: links out of docs/, and the pages of decisions, destinations, paginators and kinds of auth.

In: the pages of docs/. Out: the same, as a site needs them. A file of the repository is named where it was linked, as the site holds none of
it; a page is cut at its headings, or at the rows of its table, where each part is to be found by itself.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parents[1]
# What is cut into a page for each of its sections, and the folder of these pages.
CUT = {"paging.md": "paginators", "auth.md": "auth-kinds"}
# Sections that are about no kind of its own.
OF_ALL = {"What is proven", "Where a secret goes"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made here."""
    for source, folder in CUT.items():
        for title, text in _sections((DOCS / source).read_text()):
            if title in OF_ALL:
                continue
            link = f"Part of [the whole page](../{source}), which says what holds of all kinds.\n\n"
            _add(files, config, f"{folder}/{_slug(title)}.md", f"# {title}\n\n{link}{_one_folder_up(text)}")
    heads, *rows = _table((DOCS / "destinations.md").read_text())
    for row in rows:
        name = row[0].strip("`")
        facts = "".join(f"| {head} | {cell} |\n" for head, cell in zip(heads, row, strict=True))
        text = f"# Destination `{name}`\n\n| | |\n| --- | --- |\n{facts}\nWhat holds of all of them is in [Destinations](../destinations.md).\n"
        _add(files, config, f"destinations/{name}.md", text)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Name what is linked outside of docs/, and folders, which a site has no page for."""
    folder = (DOCS / page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        text, target = link.group(1), link.group(2).partition("#")[0]
        if (
            target.startswith("https:")
            or not target
            or (target.endswith((".md", ".png")) and (folder / target).resolve().is_relative_to(DOCS))
        ):
            return link.group(0)
        file = (folder / target).resolve()
        if file == DOCS / "decisions":
            return f"[{text}]({'../' * page.file.src_uri.count('/')}decisions/0001-pages-through-dlts-rest-source.md)"
        return text if "`" in text else f"`{text}`"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", named, markdown)


def _add(files: Files, config: Any, uri: str, text: str) -> None:
    files.append(File.generated(config, uri, content=text))


def _sections(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _table(text: str) -> list[list[str]]:
    """The rows of the first table, the headings first."""
    lines = re.findall(r"^\|.*\|$", text.partition('\n\n"Mapping')[0], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def _one_folder_up(text: str) -> str:
    return re.sub(r"\]\((?!https:|#)([^)]+)\)", r"](../\1)", text)
