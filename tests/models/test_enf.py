"""The shared suite on several configurations of enf2enf; its own properties are in test_enf_properties.py."""

import pytest

from geoops.geometry import Sizes
from geoops.models import ENF2ENF
from geoops.testing import ModelSuite

SMALL = {"geometry_hidden": 16, "field_hidden": 16, "field_blocks": 1, "num_latents": 4, "latent_dim": 4}
SMALL_ONE = SMALL | {"encoder": "oneshot", "encoder_hidden": 16}


class TestInnerLoop(ModelSuite):
    def build(self, sizes):
        return ENF2ENF(sizes, inner_steps=2, inner_points=32, **SMALL)


class TestInnerLoopFinetuned(ModelSuite):
    def build(self, sizes):
        return ENF2ENF(sizes, inner_steps=2, finetune=True, order="first", latent_mixer="mha", **SMALL)


class TestInnerLoopSeparable(ModelSuite):
    def build(self, sizes):
        return ENF2ENF(sizes, attention="separable", value_mode="film_linear", cross_layers=2, **SMALL)


class TestInnerLoopReptileKnnIn3D(ModelSuite):
    sizes = Sizes(dim=3, inputs=0, outputs=1)

    def build(self, sizes):
        options = SMALL | {"num_latents": 27, "bi_invariant": "se3_frame"}
        return ENF2ENF(sizes, order="reptile", inner_steps=1, attention="knn", nearest_k=8, **options)


class TestInnerLoopMovingLatents(ModelSuite):
    def build(self, sizes):
        options = SMALL | {"poses": "body", "bi_invariant": "se2"}
        return ENF2ENF(sizes, inner_steps=2, pose_step=0.5, pose_jitter=0.01, **options)


class TestOneShot(ModelSuite):
    def build(self, sizes):
        return ENF2ENF(sizes, encoder_layers=2, refine_steps=1, poses="boundary", coarse_latents=4, **SMALL_ONE)


class TestOneShotSeparable(ModelSuite):
    def build(self, sizes):
        options = {"attention": "separable", "value_mode": "film_linear", "encoder_layers": 2, "cross_layers": 2}
        return ENF2ENF(sizes, **options, **SMALL_ONE)


class TestOneShotWithEverything(ModelSuite):
    def build(self, sizes):
        options = SMALL_ONE | {"num_latents": [4, 9], "poses": "body", "coarse_to_fine": True, "slices": 3}
        return ENF2ENF(sizes, query_features=["sdf", "log_sdf", "sdf_gradient", "boundary"], **options)


class TestOneShotOrientedQueries(ModelSuite):
    @property
    def no_gradient(self):
        """Without its loss the field of the geometry is not trained."""
        return [name for name, _ in self.build(self.sizes).named_parameters() if name.startswith("geometry.")]

    def build(self, sizes):
        options = SMALL_ONE | {"poses": "boundary", "bi_invariant": "se2_oriented", "geometry_weight": 0.0, "slices": 2}
        return ENF2ENF(sizes, query_features=["sdf", "boundary"], **options)


class TestInnerLoopCoarseToFine(ModelSuite):
    def build(self, sizes):
        options = SMALL | {"num_latents": [4, 9], "poses": "multires", "coarse_to_fine": True, "slices": 2}
        return ENF2ENF(sizes, inner_steps=1, query_features=["log_sdf"], **options)


class TestOneShotSE3Axis(ModelSuite):
    sizes = Sizes(dim=3, inputs=2, outputs=1)

    def build(self, sizes):
        options = SMALL_ONE | {"num_latents": [1, 8], "poses": "multires", "value_mode": "film_linear"}
        return ENF2ENF(sizes, bi_invariant="se3_axis", query_features=(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "two_shot"}, "'two_shot'"),
        ({"descriptor": "volume"}, "'volume'"),
        ({"order": "last"}, "'last'"),
        ({"descriptor": "node_map", "poses": "body"}, "common frame"),
        ({"bi_invariant": "se2_oriented"}, "orientations of the points"),
        ({"bi_invariant": "se2", "query_features": ["sdf_gradient"]}, "is a vector"),
        ({"query_features": ["sdf_hessian"]}, "'sdf_hessian'"),
        ({"align": "flow", "poses": "body"}, "global parameters"),
        ({"field_freq_std": [0.5]}, "field_freq_std must be two numbers"),
        ({"align": "principal"}, "poses='body' or 'boundary'"),
        ({"align": "inflow", "poses": "body"}, "'inflow'"),
        ({"encoder": "oneshot", "finetune": True}, "finetune=True"),
        ({"encoder": "oneshot", "order": "reptile"}, "reptile"),
        ({"num_latents": 10}, "got 10"),
        ({"attention": "separable"}, "film_linear"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ENF2ENF(Sizes(dim=2, inputs=0, outputs=1), **options)
