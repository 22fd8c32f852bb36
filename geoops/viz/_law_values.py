"""Laws of materials, evaluated for charts."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

Law = Callable[[Tensor], Tensor]
Matrices = Float[Tensor, "*batch d d"]


def require_laws(laws: Mapping[str, Law], who: str) -> None:
    """Raises an error unless there are laws and all can be called."""
    if not laws:
        raise ValueError(f"{who}: give at least one law to draw")
    for name, law in laws.items():
        if not callable(law):
            raise TypeError(f"{who}: expected {name!r} to be a function of deformation gradients, got {type(law).__name__}")


def evaluate(law: Law, F: Matrices, name: str) -> Matrices:
    """Returns what a law makes of deformation gradients, in float64 on the CPU.

    A module is called with the dtype and on the device of its parameters, float32 where these are mixed; any other function
    with the default dtype on the CPU.
    """
    parameters = list(law.parameters()) if isinstance(law, nn.Module) else []
    dtypes = {p.dtype for p in parameters if p.is_floating_point()} or {torch.get_default_dtype()}
    dtype = torch.float32 if torch.float32 in dtypes else dtypes.pop()
    device = parameters[0].device if parameters else F.device
    with torch.no_grad():
        out = law(F.to(device, dtype)).cpu().double()
    if out.shape != F.shape:
        raise ValueError(f"{name!r} makes {tuple(out.shape)} of deformation gradients {tuple(F.shape)}; expected the same shape")
    return out
