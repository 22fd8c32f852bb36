"""The default time stepper: what is special about it."""

import itertools

import pytest
import torch
from torch_geometric.data import Batch

from geoops.learning import roll_out
from geoops.models import GIOROM, StepperSizes
from geoops.testing import StepperSuite, random_particles

MATERIALS = ("jelly", "water")


def small(dim, materials=MATERIALS, history=5, **options):
    return GIOROM(StepperSizes(dim, materials, history), **{"width": 16, "lattice": 6, "channels": (4, 6), **options})


class TestGIOROM(StepperSuite):
    def build(self, dim, materials, history):
        return small(dim, materials, history)


class TestFree(StepperSuite):
    """Without the momentum of the whole taken away."""

    def build(self, dim, materials, history):
        return small(dim, materials, history, momentum=False)


class TestFluid(StepperSuite):
    """Without first positions, and without a lattice."""

    def build(self, dim, materials, history):
        return small(dim, materials, history, reference="none", processor="none", momentum=False)


class TestForgetful(StepperSuite):
    """With the first positions of the window as the reference."""

    def build(self, dim, materials, history):
        return small(dim, materials, history, reference="window")


class TestGIOROMWithFNO(StepperSuite):
    def build(self, dim, materials, history):
        return small(dim, materials, history, processor="fno")


class TestGIOROMWithAttention(StepperSuite):
    def build(self, dim, materials, history):
        return small(dim, materials, history, processor="attention", channels=(4, 8))


def ready(dim, dtype=torch.float64, **options):
    """A stepper whose parameters are all different from zero, with statistics."""
    net = small(dim, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn_like(p))
        net.scale.velocity_std.fill_(0.01)
        net.scale.acceleration_std.fill_(1e-3)
    return net.to(dtype).eval()


def far_from_walls(graph, shift=0.0):
    """The same particles in a box whose walls are out of reach, at another place."""
    other = graph.clone()
    other.positions, other.rest = graph.positions + shift, graph.rest + shift
    middle = graph.bounds.mean(2, keepdim=True)
    other.bounds = middle + 20 * (graph.bounds - middle) + shift
    return other


def batch(graphs):
    return Batch.from_data_list(list(graphs))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "frames", "bound"), [(torch.float64, 50, 1e-6), (torch.float32, 5, 1e-6), (torch.float32, 50, 2e-5)]
)
def test_a_new_stepper_falls_along_a_parabola(dim, dtype, frames, bound):
    """In single precision positions of size one are rounded by 6e-8 in each frame, and so are the velocities they give."""
    graph = far_from_walls(random_particles(30, dim, dtype=dtype))
    x = torch.stack(list(roll_out(small(dim).to(dtype).eval(), graph, frames)))
    t = torch.arange(1, frames + 1, dtype=torch.float64)[:, None, None]
    start, g = graph.positions.double(), graph.gravity.double()
    v = start[:, -1] - start[:, -2]
    fall = start[:, -1] + v * t + g * t * (t + 1) / 2  # semi-implicit Euler
    assert (x.double() - fall).abs().max() < bound


def net_force_and_torque(a, graph):
    """Net accelerations and torques of each scene about its centre, and the mean size of an acceleration."""
    a = a - graph.gravity[graph.scene]
    out = []
    for scene in range(graph.scenes):
        mine = graph.scene == scene
        arm, force = graph.newest[mine] - graph.newest[mine].mean(0), a[mine]
        pad = torch.nn.functional.pad
        three = 3 - a.shape[1]
        torque = torch.linalg.cross(pad(arm, (0, three)), pad(force, (0, three))).sum(0)
        size = force.norm(dim=1).mean()
        out.append((force.sum(0).norm() / size, torque.norm() / (size * arm.norm(dim=1).mean())))
    return torch.tensor(out)


@pytest.mark.parametrize("dim", [2, 3])
def test_only_gravity_and_walls_change_the_momentum(dim):
    """Away from walls the sums of accelerations without gravity, and of their torques, are zero in each scene of a batch."""
    scenes = [random_particles(30, dim, dtype=torch.float64), random_particles(45, dim, seed=1, dtype=torch.float64)]
    free = batch(far_from_walls(scene, 0.3 * i) for i, scene in enumerate(scenes))
    free.gravity = torch.randn(2, dim, dtype=torch.float64) * 1e-3
    net = ready(dim, momentum=True)
    with torch.no_grad():
        assert net_force_and_torque(net(free), free).max() < 1e-5
        unbound = ready(dim, momentum=False)
        assert net_force_and_torque(unbound(free), free).min() > 1e-2
        close = batch(scenes)  # walls push
        assert net_force_and_torque(net(close), close)[:, 0].min() > 1e-2


