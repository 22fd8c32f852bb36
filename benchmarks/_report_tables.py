"""What the tables of all results share: Markdown, numbers in words, and where numbers were measured."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read(path: Path) -> Record | None:
    """Returns a record, or None if there is none."""
    return json.loads(path.read_text()) if path.is_file() else None


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Returns a Markdown table; all columns but the first are numbers."""
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float) -> str:
    """Returns a share in percent with three figures."""
    value *= 100
    return f"{value:.3f} %" if value < 1 else f"{value:.2f} %" if value < 10 else f"{value:.1f} %"


def ratio(value: float) -> str:
    """Returns a ratio with two figures."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def threads(number: int) -> str:
    """Returns `1 thread` or `2 threads`."""
    return f"{number} thread{'s' if number != 1 else ''}"


def circumstances(record: Record) -> str:
    """Returns what a table of timings was measured with."""
    peers = [
        f"{p} {record['versions'][p]}" for p in ("torch", "torch-scatter", "torch-cluster", "scipy") if p in record["versions"]
    ]
    isa = record["results"].get("kernels", {}).get("isa")
    return ", ".join([*peers, threads(record["threads"]), *([f"kernels for {isa}"] if isa else []), record["hardware"]])
