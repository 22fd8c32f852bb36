"""Acceptance checks of enf2enf that need the whole model."""

from dataclasses import fields, replace

import pytest
import torch

from geoops.geometry import Sizes
from geoops.models import ENF2ENF
from geoops.testing import (
    assert_translation_invariant,
    evaluate,
    moved,
    permuted,
    random_shapes,
)

SIZES = Sizes(dim=2, inputs=5, outputs=1)
SMALL = {"geometry_hidden": 16, "field_hidden": 16, "field_blocks": 1, "latent_dim": 4, "alpha_init": 5.0}
ONE = SMALL | {"encoder": "oneshot", "encoder_hidden": 16}


def build(dtype=torch.float32, sizes=SIZES, **options):
    torch.manual_seed(0)
    return ENF2ENF(sizes, **(SMALL | options)).to(dtype)


def take(shapes, index):
    return replace(shapes, **{f.name: getattr(shapes, f.name)[index] for f in fields(shapes)})


def mse(prediction, target):
    return (prediction - target).square().mean()


def relative_l2(prediction, target):
    return ((prediction - target).flatten(1).norm(dim=1) / target.flatten(1).norm(dim=1)).mean()


def geometry_loss(network, shapes):
    return network.stage_loss("geometry", shapes, shapes.pos, shapes.sdf, shapes.sdf, mse)


# --- P5, P6: what encoding must not depend on -------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("shift", [0.1, 10.0])
@pytest.mark.parametrize("attention", ["dense", "separable"])
def test_encoding_moves_with_its_poses(dtype, bound, shift, attention):
    """P5: the inner loop on (X + t, A) with poses P + t returns the contexts of (X, A) with P."""
    mode = "film_linear" if attention == "separable" else "film_mlp"
    network, shapes = build(dtype, attention=attention, value_mode=mode), random_shapes(2, dtype=dtype)
    t = shift * torch.tensor([0.6, -0.8], dtype=dtype)
    here = network.contexts(shapes)
    network.poses.pos += t
    there = network.contexts(moved(shapes, t))
    assert (here - there).abs().max() < bound
    assert (here - 1).abs().max() > 1e-3
    assert (there - network.contexts(shapes)).abs().max() > 1e-4


def test_latents_may_move_in_the_inner_loop():
    """Positions follow the gradient of the misfit as contexts do, with step sizes of their own; without them they stay."""
    network, shapes = build(pose_step=1.0, inner_steps=2), random_shapes(2)
    assert network.alpha.shape == (6,)
    code = network.encode(shapes)
    assert (code["pos"] - network.poses.pos).abs().max() > 1e-4
    assert network.contexts(shapes).shape == (2, 9, 4)
    geometry_loss(network, shapes).backward()
    assert (network.alpha.grad != 0).all()
    assert torch.equal(build(inner_steps=2).encode(shapes)["pos"], network.poses.pos.expand(2, -1, -1))
    jittered = build(pose_step=1.0, pose_jitter=0.1)
    assert geometry_loss(jittered, shapes) != geometry_loss(jittered, shapes)


@pytest.mark.parametrize("options", [{}, {"attention": "knn", "nearest_k": 4}, ONE, ONE | {"refine_steps": 1}])
@pytest.mark.parametrize("poses", ["body", "boundary"])
def test_poses_of_the_body_make_everything_invariant(options, poses):
    """A shifted body is the same input, without retraining; with a grid in the common frame it is a new one."""
    network, shapes = build(torch.float64, poses=poses, **options).eval(), random_shapes(2, dtype=torch.float64)
    assert_translation_invariant(network, shapes, shift=10.0, atol=1e-10)
    with pytest.raises(AssertionError, match=r"move by 0\.1"):
        assert_translation_invariant(build(torch.float64, **options).eval(), shapes, shift=0.1, atol=1e-4)


@pytest.mark.parametrize("options", [{}, ONE])
@pytest.mark.parametrize("poses", ["body", "boundary"])
def test_aligned_poses_and_se2_add_rotations(options, poses):
    network = build(torch.float64, poses=poses, align="principal", bi_invariant="se2", **options).eval()
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    assert_translation_invariant(network, random_shapes(2, dtype=torch.float64), shift=10.0, rotation=turn, atol=1e-10)