@pytest.mark.parametrize("dim", [2, 3])
def test_a_step_keeps_momentum_in_single_precision(dim):
    """The sum of 60 forces is rounded: 2e-5 of one of them; for torques velocities, differences of positions, are rounded too."""
    graph = far_from_walls(random_particles(60, dim))
    with torch.no_grad():
        force, torque = net_force_and_torque(ready(dim, torch.float32)(graph), graph)[0]
    assert force < 5e-5
    assert torque < 1e-3


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("momentum", [True, False])
def test_odd_clouds_are_finite(dim, momentum):
    """Coincident particles, those on a line, outside the walls, and exactly at them; with their gradients."""
    net = ready(dim, torch.float32, momentum=momentum)
    line = torch.linspace(0.2, 0.8, 12)[:, None].expand(12, dim)
    outside = torch.rand(12, dim) * 9 - 4
    corners = torch.tensor(list(itertools.product((0.1, 0.9), repeat=dim)))
    for cloud in (torch.full((12, dim), 0.5), line, outside, corners, torch.full((1, dim), -50.0)):
        graph = random_particles(len(cloud), dim)
        graph.positions = cloud[:, None].repeat(1, 6, 1).requires_grad_()
        graph.rest = cloud.clone()
        a = net(graph.joined())
        assert a.isfinite().all()
        a.sum().backward()
        assert graph.positions.grad.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("dim", [2, 3])
def test_boxes_of_a_batch_do_not_matter(dim):
    """A scene is seen the same beside one in a long and beside one in a large box."""
    net, graph = ready(dim), random_particles(30, dim, dtype=torch.float64)
    others = [random_particles(20, dim, seed=i, dtype=torch.float64) for i in (1, 2)]
    others[0].bounds[0, 0, 1] = 4.0
    others[1].bounds = 10 * others[1].bounds
    with torch.no_grad():
        alone = [net(one) for one in (graph, *others)]
        together = net(batch([graph, *others]))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dim", [2, 3])
def test_units_of_length_do_not_matter(dim):
    """With scene and statistics ten times as large accelerations are, but for the spacing, which the network knows."""
    net, graph = ready(dim), random_particles(30, dim, dtype=torch.float64)
    large = graph.clone()
    for name in ("positions", "rest", "bounds", "gravity", "radius", "spacing"):
        setattr(large, name, 10 * getattr(graph, name))
    with torch.no_grad():
        net.encoder[0].weight[:, 5 * dim + 2 * dim + 16 + dim] = 0  # of the spacing
        a = net(graph)
        net.scale.velocity_std.mul_(10)
        net.scale.acceleration_std.mul_(10)
        torch.testing.assert_close(net(large), 10 * a, rtol=1e-8, atol=1e-12)


def test_materials_and_first_positions_are_seen():
    net, graph = ready(2), random_particles(30, dtype=torch.float64)
    other, moved = graph.clone(), graph.clone()
    other.material = 1 - graph.material
    moved.rest = graph.rest * 1.1
    fluid = ready(2, reference="none")
    with torch.no_grad():
        assert (net(other) - net(graph)).abs().max() > 1e-8
        assert (net(moved) - net(graph)).abs().max() > 1e-8
        assert torch.equal(fluid(moved), fluid(graph))


@pytest.mark.parametrize("dim", [2, 3])
def test_volumes_are_seen_as_growth(dim):
    """Of a linear map by its determinant, as far as there are neighbours all around."""
    from geoops.models._giorom import _dilation

    graph = random_particles(60, dim, dtype=torch.float64)
    source, target = graph.edge_index
    first = (graph.newest[source] - graph.newest[target]) / graph.radius
    shear = torch.eye(dim, dtype=torch.float64)
    shear[0, 1] = 0.7
    weight, many = torch.ones(len(source), dtype=torch.float64), torch.bincount(target, minlength=60) > 4 * dim
    for factor in (1.0, 1.1):
        grown = _dilation(factor * first @ shear.T, first, weight, target, 60)[many]
        torch.testing.assert_close(grown, torch.full_like(grown, factor**dim - 1), rtol=0.15, atol=1e-12)


def test_the_window_is_the_reference():
    """Its first positions are seen, of those of the start only volumes, and nothing between them and the last velocities."""
    net, graph = ready(2, reference="window", history=20), random_particles(30, history=20, dtype=torch.float64)
    assert net.encoder[0].in_features == ready(2).encoder[0].in_features + 2
    swollen, first, between, last = (graph.clone() for _ in range(4))
    swollen.rest = graph.rest * 1.1
    for other, frame in ((first, 0), (between, slice(1, 15)), (last, 15)):
        other.positions = graph.positions.clone()
        other.positions[:, frame] *= 1.1
    with torch.no_grad():
        a = net(graph)
        assert torch.equal(net(between), a)
        assert (net(swollen) - a).abs().max() > 1e-8
        assert (net(first) - a).abs().max() > 1e-8
        assert (net(last) - a).abs().max() > 1e-8


