"""The constructor options of a network, so that it can be built again."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

T = TypeVar("T", bound=nn.Module)


def build(factory: Callable[[Any], T], sizes: Any, base: type[T]) -> tuple[T, dict[str, Any]]:
    """Builds a network and returns it with all its options, defaults included.

    Raises:
        TypeError: the factory does not return a network of the class `base`.
    """
    network = factory(sizes)
    if not isinstance(network, base):
        raise TypeError(f"network must build a geoops.models.{base.__name__} from sizes, got {type(network).__name__}")
    given: dict[str, Any] = {}
    while isinstance(factory, functools.partial):
        given = {**factory.keywords, **given}
        factory = factory.func
    signature = inspect.signature(type(network).__init__)
    options = {
        name: given.get(name, p.default)
        for name, p in list(signature.parameters.items())[2:]
        if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    }
    return network, options


def plain_options(network: nn.Module, options: dict[str, Any]) -> dict[str, Any]:
    """Returns options as JSON keeps them.

    Raises:
        ValueError: an option is not a plain value, so that a file could not hold it.
    """
    try:
        return json.loads(json.dumps(options))
    except TypeError as error:
        raise ValueError(
            f"options of {type(network).__name__} must be numbers, text, lists or dicts to be stored, got {options}"
        ) from error
