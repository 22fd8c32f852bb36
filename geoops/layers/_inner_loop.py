"""Encoding by a few gradient steps on the contexts, differentiable itself."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

ORDERS = ("second", "first", "reptile", "last")


def inner_loop(
    misfit: Callable[[Tensor, int], Tensor],
    start: Float[Tensor, "shapes latents channels"],
    alpha: Float[Tensor, " channels"],
    steps: int,
    order: str = "second",
) -> list[Float[Tensor, "shapes latents channels"]]:
    r"""Returns the contexts $c^{(0)}, \dots, c^{(K)}$ of $c^{(k+1)} = c^{(k)} - \alpha\,\nabla_c \sum_i L_i(c^{(k)})$.

    The sum runs over shapes, so that a shape takes the same steps alone and in a batch (CAVIA, arXiv 1810.03642, with
    the learned step sizes of Meta-SGD, arXiv 1707.09835). How gradients flow through the result:

    * ``second``: through all steps, second derivatives included;
    * ``last``: second derivatives of the last step only, earlier contexts held fixed;
    * ``first``: inner gradients are constants; the step sizes and the start still receive gradients;
    * ``reptile``: as ``first``, with the previous context held fixed too.

    Args:
        misfit: returns the loss $L_i$ of each shape for contexts, and may look at the number of the step.
        start: the contexts $c^{(0)}$.
        alpha: step size of each channel.
        steps: number of steps $K$.
        order: see above.

    Raises:
        ValueError: if the order is unknown.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, got {order!r}")
    contexts = [start]
    for k in range(steps):
        context = contexts[-1]
        twice = order == "second" or (order == "last" and k == steps - 1)
        at = context if order == "second" and context.requires_grad else context.detach().requires_grad_()
        gradient = context_gradient(lambda c, k=k: misfit(c, k), at, create_graph=twice)
        contexts.append((context.detach() if order == "reptile" else context) - alpha * gradient)
    return contexts


def context_gradient(
    misfit: Callable[[Tensor], Tensor],
    contexts: Float[Tensor, "shapes latents channels"],
    *,
    create_graph: bool = False,
) -> Float[Tensor, "shapes latents channels"]:
    r"""Returns $\nabla_c \sum_i L_i(c)$, also where gradients are switched off.

    Args:
        misfit: returns the loss of each shape.
        contexts: that require gradients.
        create_graph: whether the result is to be differentiated again.
    """
    # Fused attention kernels cannot be differentiated twice.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(misfit(contexts).sum(), contexts, create_graph=create_graph)
    return gradient


def random_subsets(
    samples: Sequence[Tensor], size: int, count: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Returns subsets of points, drawn anew for each inner step, never of padding.

    Args:
        samples: points (shapes, points, dim), values (shapes, points, channels) and weights (shapes, points), 0 for padding.
        size: points of a subset, or all where a shape has fewer.
        count: number of subsets.
        generator: of the draws, on the CPU, so that all devices draw the same.
    """
    points, values, weight = samples
    subsets = []
    for _ in range(count):
        order = torch.rand(weight.shape, generator=generator).to(weight)
        index = order.masked_fill(weight == 0, -1).topk(min(size, points.shape[1]), dim=1).indices
        rows = index[..., None]
        chosen = [value.gather(1, rows.expand(-1, -1, value.shape[-1])) for value in (points, values)]
        subsets.append((chosen[0], chosen[1], weight.gather(1, index)))
    return subsets
