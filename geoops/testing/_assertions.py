"""Properties of a surrogate as assertions that users can call on their own networks."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry import Shapes

from ._shapes import moved, padded, permuted


def evaluate(
    network: nn.Module,
    shapes: Shapes,
    pos: Float[Tensor, "shapes queries dim"] | None = None,
    sdf: Float[Tensor, "shapes queries 1"] | None = None,
) -> Float[Tensor, "shapes queries outputs"]:
    """Returns the field at query points (default: the nodes) by `encode` and `decode`, without gradients."""
    if pos is None:
        pos, sdf = shapes.pos, shapes.sdf
    with torch.no_grad():
        return network.decode(network.encode(shapes), pos, sdf)


def assert_translation_invariant(
    network: nn.Module,
    shapes: Shapes,
    *,
    shift: float = 1.0,
    rotation: Float[Tensor, "dim dim"] | None = None,
    atol: float = 1e-4,
) -> None:
    r"""Asserts $f(S + t)(x + t) = f(S)(x)$ at the nodes, or, with a rotation, $f(RS + t)(Rx + t) = f(S)(x)$.

    Args:
        network: has `encode` and `decode`.
        shapes: to be moved.
        shift: length of the translation along the diagonal.
        rotation: matrix of a rotation, applied before the shift.
        atol: largest difference allowed.

    Raises:
        AssertionError: if a value changes by more than `atol`.
    """
    dim = shapes.pos.shape[-1]
    other = moved(shapes, torch.full((dim,), shift / dim**0.5), rotation)
    _close(
        evaluate(network, shapes)[shapes.mask],
        evaluate(network, other)[shapes.mask],
        atol,
        f"the field changes when the shapes move by {shift:g}" + ("" if rotation is None else " and turn"),
    )


def assert_permutation(network: nn.Module, shapes: Shapes, *, atol: float = 1e-5, seed: int = 0) -> None:
    """Asserts that the order of nodes and tokens does not change the field at fixed query points.

    Raises:
        AssertionError: if a value changes by more than `atol`.
    """
    before = evaluate(network, shapes)[shapes.mask]
    after = evaluate(network, permuted(shapes, seed), shapes.pos, shapes.sdf)[shapes.mask]
    _close(before, after, atol, "the field depends on the order of nodes or tokens")


def assert_query_independent(
    network: nn.Module, shapes: Shapes, *, chunks: Sequence[int] = (1, 7, 256), atol: float = 1e-5
) -> None:
    """Asserts that a point has the same value alone, in chunks, in another order, and when there are no points at all.

    Raises:
        AssertionError: if a value changes by more than `atol`, or the output for zero queries is not empty.
    """
    with torch.no_grad():
        code = network.encode(shapes)
        whole = network.decode(code, shapes.pos, shapes.sdf)
        for chunk in chunks:
            pairs = zip(shapes.pos.split(chunk, 1), shapes.sdf.split(chunk, 1), strict=True)
            parts = torch.cat([network.decode(code, pos, sdf) for pos, sdf in pairs], 1)
            _close(whole, parts, atol, f"the field changes when decoded {chunk} points at a time")
        order = torch.randperm(whole.shape[1], generator=torch.Generator().manual_seed(0)).to(whole.device)
        mixed = network.decode(code, shapes.pos[:, order], shapes.sdf[:, order])
        _close(whole[:, order], mixed, atol, "the field depends on the order of the queries")
        nothing = network.decode(code, shapes.pos[:, :0], shapes.sdf[:, :0])
    expected = (whole.shape[0], 0, whole.shape[2])
    if nothing.shape != expected:
        raise AssertionError(f"decoding no points must give shape {expected}, got {tuple(nothing.shape)}")


def assert_batch_independent(network: nn.Module, shapes: Shapes, *, atol: float = 1e-5) -> None:
    """Asserts that a shape has the same field alone, without padding, as in a batch.

    Raises:
        AssertionError: if a value changes by more than `atol`.
    """
    together = evaluate(network, shapes)
    for i in range(len(shapes)):
        alone = evaluate(network, shapes.single(i))[0]
        _close(together[i][shapes.mask[i]], alone, atol, f"the field of shape {i} depends on its batch mates")


def assert_padding_ignored(network: nn.Module, shapes: Shapes, *, extra: int = 5, atol: float = 1e-5) -> None:
    """Asserts that more padding, of zeros or of anything else, does not change the field.

    Raises:
        AssertionError: if a value changes by more than `atol`.
    """
    before = evaluate(network, shapes)[shapes.mask]
    for fill in (0.0, 0.7):
        after = evaluate(network, padded(shapes, extra, fill), shapes.pos, shapes.sdf)[shapes.mask]
        _close(before, after, atol, f"the field depends on padding (filled with {fill:g})")


def observed_rate(sizes: Sequence[float], errors: Sequence[float]) -> float:
    r"""Returns the slope $p$ of the least-squares line through $(\log h, \log e)$: errors behave as $h^p$.

    Args:
        sizes: mesh sizes, positive, at least two different ones.
        errors: positive errors at these sizes.

    Raises:
        ValueError: if there are fewer than two pairs or a value is not positive.
    """
    if len(sizes) != len(errors) or len(sizes) < 2:
        raise ValueError(f"expected at least two sizes and as many errors, got {len(sizes)} and {len(errors)}")
    if min(*sizes, *errors) <= 0:
        raise ValueError(f"sizes and errors must be positive, got {list(sizes)} and {list(errors)}")
    h = torch.tensor(sizes, dtype=torch.float64).log()
    e = torch.tensor(errors, dtype=torch.float64).log()
    h = h - h.mean()
    return float((h * e).sum() / (h * h).sum())


def _close(a: Tensor, b: Tensor, atol: float, message: str) -> None:
    worst = largest(a, b)
    if not worst <= atol:
        raise AssertionError(f"{message}: largest difference {worst:.3g}, allowed {atol:g}")


def largest(a: Any, b: Any) -> float:
    """Returns the largest absolute difference of two tensors of the same shape, 0 for empty ones.

    Raises:
        AssertionError: if the shapes differ.
    """
    if a.shape != b.shape:
        raise AssertionError(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
    return float((a - b).abs().max()) if a.numel() else 0.0
