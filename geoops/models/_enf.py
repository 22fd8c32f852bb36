"""enf2enf: a neural field of the geometry gives the code, another one reads it as the solution."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes
from geoops.layers import (
    ENF,
    Descriptor,
    LatentPoses,
    Moments,
    Pairs,
    Poses,
    QueryFeatures,
    SliceTokens,
    TokenEncoder,
    body_frame,
    boundary_normal,
    context_gradient,
    inner_loop,
    random_subsets,
    token_poses,
)
from geoops.layers import bi_invariant as make_invariant
from geoops.models._network import Loss, Network


def geometry_enf(latent_dim: int = 8, outputs: int = 1, **options: Any) -> ENF:
    """Returns the published geometry network: width 128, no latent blocks; 530,049 parameters for one output."""
    return ENF(latent_dim, outputs, **({"hidden": 128, "blocks": 0} | options))


def field_enf(latent_dim: int = 8, outputs: int = 1, **options: Any) -> ENF:
    """Returns the published field network: width 256, two latent blocks; 4,941,313 parameters for one output."""
    return ENF(latent_dim, outputs, **({"hidden": 256, "blocks": 2} | options))


@final
class ENF2ENF(Network):
    r"""The surrogate of arXiv 2504.18591, $\hat u(x) = f_u(x; P, [c, \mu])$ with a code $c$ of the shape.

    With ``encoder="inner_loop"``, the published method, training has two stages. In ``geometry`` a field $f_a$ learns
    to represent the descriptor of any shape after $K$ gradient steps on its contexts, $c^{(0)} = 1$,
    $c^{(k+1)} = c^{(k)} - \alpha \nabla_c L(c^{(k)})$, with learned step sizes $\alpha$. In ``field`` the contexts are
    frozen, standardised over the training set, and $f_u$ is plain regression. An optional stage ``finetune`` trains
    both at a tenth of the rate, with derivatives through the last inner step.

    With ``encoder="oneshot"`` the latents read the boundary tokens by cross-attention,
    $c_j = \mathrm{EqAttn}(p_j, \{(x_m, t_m)\})$, in a single stage whose loss is that of the field plus
    `geometry_weight` times that of the reconstructed descriptor; `refine_steps` steps of the inner loop may follow.

    Poses, windows and Fourier matrices are frozen. Encoding uses all nodes and is deterministic. With poses that move
    with the body the whole map is invariant under translations; with those in the common frame only each field is.

    Args:
        sizes: channel counts of the data.
        encoder: ``inner_loop`` or ``oneshot``.
        attention: of points to latents: ``dense``, ``knn`` or ``separable`` (which needs ``film_linear``).
        nearest_k: latents a point attends to, with ``knn``.
        value_mode: ``film_mlp`` or ``film_linear``.
        latent_mixer: ``equivariant`` or ``mha``.
        bi_invariant: ``translation``, ``distance``, ``se2``, ``se3_axis``, ``se3_frame``, ``torus`` or ``absolute``.
        poses: ``grid``, ``multires``, ``body`` or ``boundary``, see `geoops.layers.LatentPoses`.
        num_latents: number of latents, or of each grid.
        box: lower and upper end of each axis of the grids of poses, in normalised coordinates.
        align: turn ``body`` and ``boundary`` poses to the ``principal`` axes, or to the ``flow``: the direction of the first
            `dim` global parameters, which needs ``globals_mode: scale`` of the data; ``none`` by default.
        coarse_latents: coarse grid added to ``boundary`` poses.
        window_rel: width of the windows over the spacing of the poses.
        latent_dim: channels of the contexts.
        geometry_hidden: width of the geometry network.
        field_hidden: width of the field network.
        heads: number of heads.
        geometry_blocks: latent blocks of the geometry network.
        field_blocks: latent blocks of the field network.
        cross_layers: cross-attentions of the query points in the field network.
        coarse_to_fine: one cross-attention for each resolution of the poses instead, coarse ones first.
        slices: learned physics tokens without a place beside the latents, see `geoops.layers.SliceTokens`; 0 for none.
        geometry_freq_std: standard deviations of the Fourier frequencies of queries and values, geometry network.
        field_freq_std: the same, field network.
        query_features: what the field network is told of a query, see `geoops.layers.QueryFeatures`; ``se2_oriented`` takes the
            gradient of the distance as the orientation of the query.
        descriptor: ``sdf``, or ``node_map`` for data whose nodes correspond: the position of each node, as a function
            of its mean position over the training set.
        inner_steps: number of inner steps $K$.
        inner_points: nodes drawn anew for each inner step in training; the default is all.
        alpha_init: initial step sizes.
        pose_step: initial step size of the positions of the latents, which then move in the inner loop too, as in the base method
            (arXiv 2406.06660, 1.0 there); 0 keeps them, as published.
        pose_jitter: standard deviation of random displacements of the latents at the start of each loop in training.
        order: ``second``, ``first`` or ``reptile``, see `geoops.layers.inner_loop`.
        finetune: add the stage ``finetune``.
        encoder_hidden: width of the one-shot encoder.
        encoder_layers: its cross-attentions.
        encoder_blocks: its latent blocks.
        refine_steps: inner steps behind the one-shot encoder.
        geometry_weight: weight of the geometry loss beside that of the field (``oneshot`` and ``finetune``).
        activation: of the Fourier embeddings, ``relu`` in the published JAX code.
        dropout: of the attention weights of ``mha``.
        encode_chunk: nodes handled at a time while encoding at inference; the result does not depend on it.
    """

    latent_mean: Tensor
    latent_std: Tensor
    draws: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        encoder: str = "inner_loop",
        attention: str = "dense",
        nearest_k: int | None = None,
        value_mode: str = "film_mlp",
        latent_mixer: str = "equivariant",
        bi_invariant: str = "translation",
        poses: str = "grid",
        num_latents: int | list[int] = 9,
        box: Sequence[Sequence[float]] | None = None,
        align: str = "none",
        coarse_latents: int = 0,
        window_rel: float = 1.0,
        latent_dim: int = 8,
        geometry_hidden: int = 128,
        field_hidden: int = 256,
        heads: int = 2,
        geometry_blocks: int = 0,
        field_blocks: int = 2,
        cross_layers: int = 1,
        coarse_to_fine: bool = False,
        slices: int = 0,
        geometry_freq_std: Sequence[float] = (0.5, 0.5),
        field_freq_std: Sequence[float] = (0.5, 0.5),
        query_features: Sequence[str] = ("sdf",),
        descriptor: str = "sdf",
        inner_steps: int = 3,
        inner_points: int | None = None,
        alpha_init: float = 1.0,
        pose_step: float = 0.0,
        pose_jitter: float = 0.0,
        order: str = "second",
        finetune: bool = False,
        encoder_hidden: int = 128,
        encoder_layers: int = 1,
        encoder_blocks: int = 1,
        refine_steps: int = 0,
        geometry_weight: float = 0.1,
        activation: str = "gelu",
        dropout: float = 0.0,
        encode_chunk: int = 8192,
    ):
        super().__init__(sizes)
        _one_of("encoder", encoder, ("inner_loop", "oneshot"))
        _one_of("order", order, ("second", "first", "reptile"))
        geometry_std, field_std = (_pair(v, n) for v, n in ((geometry_freq_std, "geometry"), (field_freq_std, "field")))
        invariant = make_invariant(bi_invariant, sizes.dim)
        if invariant.needs_axis and (encoder == "inner_loop" or geometry_weight or refine_steps):
            raise ValueError(
                f"bi_invariant={bi_invariant!r} needs orientations of the points, which the geometry field does not have; use "
                "encoder='oneshot' with geometry_weight=0"
            )
        if align == "flow" and sizes.globals < sizes.dim:
            raise ValueError(f"align='flow' needs {sizes.dim} global parameters that are a vector, the data have {sizes.globals}")
        if descriptor == "node_map" and poses in ("body", "boundary"):
            raise ValueError(f"descriptor='node_map' needs poses in the common frame, 'grid' or 'multires', got {poses!r}")
        self.loops = encoder == "inner_loop"
        self.stages = ("geometry", "field") if self.loops else ("field",)
        if not self.loops and finetune:
            raise ValueError("finetune=True goes with encoder='inner_loop'; 'oneshot' trains everything at once anyway")
        if not self.loops and order == "reptile":
            raise ValueError("order='reptile' goes with encoder='inner_loop': it gives a one-shot encoder no gradient")
        self.stages += ("finetune",) if finetune else ()
        self.steps = inner_steps if self.loops else refine_steps
        self.encodes_with_grad = self.steps > 0
        self.order, self.inner_points, self.encode_chunk = order, inner_points, encode_chunk
        self.descriptor, self.geometry_weight = Descriptor(descriptor, sizes.dim), geometry_weight
        self.query = QueryFeatures(query_features, sizes.dim, sizes.inputs)
        self.needs_axis = invariant.needs_axis
        if self.query.turns and invariant.rotations:
            raise ValueError(f"query feature 'sdf_gradient' is a vector, which does not go with bi_invariant={bi_invariant!r}")

        self.poses = LatentPoses(
            poses,
            num_latents,
            sizes.dim,
            box=box,
            window_rel=window_rel,
            align=align,
            coarse=coarse_latents,
            frames=invariant.needs_frame,
        )
        shared = {
            "dim": sizes.dim,
            "heads": heads,
            "bi_invariant": bi_invariant,
            "attention": attention,
            "nearest_k": nearest_k,
            "value_mode": value_mode,
            "latent_mixer": latent_mixer,
            "activation": activation,
            "dropout": dropout,
        }
        self.geometry = ENF(
            latent_dim,
            self.descriptor.channels,
            hidden=geometry_hidden,
            blocks=geometry_blocks,
            freq_std=geometry_std,
            **shared,
        )
        self.field = ENF(
            latent_dim + sizes.globals,
            sizes.outputs,
            hidden=field_hidden,
            blocks=field_blocks,
            freq_std=field_std,
            side=self.query.channels,
            cross_layers=len(self.poses.levels) if coarse_to_fine else cross_layers,
            levels=self.poses.levels if coarse_to_fine else None,
            **shared,
        )
        self.moves, self.pose_jitter = bool(pose_step and self.steps), pose_jitter
        alpha = torch.tensor([alpha_init] * latent_dim + [pose_step] * (sizes.dim if self.moves else 0))
        self.alpha = nn.Parameter(alpha) if self.steps else None
        self.turns = invariant.rotations
        # What a node is known by: position from the centroid where nothing turns, distance, inputs.
        node = (0 if self.turns else sizes.dim) + 1 + sizes.inputs
        self.slices = SliceTokens(node, field_hidden, heads * field_hidden, heads, slices) if slices else None
        self.encoder = None
        if not self.loops:
            self.encoder = TokenEncoder(
                sizes.inputs + 1 + (0 if self.turns else sizes.dim),
                latent_dim,
                invariant,
                hidden=encoder_hidden,
                heads=heads,
                layers=encoder_layers,
                blocks=encoder_blocks,
                attention=attention,
                value_mode=value_mode,
                freq_std=geometry_std,
                latent_mixer=latent_mixer,
                activation=activation,
                dropout=dropout,
            )
        self.latent_dim = latent_dim
        self.register_buffer("latent_mean", torch.zeros(latent_dim))
        self.register_buffer("latent_std", torch.ones(latent_dim))
        # Random subsets follow from this counter, so that a resumed training draws what an uninterrupted one does.
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self._cache: dict[int, Tensor] = {}

    # --- encoding and decoding -------------------------------------------------------------------------------------

    def encode(self, shapes: Shapes) -> dict[str, Tensor]:
        """Returns the latents that queries read, with their poses."""
        poses = self._poses(shapes)
        return self._code(self._contexts(shapes, poses), poses, shapes)

    def decode(
        self,
        code: dict[str, Tensor],
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""
        poses = Poses(code["pos"], code["window"], code.get("frame"))
        x = torch.cat([pos, self.query(pos, sdf, code)], -1)
        axis = F.normalize(boundary_normal(pos, code), dim=-1) if self.needs_axis else None
        addition = None if self.slices is None else partial(self.slices, tokens=code["slices"])
        return self.field.read(code["latents"], x, poses, axis=axis, addition=addition)

    def contexts(self, shapes: Shapes, steps: int | None = None) -> Float[Tensor, "shapes latents channels"]:
        """Returns the raw contexts of the shapes, from all of their nodes.

        Args:
            shapes: to encode.
            steps: inner steps; the default is that of the network.
        """
        return self._contexts(shapes, self._poses(shapes), steps)[..., : self.latent_dim]

    @torch.no_grad()
    def reconstruction_error(self, shapes: Shapes, steps: int | None = None) -> Float[Tensor, " shapes"]:
        """Returns the mean squared error of each shape's descriptor, in its standard deviations, after inner steps."""
        poses = self._poses(shapes)
        contexts = self._contexts(shapes, poses, steps)
        return self._misfit(contexts, self.descriptor(shapes), poses, None)

    def _code(self, contexts: Tensor, poses: Poses, shapes: Shapes) -> dict[str, Tensor]:
        contexts, poses = self._split(contexts, poses)
        normal = (contexts - self.latent_mean) / self.latent_std
        mu = shapes.mu
        if self.poses.align == "flow" and self.turns:
            # In the frame of the flow the vector is its length.
            flow = mu[:, : self.sizes.dim]
            mu = torch.cat([flow.norm(dim=1, keepdim=True), torch.zeros_like(flow[:, 1:]), mu[:, self.sizes.dim :]], 1)
        features = torch.cat([normal, mu[:, None].expand(-1, normal.shape[1], -1)], -1)
        full = poses.expand(len(contexts))
        code = {"latents": self.field.mix(features, poses), "pos": full.pos, "window": full.window}
        if full.frame is not None:
            code["frame"] = full.frame
        if self.slices is not None:
            centre = body_frame(shapes.token_pos, shapes.token_size, shapes.token_mask, align=False)[0]
            place = [] if self.turns else [shapes.pos - centre[:, None]]
            code["slices"] = self.slices.tokens(torch.cat([*place, shapes.sdf, shapes.x], -1), shapes.mask)
        return code | self.query.keep(shapes, self.needs_axis)

    def _poses(self, shapes: Shapes) -> Poses:
        flow = shapes.mu[:, : self.sizes.dim] if self.poses.align == "flow" else None
        return self.poses(shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask, flow)

    def _start(self, shapes: Shapes, poses: Poses) -> Tensor:
        if self.encoder is None:
            return shapes.pos.new_ones(len(shapes), self.poses.latents, self.latent_dim)
        tokens = token_poses(shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask)
        features = [shapes.token_x, shapes.token_size] + ([] if self.turns else [shapes.token_normal])
        measure = torch.where(shapes.token_mask[..., None], shapes.token_size, 1.0).clamp_min(1e-12)
        return self.encoder(tokens, torch.cat(features, -1), shapes.token_mask, measure, poses)

    def _split(self, contexts: Tensor, poses: Poses) -> tuple[Tensor, Poses]:
        """Returns contexts and poses; where latents move, their positions are the last channels of the contexts."""
        if not self.moves:
            return contexts, poses
        full = poses.expand(len(contexts))
        return contexts[..., : self.latent_dim], Poses(contexts[..., self.latent_dim :], full.window, full.frame)

    def _with_positions(self, contexts: Tensor, poses: Poses) -> Tensor:
        return torch.cat([contexts, poses.pos.expand(len(contexts), -1, -1)], -1) if self.moves else contexts

    def _contexts(self, shapes: Shapes, poses: Poses, steps: int | None = None) -> Tensor:
        steps = self.steps if steps is None else steps
        start = self._with_positions(self._start(shapes, poses), poses)
        if not steps:
            return start
        if self.alpha is None:
            raise ValueError("this network was built without inner steps (refine_steps=0); it cannot take any")
        with torch.inference_mode(False), torch.no_grad():
            # Tensors of inference mode cannot take part in the gradients of the inner loop; copies can.
            samples = [value.clone() for value in self.descriptor(shapes)]
            poses = Poses(*(None if v is None else v.clone() for v in (poses.pos, poses.window, poses.frame)))
            weight = samples[2].sum(1, keepdim=True).clamp_min(1)
            chunks = list(zip(*(value.split(self.encode_chunk, 1) for value in samples), strict=True))
            pairs = self.geometry.pairs(chunks[0][0], poses) if len(chunks) == 1 and not self.moves else None
            context = start.detach().clone()
            for _ in range(steps):
                total = torch.zeros_like(context)
                for chunk in chunks:
                    at = context.clone().requires_grad_()
                    misfit = partial(self._misfit, samples=chunk, poses=poses, pairs=pairs)
                    # The mean over all points is the sum of the chunks' means, weighted by their share.
                    total += context_gradient(misfit, at) * (chunk[2].sum(1) / weight[:, 0])[:, None, None]
                context = context - self.alpha * total
        return context

    # --- the geometry network ----------------------------------------------------------------------------------------

    def _misfit(self, contexts: Tensor, samples: Sequence[Tensor], poses: Poses, pairs: Pairs | None) -> Float[Tensor, " shapes"]:
        points, values, weight = samples
        contexts, poses = self._split(contexts, poses)
        field = self.geometry.read(self.geometry.mix(contexts, poses), points, poses, pairs=pairs)
        square = (field - values).square().mean(-1) * weight
        return square.sum(1) / weight.sum(1).clamp_min(1)

    def _subsets(self, shapes: Shapes, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Returns fresh random subsets of the samples."""
        return random_subsets(self.descriptor(shapes), self.inner_points, count, self._generator())

    def _generator(self) -> torch.Generator:
        generator = torch.Generator().manual_seed(int(self.draws))
        self.draws += 1
        return generator

    def _loop(self, shapes: Shapes, poses: Poses, order: str) -> tuple[list[Tensor], Callable[[Tensor, int], Tensor]]:
        """Returns the contexts of all inner steps, differentiable, and the misfit on the subset of each step."""
        start = self._with_positions(self._start(shapes, poses), poses)
        if self.moves and self.pose_jitter:
            place = start[..., self.latent_dim :]
            jitter = self.pose_jitter * torch.randn(place.shape, generator=self._generator()).to(place)
            start = torch.cat([start[..., : self.latent_dim], place + jitter], -1)
        whole = self.inner_points is None
        chosen = [self.descriptor(shapes)] * (self.steps + 1) if whole else self._subsets(shapes, self.steps + 1)
        if self.moves:
            subsets = [(samples, None) for samples in chosen]
        elif whole:
            subsets = [(chosen[0], self.geometry.pairs(chosen[0][0], poses))] * len(chosen)
        else:
            subsets = [(samples, self.geometry.pairs(samples[0], poses)) for samples in chosen]

        def misfit(contexts: Tensor, k: int) -> Tensor:
            samples, pairs = subsets[k]
            return self._misfit(contexts, samples, poses, pairs)

        contexts = inner_loop(misfit, start, self.alpha, self.steps, order) if self.steps else [start]
        return contexts, misfit

    # --- training ----------------------------------------------------------------------------------------------------

    def stage_loss(
        self,
        stage: str,
        shapes: Shapes,
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
        target: Float[Tensor, "shapes queries outputs"],
        loss: Loss,
    ) -> Tensor:
        """Returns the mean misfit of the descriptor, the loss of the field, or both, depending on the stage."""
        _one_of("stage", stage, self.stages)
        poses = self._poses(shapes)
        if stage == "geometry":
            contexts, misfit = self._loop(shapes, poses, self.order)
            if self.order == "reptile":
                return torch.stack([misfit(c, k).mean() for k, c in enumerate(contexts)]).mean()
            return misfit(contexts[-1], self.steps).mean()
        if stage == "field" and self.loops:
            contexts = self._frozen(shapes, poses) if self.training else self._contexts(shapes, poses)
            return loss(self.decode(self._code(contexts, poses, shapes), pos, sdf), target)
        if not self.steps and not self.geometry_weight:
            return loss(self.decode(self._code(self._start(shapes, poses), poses, shapes), pos, sdf), target)
        contexts, misfit = self._loop(shapes, poses, "last" if stage == "finetune" else self.order)
        total = loss(self.decode(self._code(contexts[-1], poses, shapes), pos, sdf), target)
        return total + self.geometry_weight * misfit(contexts[-1], self.steps).mean()

    def stage_parameters(self, stage: str) -> list[nn.Parameter]:
        """Returns the parameters of the geometry network and the step sizes, of the field network, or all."""
        _one_of("stage", stage, self.stages)
        alpha = [] if self.alpha is None else [self.alpha]
        if stage == "geometry":
            return [*self.geometry.parameters(), *alpha]
        if stage == "field" and self.loops:
            return self._field_parameters()
        if not self.steps and not self.geometry_weight:
            return [*self.encoder.parameters(), *self._field_parameters()]
        return super().stage_parameters(stage)

    def _field_parameters(self) -> list[nn.Parameter]:
        return [*self.field.parameters(), *([] if self.slices is None else self.slices.parameters())]

    def stage_lr_scale(self, stage: str) -> float:
        """Returns a tenth for joint fine-tuning."""
        return 0.1 if stage == "finetune" else 1.0

    def begin_stage(self, stage: str, train: Callable[[], Iterable[Shapes]]) -> None:
        """Fits the statistics of the descriptor, and those of the frozen contexts, on the training set."""
        _one_of("stage", stage, self.stages)
        self._cache.clear()
        if stage == self.stages[0]:
            self.descriptor.fit(train)
        if stage == "field" and self.loops:
            moments = Moments()
            for shapes in train():
                moments.add(self._frozen(shapes, self._poses(shapes))[..., : self.latent_dim].flatten(0, 1))
            moments.fill(self.latent_mean, self.latent_std)

    def after_step(self, stage: str) -> None:
        """Keeps the step sizes within [1e-6, 10]."""
        if self.alpha is not None:
            with torch.no_grad():
                self.alpha.clamp_(1e-6, 10)

    def _frozen(self, shapes: Shapes, poses: Poses) -> Tensor:
        """Returns contexts without gradients, remembered by the key of a shape."""
        with torch.no_grad():
            if (shapes.key < 0).any():
                return self._contexts(shapes, poses)
            found = []
            for i, key in enumerate(shapes.key.tolist()):
                if key not in self._cache:
                    # Alone and without padding, so that the digits do not depend on the batch it came in.
                    one = shapes.single(i)
                    self._cache[key] = self._contexts(one, self._poses(one))[0]
                found.append(self._cache[key])
            return torch.stack(found)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self._cache.clear()
        super()._load_from_state_dict(state_dict, prefix, *args)


def _pair(values: Sequence[float], name: str) -> tuple[float, float]:
    if len(values) != 2:
        raise ValueError(f"{name}_freq_std must be two numbers, for queries and values, got {list(values)}")
    return float(values[0]), float(values[1])


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {list(known)}, got {value!r}")
