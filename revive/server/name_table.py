"""What became of the names of REVIVE that somebody wrote: a table for the run folder, and one line for the screen."""

from __future__ import annotations

from pathlib import Path

from revive.runs.files import write_text
from revive.server.translate import Translation

FILE = "revive_names.md"
_SHOWN = 3  # names in the line


def headline(found: Translation) -> str | None:
    """One line about what has no counterpart; None where there is nothing to say."""
    names = [name for listed in found.missing.values() for name in listed]
    named = f" ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
    parts = []
    if names:
        verb = "name of REVIVE has" if len(names) == 1 else "names of REVIVE have"
        parts.append(f"{len(names)} {verb} no counterpart here{named}")
    if found.remarks:
        count = len(found.remarks)
        parts.append(f"{count} {'is' if count == 1 else 'are'} read in another way")
    return "; ".join(parts) or None


def table(found: Translation) -> str:
    """Markdown: each name that was written, and the key that it became, or why it became none."""
    rows = [(name, ", ".join(f"`{key}`" for key in keys)) for name, keys in found.became.items() if keys]
    rows += [(name, "what REVIVE writes by default: ours counts") for name in found.usual]
    rows += [(name, reason) for reason, names in found.missing.items() for name in names]
    rows += [(remark.partition(":")[0], remark.partition(": ")[2]) for remark in found.remarks]
    lines = [f"| {name} | {said.replace('|', '/')} |" for name, said in sorted(rows)]
    return "\n".join(["| name of REVIVE | here |", "|---|---|", *lines]) + "\n"


def write_names(folder: Path, text: str | None) -> None:
    """Put the table into the run folder, where there is one."""
    if text is not None:
        write_text(folder / FILE, text)