@pytest.mark.parametrize("options", [{}, ONE | {"query_features": ("sdf", "boundary"), "slices": 3}])
def test_poses_in_the_frame_of_the_flow_turn_with_it(options):
    """Turning body and inflow together turns nothing in the answer; turning the body alone does."""
    sizes = Sizes(dim=2, inputs=5, outputs=1, globals=3)
    options = {"poses": "body", "align": "flow", "bi_invariant": "se2", **options}
    network = build(torch.float64, sizes=sizes, **options).eval()
    shapes = random_shapes(2, globals=3, dtype=torch.float64)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    turned = moved(shapes, torch.tensor([5.0, 1.0], dtype=torch.float64), turn)
    with_flow = replace(turned, mu=torch.cat([turned.mu[:, :2] @ turn.T, turned.mu[:, 2:]], 1))
    here = evaluate(network, shapes)
    assert (here - evaluate(network, with_flow)).abs().max() < 1e-10
    assert (here - evaluate(network, turned)).abs().max() > 1e-5


def test_oriented_queries_turn_with_the_body():
    """SE(2) with orientated queries: the orientation is the gradient of the distance."""
    options = ONE | {"geometry_weight": 0.0, "bi_invariant": "se2_oriented", "poses": "boundary"}
    network = build(torch.float64, **options).eval()
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    assert_translation_invariant(network, random_shapes(2, dtype=torch.float64), shift=10.0, rotation=turn, atol=1e-10)


def test_finer_latents_leave_what_coarser_ones_said():
    """Coarse to fine: the first cross-attention reads the coarsest grid only."""
    network = build(poses="multires", num_latents=[1, 4], coarse_to_fine=True).eval()
    assert network.field.levels == [(0, 1), (1, 5)]
    assert len(network.field.more) == 1
    shapes = random_shapes(1)
    code = network.encode(shapes)
    changed = code | {"latents": torch.cat([code["latents"][:, :1], code["latents"][:, 1:] + 1], 1)}
    x = torch.cat([shapes.pos, shapes.sdf], -1)
    poses = network.poses(shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask)
    first = [network.field.attention(x, *network.field._level(0, poses, c["latents"])) for c in (code, changed)]
    assert torch.equal(*first)
    with torch.no_grad():
        assert (network.decode(code, shapes.pos, shapes.sdf) - network.decode(changed, shapes.pos, shapes.sdf)).abs().max() > 1e-4


def test_absolute_positions_fail_also_with_moving_poses():
    """P9 for the whole map."""
    network = build(torch.float64, poses="body", bi_invariant="absolute").eval()
    with pytest.raises(AssertionError, match=r"move by 0\.1"):
        assert_translation_invariant(network, random_shapes(2, dtype=torch.float64), shift=0.1, atol=1e-3)


@pytest.mark.parametrize("options", [{}, ONE])
def test_encoding_does_not_depend_on_the_batch(options):
    """P6, acceptance check 6: batches of 1, 4 and 16."""
    network, shapes = build(**options).eval(), random_shapes(16, nodes=(30, 50))
    with torch.no_grad():
        sixteen = network.contexts(shapes)
        four = torch.cat([network.contexts(take(shapes, slice(i, i + 4))) for i in range(0, 16, 4)])
        one = torch.cat([network.contexts(shapes.single(i)) for i in range(16)])
    assert (sixteen - four).abs().max() <= 1e-6
    assert (sixteen - one).abs().max() <= 1e-6


def test_encoding_in_chunks_of_nodes_is_encoding():
    network, shapes = build(torch.float64), random_shapes(3, dtype=torch.float64)
    whole = network.contexts(permuted(shapes))
    network.encode_chunk = 7
    torch.testing.assert_close(network.contexts(permuted(shapes)), whole, rtol=0, atol=1e-12)


def test_encoding_works_in_inference_mode():
    network = build().eval()
    with torch.inference_mode():
        shapes = random_shapes(2)
        fast = network(shapes)
    assert torch.equal(fast, evaluate(network, random_shapes(2)))
    assert network.encodes_with_grad
    assert not build(**ONE).encodes_with_grad