@pytest.mark.parametrize("dim", [2, 3])
def test_a_common_velocity_does_not_matter(dim):
    """Away from walls."""
    net, graph = ready(dim), far_from_walls(random_particles(40, dim, dtype=torch.float64))
    moving = graph.clone()
    moving.positions = graph.positions + 0.05 * torch.arange(-5.0, 1.0, dtype=torch.float64)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(net(moving), net(graph), rtol=1e-7, atol=1e-12)


def rotation(dim):
    skew = torch.tensor([[0, -1.3, 0.4], [1.3, 0, 0.7], [-0.4, -0.7, 0]], dtype=torch.float64)[:dim, :dim]
    return torch.linalg.matrix_exp(skew)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_orientation_at_the_start_does_not_matter(dim):
    """First positions are seen as the shape that particles had, wherever and however turned it was."""
    net, graph = ready(dim), random_particles(40, dim, dtype=torch.float64)
    graph.rest = graph.newest + 0.02 * torch.randn_like(graph.rest)
    turned = graph.clone()
    turned.rest = graph.rest @ rotation(dim).T + 0.3
    with torch.no_grad():
        torch.testing.assert_close(net(turned), net(graph), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_rigid_motion_is_no_deformation(dim):
    """A turned neighbourhood has F = R S with the S of the first one, which is 1 where there are neighbours all around."""
    from geoops.models._giorom import _deformation

    graph = random_particles(60, dim, dtype=torch.float64)
    source, target = graph.edge_index
    first = (graph.newest[source] - graph.newest[target]) / graph.radius
    weight, turn = torch.ones(len(source), dtype=torch.float64), rotation(dim)
    now, then = _deformation(first @ turn.T, first, weight, target, 60)
    torch.testing.assert_close(now, turn @ then, rtol=0, atol=1e-12)
    many = torch.bincount(target, minlength=60) > 4 * dim
    assert many.any()
    torch.testing.assert_close(then[many], torch.eye(dim).double().expand_as(then[many]), rtol=0, atol=0.1)


@pytest.mark.parametrize("dim", [2, 3])
def test_nothing_rigid_is_left(dim):
    """What moves and turns a scene as a whole vanishes, and taking it away twice changes nothing."""
    from geoops.models._giorom import without_rigid

    scene = torch.arange(2).repeat_interleave(20)
    x = torch.randn(40, dim, dtype=torch.float64)
    skew = torch.randn(dim, dim, dtype=torch.float64)
    rigid = x @ (skew - skew.T) + torch.randn(2, dim, dtype=torch.float64)[scene]
    assert without_rigid(rigid, x, scene, 2).abs().max() < 1e-9
    once = without_rigid(torch.randn(40, dim, dtype=torch.float64), x, scene, 2)
    torch.testing.assert_close(without_rigid(once, x, scene, 2), once, rtol=1e-9, atol=1e-9)


def test_options_that_do_not_fit(unchecked):
    for options, words in (
        ({"rate": 0.0}, "expected rate > 0, got 0.0"),
        ({"reference": "end"}, "expected reference start, window or none, got 'end'"),
        ({"processor": "cnn"}, "expected processor unet, fno, attention or none, got 'cnn'"),
        ({"width": 0}, "width >= 1"),
        ({"lattice": 0}, "lattice >= 1"),
        ({"before": -1}, "before >= 0"),
        ({"channels": ()}, "channels"),
    ):
        with pytest.raises(ValueError, match=words):
            small(2, **options)


def test_graphs_that_do_not_fit(unchecked):
    """Windows of another length have features of the same sizes, and would give other accelerations without a word."""
    graph, net = random_particles(20, 2), small(2).eval()
    long = graph.clone()
    long.positions = torch.cat([graph.positions[:, :1], graph.positions], 1)
    wide = graph.clone()
    wide.positions = graph.positions.double()
    apart = graph.clone()
    apart.edge_index = None
    other = graph.clone()
    other.material = torch.full((20,), 2)
    for wrong, words in (
        (long, r"GIOROM: expected positions of shape \(particles, 6, 2\), a history of 5 velocities, got \(20, 7, 2\)"),
        (wide, r"expected positions of torch\.float32 as its weights are, got torch\.float64"),
        (apart, r"no edges; call graph\.joined\(\) first"),
        (other, "expected materials from 0 to 1, got 2 to 2"),
    ):
        with pytest.raises(ValueError, match=words):
            net(wrong)
