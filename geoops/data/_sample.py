"""One normalised shape as torch_geometric `Data`."""

from typing import Any, final

from torch_geometric.data import Data


@final
class Sample(Data):
    """A shape in normalised units. No key holds node numbers, so that batching only concatenates."""

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> int:
        # `Data` would add node counts to every key whose name contains "index".
        return 0

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> int:
        return 0