# --- check 4: gradients of the meta-learned encoder -------------------------------------------------------------------


@pytest.mark.parametrize("inner_points", [None, 20])
def test_second_order_gradient_is_the_finite_difference(inner_points):
    options = {"geometry_hidden": 8, "num_latents": 4, "latent_dim": 3, "inner_steps": 2, "inner_points": inner_points}
    network, shapes = build(torch.float64, **options), random_shapes(2, nodes=(30, 40), dtype=torch.float64)
    with torch.no_grad():
        network.geometry.head[-1].weight.mul_(20)  # a fresh network hardly feels its contexts

    def loss():
        network.draws.fill_(7)
        return geometry_loss(network, shapes)

    parameters = network.stage_parameters("geometry")
    exact = torch.autograd.grad(loss(), parameters)
    network.order = "first"
    first = torch.autograd.grad(loss(), parameters)
    network.order = "second"
    for chosen in ([p for p in parameters if p is not network.alpha], [network.alpha]):
        generator = torch.Generator().manual_seed(1)
        direction = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in chosen]

        def along(gradients, chosen=chosen, direction=direction):
            pairs = {id(p): g for p, g in zip(parameters, gradients, strict=True)}
            return sum((pairs[id(p)] * d).sum() for p, d in zip(chosen, direction, strict=True)).item()

        def shifted(step, chosen=chosen, direction=direction):
            with torch.no_grad():
                for p, d in zip(chosen, direction, strict=True):
                    p.add_(d, alpha=step)
            value = loss().item()
            with torch.no_grad():
                for p, d in zip(chosen, direction, strict=True):
                    p.sub_(d, alpha=step)
            return value

        # A fourth-order difference, so that neither step size nor rounding decides.
        h = 1e-3 if chosen[0] is network.alpha else 1e-4
        slope = (8 * (shifted(h) - shifted(-h)) - (shifted(2 * h) - shifted(-2 * h))) / (12 * h)
        assert along(exact) == pytest.approx(slope, rel=1e-5)
        assert along(first) != pytest.approx(slope, rel=1e-3)


# --- check 5: the inner loop learns -----------------------------------------------------------------------------------


