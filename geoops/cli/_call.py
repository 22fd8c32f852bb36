"""Commands that call a function: its signature and docstring are the command line."""

import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from rich.console import Console

#: Short options, where a function has such a parameter.
SHORT = {"-o": ("output", "out")}


def run_function(target: str, args: Sequence[str], prog: str) -> int:
    """Calls the function at `module:name` with a command line.

    Parameters without default are positional (a list takes one or more values), the others are options, as is the
    output.
    """
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    parameters = inspect.signature(function).parameters
    short = ", ".join(f"{s} is short for --{name}" for s, names in SHORT.items() for name in names if name in parameters)
    parser = ArgumentParser(prog=prog, description=_first_paragraph(function), epilog=short or None, exit_on_error=False)
    options = {short for names in SHORT.values() for short in names}
    positional = [p for p in parameters.values() if p.default is p.empty and p.name not in options]
    for p in positional:
        parser.add_argument(p.name, type=str, **({"nargs": "+"} if _is_list(p.annotation) else {}))
    parser.add_function_arguments(function, skip={p.name for p in positional}, as_group=False, fail_untyped=False)
    try:
        given = parser.parse_args(_expand(args, parameters))
    except ArgumentError as error:
        sys.stderr.write(f"geoops: error: {' '.join(str(error).split())}\n")
        return 2
    _report(function(**{name: given[name] for name in parameters}))
    return 0


def _expand(args: Sequence[str], parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """Replaces short options, takes `-` for `_` in names, and lets flags stand alone."""
    out = []
    for arg, following in zip(args, [*args, ""][1:], strict=True):
        flag, equals, value = arg.partition("=")
        name = flag[2:].replace("-", "_")
        if arg in SHORT and (long := next((n for n in SHORT[arg] if n in parameters), None)):
            out.append(f"--{long}")
        elif flag.startswith("--") and name in parameters:
            out.append(f"--{name}{equals}{value}")
            alone = isinstance(parameters[name].default, bool) and not equals
            if alone and following.lower() not in ("true", "false"):
                out.append("true")
        else:
            out.append(arg)
    return out


def _is_list(hint: Any) -> bool:
    """Says whether an annotation (or a part of a union) is a list."""
    return any(typing.get_origin(option) is list for option in (hint, *typing.get_args(hint)))


def _first_paragraph(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n\n")[0]


def _report(result: Any) -> None:
    """Says what a function returned: a table, or the paths that were written."""
    if hasattr(result, "table"):
        Console().print(result.table())
        return
    paths = result if isinstance(result, list | tuple) else [result]
    for path in paths:
        if isinstance(path, str | Path):
            sys.stdout.write(f"{path}\n")
