"""Packaged models still are what their files say: a change of the code that alters them is found here."""

from pathlib import Path

import pytest
import torch

import geoops
from geoops.learning import checkpoint_names

SMALL = Path(__file__).resolve().parents[2] / "datasets" / "unit_cell" / "small"


@pytest.mark.parametrize("name", [name for name in checkpoint_names() if name.startswith("unit-cell/")])
def test_packaged_model_has_the_error_that_it_reports(name):
    predictor = geoops.load(name)
    errors = []
    # The small set holds the first test cells of the full one.
    for path in sorted((SMALL / "test").glob("*.vtu"))[:8]:
        mesh = geoops.read(path)
        truth = mesh.point_fields["von_mises"]
        prediction = predictor.decode(predictor.encode(mesh))[:, 0]
        errors.append(float((prediction - truth).norm() / truth.norm()))
    reported = predictor.metadata["results"]["test/rel_l2"]
    assert torch.tensor(errors).mean() == pytest.approx(reported, rel=0.5)
