import math

import pytest
import torch

from geoops.layers import QUERY_FEATURES, QueryFeatures, boundary_normal
from geoops.testing import moved, random_shapes

SHIFT = torch.tensor([3.0, -2.0], dtype=torch.float64)
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)


def features(names, shapes, pos=None, sdf=None):
    query = QueryFeatures(names, 2, shapes.x.shape[-1])
    pos, sdf = shapes.pos if pos is None else pos, shapes.sdf if sdf is None else sdf
    found = query(pos, sdf, query.keep(shapes))
    assert found.shape[-1] == query.channels
    return found


def test_all_are_invariant_under_translations_and_scalars_under_rotations():
    shapes = random_shapes(2, dtype=torch.float64)
    there = moved(shapes, SHIFT)
    torch.testing.assert_close(features(QUERY_FEATURES, shapes), features(QUERY_FEATURES, there))
    turned = moved(shapes, SHIFT, TURN)
    scalars = ("sdf", "log_sdf", "boundary")
    torch.testing.assert_close(features(scalars, shapes), features(scalars, turned))
    torch.testing.assert_close(features(("sdf_gradient",), shapes) @ TURN.T, features(("sdf_gradient",), turned))


def test_the_mean_normal_is_the_gradient_of_the_distance_near_the_boundary():
    shapes = random_shapes(1, dtype=torch.float64)
    query = QueryFeatures(("sdf_gradient",), 2, 5)
    facet = int(shapes.token_pos[0, :, 0].argmin())
    normal = shapes.token_normal[0, facet]
    near = shapes.token_pos[:, facet : facet + 1] - 0.01 * normal
    found = boundary_normal(near, query.keep(shapes))[0, 0]
    assert found @ normal > 0.9


def test_padding_does_not_count():
    shapes = random_shapes(3, dtype=torch.float64)
    far = torch.full((1, 4, 2), 40.0, dtype=torch.float64)
    for i in range(3):
        pos, sdf = shapes.pos[i : i + 1, :4], shapes.sdf[i : i + 1, :4]
        alone = features(QUERY_FEATURES, shapes.single(i), pos, sdf)
        whole = features(QUERY_FEATURES, shapes, pos.expand(3, -1, -1), sdf.expand(3, -1, -1))[i : i + 1]
        torch.testing.assert_close(alone, whole)
    assert features(QUERY_FEATURES, shapes.single(0), far, sdf).isfinite().all()


def test_formulas_for_a_single_facet():
    shapes = random_shapes(1, dtype=torch.float64).single(0)
    one = {name: getattr(shapes, name)[:, :1] for name in ("token_pos", "token_normal", "token_size", "token_x")}
    pos, sdf = shapes.pos[:, :3], shapes.sdf[:, :3]
    query = QueryFeatures(("sdf", "log_sdf", "boundary"), 2, 5)
    found = query(pos, sdf, one)
    away = (pos - one["token_pos"]).norm(dim=-1)
    torch.testing.assert_close(found[..., :1], sdf)
    torch.testing.assert_close(found[..., 1], (sdf[..., 0].abs() + 1e-3).log())
    torch.testing.assert_close(found[..., 2], math.log(float(one["token_size"])) - away / 0.1)
    torch.testing.assert_close(found[..., 3:8], one["token_x"].expand(-1, 3, -1))


def test_nothing_is_kept_that_is_not_needed():
    shapes = random_shapes(1)
    assert QueryFeatures(("sdf", "log_sdf"), 2, 5).keep(shapes) == {}
    assert QueryFeatures((), 2, 5)(shapes.pos, shapes.sdf, {}).shape == (*shapes.pos.shape[:2], 0)


@pytest.mark.parametrize(("names", "message"), [(("curvature",), "'curvature'"), (("sdf", "sdf"), "must differ")])
def test_bad_names(names, message):
    with pytest.raises(ValueError, match=message):
        QueryFeatures(names, 2, 0)
