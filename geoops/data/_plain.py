"""Plain values of YAML as what they stand for; errors name the key, what was expected and what was there."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from difflib import get_close_matches
from numbers import Real
from reprlib import Repr
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

PLAIN = (float, int, str, bool, NoneType)
#: What becomes of lists in YAML.
LISTS: dict[Any, Callable[[Iterable[Any]], Any]] = {list: list, tuple: tuple, Sequence: tuple}

_short = Repr()
_short.maxdict, _short.maxlist, _short.maxstring, _short.maxother = 8, 8, 80, 80


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does; YAML 1.1 wants 1.0e-4."""


class _Dumper(yaml.SafeDumper):
    """Quotes texts that the loader would read as numbers."""


for _kind in (_Loader, _Dumper):
    _number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _number, list("-+.0123456789"))


def load(text: str) -> Any:
    """Returns the plain values of YAML text.

    Raises:
        ValueError: it is no YAML; names the line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ValueError(f"no valid YAML{place}: {' '.join(str(problem).split())}") from error
    except ValueError as error:  # of a date that does not exist
        raise ValueError(f"no valid YAML: {error}") from error


def dump(value: Any) -> str:
    """Returns plain values as YAML text that `load` understands."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None)


def entries(kind: type, given: Any, where: str, skip: Sequence[str] = ()) -> dict[str, Any]:
    """Returns arguments of a dataclass from a mapping; what is for other dataclasses stays as it is.

    Args:
        kind: the dataclass.
        given: plain values.
        where: place that errors name.
        skip: fields that cannot be given.

    Raises:
        ValueError: no mapping, a key is unknown or missing, or a value does not fit.
    """
    known = {f.name: f for f in fields(kind) if f.name not in skip}
    if not isinstance(given, dict):
        raise ValueError(f"{where}: expected a mapping with the keys {', '.join(known)}, got {said(given)}")
    if unknown := [key for key in given if key not in known]:
        raise ValueError(f"{where}: no key {instead(unknown[0], known)}")
    needed = [name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in given]:
        raise ValueError(f"{where}: missing {', '.join(missing)}; there must be {', '.join(needed)}")
    hints, found = get_type_hints(kind), {}
    for name, value in given.items():
        try:
            found[name] = fitted(value, hints[name])
        except TypeError:
            raise ValueError(f"{where}: expected {in_words(hints[name])} for {name}, got {said(value)}") from None
    return found


def fitted(value: Any, hint: Any) -> Any:
    """Returns a value as its type wants it.

    Raises:
        TypeError: it does not fit.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for one in args:
            try:
                return fitted(value, one)
            except TypeError:
                continue
    elif origin is Literal:
        if isinstance(value, str) and value in args:
            return value
    elif origin in LISTS:
        if isinstance(value, list | tuple):
            return LISTS[origin](fitted(item, args[0]) for item in value)
    elif origin is dict:
        if isinstance(value, dict):
            return {fitted(key, args[0]): fitted(item, args[1]) for key, item in value.items()}
    elif hint is float:
        if isinstance(value, Real) and not isinstance(value, bool):
            with suppress(OverflowError):
                return float(value)
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif hint not in PLAIN or isinstance(value, hint):
        return value
    raise TypeError


def in_words(hint: Any, many: bool = False) -> str:
    """Returns what a type expects, in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        listed = sorted(args, key=lambda one: get_origin(one) in LISTS)
        return ", or ".join(in_words(one) for one in listed if one is not NoneType)
    if origin is Literal:
        return "them" if many else f"{', '.join(args[:-1])} or {args[-1]}"
    if origin in LISTS:
        return f"a list of {in_words(args[0], many=True)}"
    if origin is dict:
        return "a mapping of names to numbers, texts and lists of numbers"
    one = {float: "a number", int: "a whole number", str: "a text"}.get(hint, "a mapping")
    return f"{one.removeprefix('a ')}s" if many else one


def said(value: Any) -> str:
    """Returns a value in a few characters."""
    return "nothing" if value is None else _short.repr(value)


def instead(name: Any, known: Iterable[str]) -> str:
    """Returns words for a name that is unknown: itself, the one that is probably meant, and all there are."""
    close = get_close_matches(str(name), names := list(known), 1)
    meant = f" (do you mean {close[0]!r}?)" if close else ""
    return f"{name!r}{meant}; there are {', '.join(names) or 'none'}"
