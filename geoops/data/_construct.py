"""Objects by the names of their kinds and options, as scene files give them."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ._plain import fitted, in_words, instead, said

#: What an option in a file may be.
Value = int | float | bool | str | list[int] | list[float]


def options_of(make: Callable[..., Any]) -> dict[str, bool]:
    """Returns the options of a constructor, and whether each must be given."""
    parameters = inspect.signature(make).parameters.items()
    return {name: p.default is p.empty for name, p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}


def check_options(what: str, given: Iterable[str], known: Mapping[str, bool]) -> None:
    """Compares the options given with those known.

    Raises:
        ValueError: an option is unknown, or one that must be given is not.
    """
    if unknown := [name for name in given if name not in known]:
        raise ValueError(f"{what} has no option {instead(unknown[0], known)}")
    if missing := [name for name, needed in known.items() if needed and name not in given]:
        raise ValueError(f"{what} needs the option {missing[0]!r}")


def chosen(what: str, name: Any, kinds: Mapping[str, Any]) -> Any:
    """Returns the kind of a name.

    Raises:
        ValueError: there is none of this name; lists those there are.
    """
    if not isinstance(name, str) or name not in kinds:
        raise ValueError(f"no {what} {instead(name, kinds)}")
    return kinds[name]


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Puts a place, such as a file and what in it, before the words of an error.

    Raises:
        FileNotFoundError: as within.
        ValueError: as within.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{where}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def call(what: str, make: Callable[..., Any], **options: Any) -> Any:
    """Calls a constructor; whole numbers and lists become what it expects.

    Raises:
        ValueError: an option has a wrong type or value.
    """
    hints = {name: p.annotation for name, p in inspect.signature(make).parameters.items()}
    for name, value in options.items():
        try:
            options[name] = fitted(value, hints[name])
        except TypeError:
            raise ValueError(f"{what}: expected {in_words(hints[name])} for {name}, got {said(value)}") from None
    try:
        return make(**options)
    except TypeError as error:
        raise ValueError(f"{what}: {error}") from error
