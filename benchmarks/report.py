"""Tables and plots from the committed JSON files, and from nothing else.

python benchmarks/report.py            # writes them into README.md, docs/results.md and docs/images
python benchmarks/report.py --check    # exit code 1 if the tables there are not those of the JSON files

Each family of results has a file `_report_FAMILY.py` with its tables.
"""

import argparse
import sys
from pathlib import Path

import _report_giorom as giorom
import _report_nclaw as nclaw
import _report_ops as ops
import _report_unit_cell as unit_cell

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
NOTHING = "No results are committed yet. `python benchmarks/unit_cell.py --help` says how they are made."


def short(results: Path) -> str:
    """Returns what the README shows."""
    sections = {
        "Materials from motions": nclaw.brief(results),
        "Few particles for many": giorom.brief(results),
        "Native ops": ops.brief(results),
    }
    titled = [f"### {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join(filter(None, [unit_cell.brief(results), *titled])) or NOTHING


def full(results: Path) -> str:
    """Returns what the documentation shows."""
    sections = {
        **unit_cell.full(results),
        "Simulator": nclaw.simulator(results),
        "Materials from motions": nclaw.full(results),
        "Few particles for many": giorom.full(results),
        "Native ops": ops.full(results),
        "Files": unit_cell.provenance(results),
    }
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items() if text) or NOTHING


def fill(text: str, content: str, where: str) -> str:
    """Returns a document with the part between the markers replaced.

    Raises:
        ValueError: the document does not have the two markers once each, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in after:
        raise ValueError(f"{where} needs the lines {BEGIN} and {END} once each, in this order")
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Writes the tables, or checks them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a document is out of date")
    check = parser.parse_args(arguments).check
    results = root / "benchmarks" / "results"
    stale = []
    for name, content in (("README.md", short(results)), ("docs/results.md", full(results))):
        path = root / name
        text = path.read_text()
        new = fill(text, content, name)
        if new != text:
            stale.append(name)
            if not check:
                path.write_text(new)
    if not check:
        for family in (unit_cell, ops, giorom):
            family.draw(results, root)
    for name in stale:
        print(f"{name} {'is out of date: run python benchmarks/report.py' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
