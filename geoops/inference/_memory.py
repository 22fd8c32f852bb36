"""Memory budgets: how many query points may be decoded at once."""

import re
import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"k": 10**3, "m": 10**6, "g": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}

#: Larger chunks than this are no faster: intermediate results no longer stay in the caches.
LARGEST_CHUNK = 4096
#: So few queries are decoded at once, without a probe, if the budget is not small.
UNPROBED = 2048
_UNPROBED_BUDGET = 500 * 10**6
_PROBE = 128
#: Allocators keep and round up what they are asked for, so live tensors may fill only this part of the budget.
_USABLE = 0.6


def parse_memory(memory: str | int | float) -> int:
    """Returns a number of bytes from `"1GB"`, `"500MB"`, `"2GiB"` or a number of bytes.

    Raises:
        ValueError: the text is not an amount of memory, or not a positive one.
    """
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([a-z]*)\s*", memory.lower())
        if match is None or match[2] not in _UNITS:
            raise ValueError(f"memory must look like '1GB', '500MB' or be a number of bytes; got {memory!r}")
        amount = float(match[1]) * _UNITS[match[2]]
    else:
        amount = float(memory)
    if not 0 < amount < float("inf"):
        raise ValueError(f"memory must be more than 0 bytes; got {memory!r}")
    return int(amount)


class _LiveBytes(TorchDispatchMode):
    """Adds up the bytes of tensors made while it is active, until they are freed, and remembers the largest sum."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # What comes from outside (weights, queries) is not counted, and neither are views of it.
        known = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in known:
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def peak_bytes(run: Callable[[], Any]) -> int:
    """Returns the largest number of bytes in tensors that `run` makes and holds at the same time."""
    with _LiveBytes() as live:
        run()
    return live.peak


def chunk_size(
    decode: Callable[[int], Any],
    queries: int,
    budget: int,
    *,
    fixed: int = 0,
    cache: dict[Any, float] | None = None,
    key: Any = None,
) -> int:
    """Returns how many queries to decode at once so that the intermediate results stay within a budget.

    Memory grows linearly with the number of queries, which are independent of each other; two small decodes give the
    slope.

    Args:
        decode: decodes the first n queries.
        queries: number of queries there are.
        budget: bytes that may be used.
        fixed: bytes of that which are used by inputs and outputs.
        cache: where measured slopes are kept.
        key: the slope's place in the cache.

    Raises:
        ValueError: not even the inputs and outputs fit in the budget.
    """
    if queries <= UNPROBED and budget >= _UNPROBED_BUDGET:
        return max(queries, 1)
    usable = _USABLE * budget - fixed
    if cache is not None and key in cache:
        slope = cache[key]
    else:
        small, large = min(_PROBE, queries), min(2 * _PROBE, queries)
        peaks = [peak_bytes(lambda n=n: decode(n)) for n in (small, large)]
        # Where only some of the memory grows with the queries the slope alone would be too low.
        slope = max((peaks[1] - peaks[0]) / max(large - small, 1), 0.8 * peaks[1] / large)
        if cache is not None and large > small:
            cache[key] = slope
    fitting = int(usable // max(slope, 1.0))
    if fitting < 1:
        needed = (fixed + slope) / _USABLE
        raise ValueError(
            f"a memory budget of {budget / 1e6:.0f} MB is too small: {queries} points need at least {needed / 1e6:.0f} "
            "MB; raise `memory` or ask for fewer points at once"
        )
    return min(fitting, LARGEST_CHUNK, queries)
