"""The card `dataset.yaml` of a generated set: what it is, how it was made, which cases were rejected."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ._case import C1, C2, CaseOptions
from ._files import FACTS, FIELDS, GENERATOR, package_versions

CARD = "dataset.yaml"


def read_card(root: Path) -> dict[str, Any] | None:
    """Returns the card in `root`, or `None` if there is none."""
    import yaml

    path = root / CARD
    return yaml.safe_load(path.read_text()) if path.exists() else None


def check_card(root: Path, options: CaseOptions, fields: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Returns the rejected cases that `root` already records.

    Raises:
        ValueError: if the files in `root` were made with other options or fields, or by another generator.
    """
    card = read_card(root)
    if card is None:
        return []
    stored = {name: folder["point_data"] for name, folder in card.get("folders", {}).items()}
    for name, then, now in (
        ("options", card.get("options"), asdict(options)),
        ("generator", card.get("generator"), GENERATOR),
        ("point data", stored, {name: list(kept) for name, kept in fields.items()}),
    ):
        if then != now:
            raise ValueError(f"{root} holds files made with {name} {then}, not {now}; choose another folder or pass overwrite=True")
    return list(card.get("rejected", []))


def write_card(root: Path, options: CaseOptions, rejected: list[dict[str, Any]], fields: dict[str, tuple[str, ...]]) -> None:
    """Writes the card; the counts are those of the files that lie in `root` now."""
    import yaml

    folders = {
        name: {
            "files": len(list((root / name).glob("*.vtu"))),
            "level": level,
            "point_data": list(fields[name]),
        }
        for name, level in (("train", 0), ("val", 0), ("test", 0), ("test_4x", 1), ("test_16x", 2))
    }
    left_out = {name: [f for f in FIELDS if f not in kept] for name, kept in fields.items() if set(kept) != set(FIELDS)}
    card = {
        "name": "unit cell",
        "description": "Hyperelastic unit square with a random void, held below and pulled above.",
        "generator": GENERATOR,
        "options": asdict(options),
        "material": {"law": "incompressible Mooney-Rivlin, plane stress", "c1": C1, "c2": C2},
        "units": "lengths in cell sides; load and stresses in the units of c1 and c2",
        "solver": "scikit-fem: quadratic isoparametric triangles on the once refined mesh (level 1), Newton to a "
        "residual of 1e-9; stress projected in L2 on continuous quadratics",
        "levels": {0: "mesh of gmsh", 1: "each triangle split in four", 2: "split once more"},
        "task": {"inputs": ["boundary"], "targets": ["von_mises"]},
        "point_data": {
            "displacement": "(n, 2) float32, cell sides",
            "cauchy": "(n, 3) float32, Cauchy stress s11, s22, s12",
            "von_mises": "(n,) float32, plane stress",
            "boundary": "(n,) uint8: 0 inside, 1 bottom, 2 top, 3 sides, 4 void",
        },
        "field_data": list(FACTS),
        "files": "VTK XML, raw appended arrays, LZMA",
        "folders": folders,
        "left_out_to_save_space": left_out,
        "indices": {"train": "0..999", "val": "1000..1999", "test": "from 2000"},
        "seeds": "numpy.random.default_rng([options.seed, index]), index = file name",
        "rejected": sorted(rejected, key=lambda r: r["index"]),
        "versions": dict(package_versions()),
    }
    root.mkdir(parents=True, exist_ok=True)
    unfinished = root / f".{CARD}.{os.getpid()}.part"
    unfinished.write_text(yaml.safe_dump(card, sort_keys=False, width=110))
    unfinished.replace(root / CARD)