def train(network, stage, shapes, steps, rate, batch=None, target=None, loss=mse):
    network.train()
    parameters = network.stage_parameters(stage)
    optimiser = torch.optim.AdamW(parameters, rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        some = shapes if batch is None else take(shapes, torch.randint(len(shapes), (batch,), generator=generator))
        wanted = some.sdf if target is None else target
        value = network.stage_loss(stage, some, some.pos, some.sdf, wanted, loss)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        network.after_step(stage)
    return value.item()


def test_three_steps_on_unseen_shapes():
    network = build(geometry_hidden=32, latent_dim=8, num_latents=4, inner_points=40, alpha_init=8.0)
    with torch.no_grad():
        network.geometry.head[-1].weight.mul_(4)  # leaves the plateau of fields that ignore their contexts sooner
    known, unseen = random_shapes(64, nodes=(50, 50)), random_shapes(16, nodes=(50, 50), seed=1)
    network.begin_stage("geometry", lambda: [known])
    train(network, "geometry", known, 110, 3e-3, batch=8)
    before, after = (network.reconstruction_error(unseen, steps).mean().item() for steps in (0, 3))
    assert after <= 0.2 * before
    assert after < 0.25  # of the variance


# --- check 7: what is frozen, and what is clamped ---------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"finetune": True}, ONE | {"refine_steps": 1}])
def test_frozen_stays_frozen(options):
    network, shapes = build(**options), random_shapes(3, nodes=(20, 30))
    frozen = ("frequencies", "poses.pos", "poses.window", "poses.frame")
    before = {name: value.clone() for name, value in network.named_buffers() if name.endswith(frozen)}
    assert len(before) >= 7
    with torch.no_grad():
        network.alpha.copy_(torch.tensor([9.9999, 1e-6, 1.0, 1.0]))
    for stage in network.stages:
        network.begin_stage(stage, lambda: [shapes])
        train(network, stage, shapes, 10, 1e-2, target=shapes.sdf)
    now = dict(network.named_buffers())
    assert all(torch.equal(value, now[name]) for name, value in before.items())
    assert network.alpha.min() >= 1e-6
    assert network.alpha.max() <= 10
    with torch.no_grad():
        network.alpha.copy_(torch.tensor([11.0, -1.0, 1.0, 1.0]))
    network.after_step(network.stages[0])
    torch.testing.assert_close(network.alpha.detach(), torch.tensor([10.0, 1e-6, 1.0, 1.0]))


def test_field_stage_leaves_the_encoder_alone():
    network, shapes = build(), random_shapes(3)
    for stage in network.stages:
        network.begin_stage(stage, lambda: [shapes])
    before = {name: p.clone() for name, p in network.named_parameters() if not name.startswith("field")}
    train(network, "field", shapes, 3, 1e-2, target=shapes.sdf)
    assert all(torch.equal(before[name], p) for name, p in network.named_parameters() if name in before)
    assert not {id(p) for p in network.stage_parameters("geometry")} & {id(p) for p in network.stage_parameters("field")}


# --- check 8: overfitting ---------------------------------------------------------------------------------------------


def test_four_shapes_are_learned_by_heart():
    network = build(field_hidden=32, latent_dim=8, inner_points=40)
    shapes = random_shapes(4, nodes=(64, 64))
    shapes = replace(shapes, key=torch.arange(4))
    centre = torch.stack([shapes.single(i).token_pos.mean((0, 1)) for i in range(4)])[:, None]
    x, y = shapes.pos.split(1, -1)
    target = 1 + torch.sin(2 * x + y) * torch.exp(2 * shapes.sdf) + 3 * centre[..., :1] * y
    for stage, steps, rate in (("geometry", 40, 4e-3), ("field", 300, 5e-3)):
        network.begin_stage(stage, lambda: [shapes])
        train(network, stage, shapes, steps, rate, target=target, loss=relative_l2)
    with torch.no_grad():
        assert relative_l2(network.eval()(shapes), target) < 0.01


# --- codes, statistics, descriptors -----------------------------------------------------------------------------------


def test_contexts_are_standardised_over_the_training_set():
    network, shapes = build(), random_shapes(6)
    network.begin_stage("geometry", lambda: [take(shapes, slice(0, 2)), take(shapes, slice(2, 6))])
    values = shapes.sdf[shapes.mask]
    torch.testing.assert_close(network.descriptor.mean, values.mean(0))
    torch.testing.assert_close(network.descriptor.std, values.std(0, correction=0))
    network.begin_stage("field", lambda: [take(shapes, slice(0, 2)), take(shapes, slice(2, 6))])
    contexts = network.contexts(shapes).flatten(0, 1)
    torch.testing.assert_close(network.latent_mean, contexts.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.latent_std, contexts.std(0, correction=0), atol=1e-5, rtol=1e-4)


def test_channels_that_do_not_vary_are_not_scaled():
    network, shapes = build(inner_steps=0), random_shapes(2)
    for stage in network.stages:
        network.begin_stage(stage, lambda: [shapes])
    assert torch.equal(network.latent_std, torch.ones(4))
    assert torch.equal(network.latent_mean, torch.ones(4))
    assert network.alpha is None


def test_no_shapes_no_statistics():
    with pytest.raises(ValueError, match="no shapes"):
        build().begin_stage("geometry", list)


def test_codes_are_remembered_by_key_while_frozen():
    network, shapes = build().train(), random_shapes(3)
    keyed = replace(shapes, key=torch.tensor([4, 5, 6]))
    for stage in network.stages:
        network.begin_stage(stage, lambda: [keyed])
    loss = network.stage_loss("field", keyed, shapes.pos, shapes.sdf, shapes.sdf, mse)
    torch.testing.assert_close(network.stage_loss("field", shapes, shapes.pos, shapes.sdf, shapes.sdf, mse), loss)
    # The keys decide while training ...
    swapped = replace(keyed, key=torch.tensor([6, 5, 4]))
    assert network.stage_loss("field", swapped, shapes.pos, shapes.sdf, shapes.sdf, mse) != loss
    # ... but not elsewhere, and not after loading other weights.
    network.eval()
    torch.testing.assert_close(network.stage_loss("field", swapped, shapes.pos, shapes.sdf, shapes.sdf, mse), loss)
    network.load_state_dict(network.state_dict())
    assert not network._cache


def test_random_subsets_continue_after_loading():
    network, shapes = build(inner_points=10), random_shapes(3)
    geometry_loss(network, shapes)
    other = build(inner_points=10)
    other.load_state_dict(network.state_dict())
    values = [geometry_loss(n, shapes).item() for n in (network, network, other, other)]
    assert values[:2] == values[2:]
    assert values[0] != values[1]


def test_subsets_never_hold_padding():
    network, shapes = build(inner_points=15), random_shapes(4, nodes=(10, 60))
    for points, values, weight in network._subsets(shapes, 3):
        assert points.shape == (4, 15, 2)
        assert torch.equal(weight.sum(1), shapes.mask.sum(1).clamp(max=15).float())
        real = torch.cdist(points, shapes.pos).argmin(-1)
        assert shapes.mask.gather(1, real)[weight > 0].all()
        torch.testing.assert_close(values[weight > 0], shapes.sdf.gather(1, real[..., None])[weight > 0])


def test_node_map():
    shapes = random_shapes(5, nodes=(20, 20))
    network = build(descriptor="node_map", query_features=())
    assert network.geometry.head[-1].out_features == 2
    network.begin_stage("geometry", lambda: [take(shapes, slice(0, 2)), take(shapes, slice(2, 5))])
    torch.testing.assert_close(network.descriptor.reference, shapes.pos.mean(0))
    assert train(network, "geometry", shapes, 20, 2e-3) < 2
    network.begin_stage("field", lambda: [shapes])
    other = build(descriptor="node_map", query_features=())
    other.load_state_dict(network.state_dict())
    assert torch.equal(evaluate(network.eval(), shapes), evaluate(other.eval(), shapes))
    with pytest.raises(ValueError, match="nodes correspond to the 20"):
        network.contexts(random_shapes(2, nodes=(41, 41)))


def test_global_parameters_reach_the_field():
    network = build(sizes=Sizes(dim=2, inputs=5, outputs=1, globals=2))
    shapes = random_shapes(2, globals=2)
    other = replace(shapes, mu=shapes.mu + 1)
    assert (evaluate(network, shapes) - evaluate(network, other)).abs().max() > 1e-4
    assert torch.equal(network.contexts(shapes), network.contexts(other))


@pytest.mark.parametrize("order", ["second", "first", "reptile"])
def test_all_orders_train_the_step_sizes(order):
    network, shapes = build(order=order), random_shapes(2)
    geometry_loss(network, shapes).backward()
    assert (network.alpha.grad != 0).all()


def test_finetuning_reaches_the_encoder_through_the_field():
    network, shapes = build(finetune=True, geometry_weight=0.0), random_shapes(2)
    for stage in network.stages:
        network.begin_stage(stage, lambda: [shapes])
    network.stage_loss("finetune", shapes, shapes.pos, shapes.sdf, shapes.sdf, mse).backward()
    assert network.geometry.stem.weight.grad.abs().max() > 0
    assert network.stage_lr_scale("finetune") == 0.1
    assert network.stage_lr_scale("field") == 1.0


def test_geometry_weight_zero_leaves_the_reconstruction_out():
    network, shapes = build(**ONE | {"geometry_weight": 0.0}), random_shapes(2)
    network.stage_loss("field", shapes, shapes.pos, shapes.sdf, shapes.sdf, mse).backward()
    assert all(p.grad is not None for p in network.stage_parameters("field"))
    assert all(p.grad is None for p in network.geometry.parameters())


def test_steps_need_step_sizes():
    with pytest.raises(ValueError, match="refine_steps=0"):
        build(**ONE).contexts(random_shapes(1), steps=2)


def test_unknown_stages_are_named():
    network, shapes = build(), random_shapes(1)
    with pytest.raises(ValueError, match="'warmup'"):
        network.stage_parameters("warmup")
    with pytest.raises(ValueError, match="'finetune'"):
        network.stage_loss("finetune", shapes, shapes.pos, shapes.sdf, shapes.sdf, mse)
