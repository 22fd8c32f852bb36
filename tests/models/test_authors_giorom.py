"""The published steppers: their sizes, and their defects, which the options mend."""

import pytest
import torch

from geoops.layers import FNO, InteractionBlock, Lattice
from geoops.layers._interaction import simulator_mlp
from geoops.models import AuthorsGIOROM, StepperSizes
from geoops.testing import StepperSuite, random_particles

MENDED = {
    "raw_velocities": False,
    "source_coords": False,
    "shared_lattice": False,
    "fixed_lattice": False,
    "lattice_attention": False,
    "dropout": 0.0,
}


def count(net):
    return sum(p.numel() for p in net.parameters())


def small(dim, materials=("a", "b"), history=5, preset=None, **options):
    preset = preset or f"authors{dim}d"
    options = {"width": 16, "blocks": 1, "lattice": 6, "dropout": 0.0, **options}
    # The published reach leaves most particles of the plane without a lattice point.
    reach = 0.5 if preset == "v1_fno" else 0.25
    return AuthorsGIOROM(StepperSizes(dim, materials, history), preset=preset, **{"lattice_radius": reach, **options})


class TestAuthors(StepperSuite):
    free_fall = translation_invariant = batch_independent = False

    def build(self, dim, materials, history):
        return small(dim, materials, history)

    def test_accelerations_depend_on_where_the_scene_is(self):
        for dim in (2, 3):
            assert self.shift_changes(dim) > 1e-3

    def test_scenes_of_a_batch_see_each_other(self):
        # Untrained, little comes through the lattice; independent scenes agree to 1e-10.
        for dim in (2, 3):
            assert self.scene_alone(dim, torch.float64) > 1e-7


class TestFirstRelease(TestAuthors):
    def build(self, dim, materials, history):
        return small(dim, materials, history, preset="v1_fno")


class TestMended(StepperSuite):
    free_fall = False

    def build(self, dim, materials, history):
        return small(dim, materials, history, **MENDED)


class TestMendedFirstRelease(StepperSuite):
    free_fall = False
    shift_bound = 5e-5

    def build(self, dim, materials, history):
        return small(dim, materials, history, preset="v1_fno", skip=True, squeeze=False, **MENDED)


class TestOwnLattices(StepperSuite):
    """The mended lattice alone makes scenes independent, and together with its box accelerations invariant."""

    free_fall = False

    def build(self, dim, materials, history):
        return small(dim, materials, history, shared_lattice=False, fixed_lattice=False)


def test_published_sizes():
    space, plane = StepperSizes(3, ("jelly",)), StepperSizes(2, ("jelly",))
    net = AuthorsGIOROM(space)
    assert count(net) == 2_387_669
    sizes = {name: count(part) for name, part in net.named_children()}
    assert [sizes[name] for name in ("embedding", "encode_nodes", "encode_edges", "decode")] == [144, 38_144, 33_920, 33_411]
    assert [count(block) for block in (*net.before, *net.after)] == 4 * [165_248]
    assert sizes["processor"] == 1_583_490
    assert sizes["kernel_in"] + sizes["kernel_out"] == 21_056
    assert sizes["project"] == 16_512

    # The printed model has 64 channels after a kernel whose result is read as 128, so it could not run; here it has 128.
    wide = AuthorsGIOROM(space, latent=128, processor_layers=2, projection=(256, 256))
    assert count(wide) - 64 * (64 + 1) == 3_690_199
    assert count(AuthorsGIOROM(space, processor_layers=2)) == 3_525_847
    large = AuthorsGIOROM(space, blocks=4, lattice=12, lattice_radius=0.025, processor_layers=3, kernel_in=(112, 86))
    assert count(large) == 5_344_591
    # The published plane model also holds a linear map from 3 to 2 numbers that it never applies.
    assert count(AuthorsGIOROM(plane, preset="authors2d")) + 8 == 3_493_694
    assert count(AuthorsGIOROM(space, preset="v1_fno")) == 2_006_574


def test_size_of_the_attention_model_of_september_2024():
    """It holds the Fourier operator, the map to the plane and a plane graph network, and applies none of them."""
    parts = [torch.nn.Embedding(9, 16), simulator_mlp(30, 128), simulator_mlp(3, 128), simulator_mlp(2, 128)]
    parts += [simulator_mlp(128, 128, 2), torch.nn.Linear(3, 2), *(InteractionBlock(128, spectral="authors") for _ in range(3))]
    unused = count(FNO(2, 64, 128)) + count(torch.nn.Linear(3, 2)) + sum(count(part) for part in parts)
    assert count(AuthorsGIOROM(StepperSizes(3, ("jelly",)))) + unused == 4_312_247


@pytest.mark.parametrize("dim", [2, 3])
def test_raw_velocities_ignore_the_statistics(dim):
    """Defect 2: what is learned of velocities does not change with their statistics."""
    graph = random_particles(dim=dim)
    for raw in (True, False):
        net = small(dim, raw_velocities=raw).eval()
        with torch.no_grad():
            before = net(graph)
            net.scale.velocity_std.fill_(0.01)
            assert torch.equal(net(graph), before) == raw


def test_far_particles_get_the_same_from_the_lattice():
    """Defects 5 and 6: the published plane lattice is out of reach of more than half of the particles."""
    net = AuthorsGIOROM(StepperSizes(2, ("a",)), preset="authors2d")
    x = 0.1 + 0.8 * torch.rand(100_000, 2)
    assert abs(net.lattice.coverage(x, net.kernel_in.radius) - 0.43) < 0.02
    large = Lattice(12, ((0.0, 1.0),) * 3)  # the published lattice and reach of the large scenes in space
    assert abs(large.coverage(torch.rand(100_000, 3), 0.025) - 0.09) < 0.02


@pytest.mark.parametrize(("preset", "dim"), [("authors2d", 2), ("authors3d", 3), ("v1_fno", 2), ("v1_fno", 3)])
def test_mended_lattices_reach_all_particles(preset, dim):
    """Check 6, of every preset: the lattice spans the walls, whatever they are."""
    net = AuthorsGIOROM(StepperSizes(dim, ("a",)), preset=preset, fixed_lattice=False)
    span = net.lattice.count - 1.0
    axes = net.lattice.dim
    assert net.lattice.coverage(span * torch.rand(100_000, axes), net.kernel_in.radius) == 1
    corners = torch.cartesian_prod(*[torch.tensor([0.0, span])] * axes)
    assert net.lattice.coverage(corners, net.kernel_in.radius) == 1


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="expected a preset of authors3d, authors2d, v1_fno, got 'v2'"):
        AuthorsGIOROM(StepperSizes(3, ("a",)), preset="v2")
    with pytest.raises(ValueError, match="authors2d is made for 2 dimensions, got 3; take another preset"):
        AuthorsGIOROM(StepperSizes(3, ("a",)), preset="authors2d")
    with pytest.raises(ValueError, match="expected at least 2 classes, one a material, got 1"):
        AuthorsGIOROM(StepperSizes(3, ("a", "b")), classes=1)
