"""Plain values of YAML as what they stand for; errors name the key, what was expected and what was there."""

import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from reprlib import Repr
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from ._construct import known_instead

T = TypeVar("T")

_short = Repr()
_short.maxdict, _short.maxlist, _short.maxstring, _short.maxother = 8, 8, 80, 80


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does; YAML 1.1 wants 1.0e-4."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))


def load(text: str) -> Any:
    """Returns the plain values of YAML text.

    Raises:
        ValueError: it is no YAML; names the line.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ValueError(f"expected YAML; {' '.join(str(said).split())}{place}") from error
    except ValueError as error:  # of a date that does not exist
        raise ValueError(f"expected YAML; {error}") from error


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
        raise ValueError(f"{where}: expected a mapping with the keys {', '.join(known)}, got {_said(given)}")
    if unknown := [key for key in given if key not in known]:
        raise ValueError(f"{where}: no key {known_instead(unknown[0], known)}")
    needed = [name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in given]:
        raise ValueError(f"{where}: missing {', '.join(missing)}; there must be {', '.join(needed)}")
    hints, found = get_type_hints(kind), {}
    for name, value in given.items():
        try:
            found[name] = _fitted(value, hints[name])
        except TypeError:
            raise ValueError(f"{where}: expected {_words(hints[name])} for {name}, got {_said(value)}") from None
    return found


def _fitted(value: Any, hint: Any) -> Any:
    """Returns a value as its type wants it.

    Raises:
        TypeError: it does not fit.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for one in args:
            try:
                return _fitted(value, one)
            except TypeError:
                continue
    elif origin is Literal:
        if isinstance(value, str) and value in args:
            return value
    elif origin in (tuple, list):
        if isinstance(value, list):
            return origin(_fitted(item, args[0]) for item in value)
    elif origin is dict:
        if isinstance(value, dict):
            return {_fitted(key, args[0]): _fitted(item, args[1]) for key, item in value.items()}
    elif hint is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    elif type(value) is hint or not _is_plain(hint):
        return value
    raise TypeError


def _words(hint: Any, many: bool = False) -> str:
    """Returns what a type expects, in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_words(one) for one in args if one is not NoneType)
    if origin is Literal:
        return f"{', '.join(args[:-1])} or {args[-1]}"
    if origin in (tuple, list):
        return f"a list of {_words(args[0], many=True)}"
    if origin is dict:
        return "a mapping of names to numbers, texts and lists of numbers"
    one = {float: "a number", int: "a whole number", str: "a text"}.get(hint, "a mapping")
    return f"{one.removeprefix('a ')}s" if many else one


def _is_plain(hint: Any) -> bool:
    return hint in (float, int, str, bool, NoneType)


def _said(value: Any) -> str:
    return "nothing" if value is None else _short.repr(value)
