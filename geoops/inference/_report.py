"""The result of a super-resolution test: numbers, a table to print, JSON to keep."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table

Mode = Literal["fine", "coarse", "interpolation"]
Region = Literal["all", "outside"]
MODES: tuple[Mode, ...] = ("fine", "coarse", "interpolation")
HEADINGS = {"fine": "sees fine", "coarse": "sees coarse", "interpolation": "interpolated"}


@final
@dataclass(frozen=True)
class SuperResRow:
    """Errors of one way to predict at one resolution, over all meshes.

    Args:
        field: name of the target.
        factor: number of points relative to the training resolution (1, 4, 16).
        mode: `fine`: the surrogate sees the fine mesh; `coarse`: it sees the coarse mesh and is asked at the fine
            points; `interpolation`: its prediction on the coarse mesh, interpolated linearly to the fine points.
        region: `all` points, `outside`: with the excluded regions left out.
        mean: mean relative L2 error over the meshes.
        median: median of it.
        p95: 95th percentile of it.
        meshes: number of meshes.
        points: mean number of points that count.
    """

    field: str
    factor: int
    mode: Mode
    region: Region
    mean: float
    median: float
    p95: float
    meshes: int
    points: float

    @classmethod
    def of(
        cls, field: str, factor: int, mode: Mode, region: Region, errors: Iterable[float], points: Iterable[int]
    ) -> "SuperResRow":
        """Summarises the errors of the meshes."""
        values = np.asarray(list(errors))
        return cls(
            field,
            factor,
            mode,
            region,
            float(values.mean()),
            float(np.median(values)),
            float(np.quantile(values, 0.95)),
            len(values),
            float(np.mean(list(points))),
        )


@final
@dataclass(frozen=True)
class SuperResReport:
    """What `superres` measured.

    Args:
        model: name of the surrogate.
        data: folder of the meshes.
        split: sub-folder at the training resolution.
        exclude: regions left out, each as centre and radius.
        rows: the errors.
        cases: relative L2 error by file and `field/factor/mode/region`.
        notes: what there was to warn about.
        provenance: versions, threads and time.
    """

    model: str
    data: str
    split: str
    exclude: tuple[tuple[float, ...], ...]
    rows: tuple[SuperResRow, ...]
    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def factors(self) -> list[int]:
        """The resolutions, in increasing order."""
        return sorted({row.factor for row in self.rows})

    def row(self, factor: int, mode: Mode = "fine", region: Region = "all", field: str | None = None) -> SuperResRow:
        """Returns one row.

        Raises:
            KeyError: there is no such row.
        """
        for row in self.rows:
            if (row.factor, row.mode, row.region) == (factor, mode, region) and field in (None, row.field):
                return row
        raise KeyError(f"no row for {factor}x, {mode}, {region}; resolutions are {self.factors}")

    def table(self) -> "Table":
        """Returns the errors as a table for `rich`."""
        return superres_table([self])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers, lists and names."""
        return {"kind": "geoops.superres", "version": 1, **asdict(self)}

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Returns the report as JSON text, and writes it (all or nothing) if a path is given."""
        text = json.dumps(self.to_dict(), indent=1) + "\n"
        if path is not None:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                temporary.write_text(text)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        return text


def superres_table(reports: Iterable[SuperResReport], *, brief: bool = False) -> "Table":
    """Returns the errors of one or several surrogates in one table, in percent.

    Args:
        reports: on the same meshes.
        brief: only the means, without median and 95th percentile.
    """
    from rich.table import Table

    reports = list(reports)
    first, several = reports[0], len(reports) > 1
    what = "mean" if brief else "mean (median, 95th percentile)"
    title = f"relative L2 error in %, {what} over {first.rows[0].meshes} meshes"
    table = Table(title=title if several else f"{first.model}: {title}", title_justify="left")
    fields = sorted({row.field for report in reports for row in report.rows})
    regions = [r for r in ("outside", "all") if any(row.region == r for row in first.rows)]
    leads = [("model", several), ("field", len(fields) > 1), ("region", len(regions) > 1)]
    for heading, shown in leads:
        if shown:
            table.add_column(heading)
    table.add_column("points", justify="right")
    for mode in MODES:
        table.add_column(HEADINGS[mode], justify="right")
    if "outside" in regions:
        balls = ", ".join(f"{ball[-1]:g} around ({', '.join(f'{v:g}' for v in ball[:-1])})" for ball in first.exclude)
        table.caption = f"outside: without the points within {balls}"
    for report in reports:
        for name in fields:
            for region in regions:
                for factor in report.factors:
                    rows = {r.mode: r for r in report.rows if (r.field, r.region, r.factor) == (name, region, factor)}
                    if rows:
                        values = zip((report.model, name, region), leads, strict=True)
                        cells = [value for value, (_, shown) in values if shown]
                        cells.append(f"{next(iter(rows.values())).points:,.0f} ({factor}x)")
                        cells += [_cell(rows.get(mode), brief) for mode in MODES]
                        table.add_row(*cells, end_section=factor == report.factors[-1])
    return table


def _cell(row: SuperResRow | None, brief: bool) -> str:
    if row is None:
        return ""
    return f"{100 * row.mean:.2f}" + ("" if brief else f" ({100 * row.median:.2f}, {100 * row.p95:.2f})")
