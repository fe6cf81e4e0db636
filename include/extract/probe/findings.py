"""What was found, and what of it has to be set.

In: the steps of the probe fill it in. Out: the options for a connection's extra, and a declaration in dlt's words.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from include.configure.choices import CursorFormat
from include.configure.options import SourceOptions
from include.extract.probe.paging import Paging
from include.extract.probe.time_filter import TimeFilter


@dataclass
class Findings:
    """None: not found. `records_seen`: how many different ones the fields were found in."""

    address: str
    key: str = ""
    auth: dict[str, Any] | None = None
    problem: str | None = None
    """Why it is not known how to read; None: it is."""
    selector: str | None = None
    first_length: int = 0
    paging: Paging | None = None
    page_size: int | None = None
    cap: str = ""
    total: tuple[str, int] | None = None
    end_is_at_total: bool | None = None
    order_is_stable: bool | None = None
    records_seen: int = 0
    keys: list[str] = field(default_factory=list)
    cursors: dict[str, CursorFormat] = field(default_factory=dict)
    filter: TimeFilter | None = None
    filter_was_tried: bool = False
    limit_headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    may_add_params: bool = True
    """Nobody has set parameters, which the extra would replace."""

    @property
    def options(self) -> dict[str, Any]:
        """What to set. Only names, places and numbers: nothing of it is a secret or a value of a record."""
        assert self.paging is not None
        options: dict[str, Any] = {**(self.auth or {}), "data_selector": self.selector}
        options |= self._paginator()
        options["total_path"] = self.total[0] if self.total and self.end_is_at_total is not False else ""
        options["primary_key"] = self.keys[0] if self.keys else ""
        if not self.keys:
            # Without a key nothing can be merged.
            options["sync_mode"] = "replace"
        if self.filter and self.filter.start_is_in:
            path, form = next(iter(self.cursors.items()))
            options |= {"cursor_path": path, "start_param": self.filter.start_param}
            options |= {"cursor_format": form} if form != SourceOptions().cursor_format else {}
            options |= {"end_param": self.filter.end_param} if self.filter.end_param else {}
        return options

    @property
    def beside_the_declaration(self) -> dict[str, Any]:
        """Of `options`, those that dlt has no word for."""
        options = self.options
        names = ["cursor_format"] if "cursor_format" in options else []
        # dlt's own is a number of pages where pages have numbers, and of nothing where they have links.
        names += ["total_path"] if options["paginator"] != "offset" and options["total_path"] else []
        return {name: options[name] for name in names}

    def _paginator(self) -> dict[str, Any]:
        paging = self.paging
        assert paging is not None
        size = {"page_size": self.page_size} if self.page_size else {}
        match paging.kind:
            case "offset":
                names = {"offset_param": paging.position_param, "limit_param": paging.size_param}
                return {"paginator": "offset", **names, **size}
            case "page_number":
                config = {"type": "page_number", "base_page": paging.base, "page_param": paging.position_param}
                return {"paginator": config, "limit_param": paging.size_param, **size}
        # The size of a page is a fixed parameter there.
        fixed = {"params": {paging.size_param: self.page_size}} if self._is_fixed else {}
        if paging.kind == "json_link" and paging.next:
            return {"paginator": {"type": "json_link", "next_url_path": paging.next.place}, **fixed}
        if paging.kind == "cursor" and paging.next:
            fields = {"cursor_path": paging.next.place, "cursor_param": paging.cursor_param}
            return {"paginator": {"type": "cursor", **fields}, **fixed}
        return {"paginator": paging.kind, **fixed}

    @property
    def _is_fixed(self) -> bool:
        return bool(self.paging and self.paging.size_param and self.page_size and self.may_add_params)


def as_json(options: dict[str, Any]) -> str:
    """For a connection's extra."""
    return json.dumps(options, indent=2, ensure_ascii=False)
