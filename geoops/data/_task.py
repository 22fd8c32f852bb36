"""What is asked of a data set: which fields go in, which come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Task:
    """Names of the fields that a surrogate reads and predicts.

    Args:
        inputs: point fields given with the geometry; integer fields are read as categories (one-hot).
        targets: point fields to predict.
        globals: per-mesh parameters (field data), the vector mu.

    Raises:
        TypeError: where a single string stands for a list of names.
        ValueError: without targets, or when a name is both given and asked for.
    """

    inputs: Sequence[str]
    targets: Sequence[str]
    globals: Sequence[str] = ()

    def __post_init__(self):
        for role in ("inputs", "targets", "globals"):
            names = getattr(self, role)
            if isinstance(names, str):
                raise TypeError(f"Task.{role} must be a list of field names, got the string {names!r}: write [{names!r}]")
            object.__setattr__(self, role, tuple(names))
            if len(set(names)) < len(tuple(names)):
                raise ValueError(f"Task.{role} names a field twice: {list(names)}")
        if not self.targets:
            raise ValueError("Task.targets is empty: name at least one point field to predict")
        if both := set(self.inputs) & set(self.targets):
            raise ValueError(f"{sorted(both)} are both inputs and targets: a field that is asked for cannot be given")

    def to_dict(self) -> dict[str, list[str]]:
        """Returns plain lists of names (for JSON)."""
        return {role: list(getattr(self, role)) for role in ("inputs", "targets", "globals")}
