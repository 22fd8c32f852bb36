"""The directive `api` documents what a package of geoops exports; docstrings may hold Markdown's formulas and code."""

import ast
import importlib.util
import inspect
import re
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def exported(module: str) -> list[str]:
    """Returns the names that a package exports by `from ._file import Name as Name`, in order; lazy ones included."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"no module {module}")
    tree = ast.parse(Path(spec.origin).read_text())
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= dict.fromkeys(a.asname for a in node.names if a.asname and a.asname == a.name)
    return [name for name in found if not name.startswith("_")]


class Api(SphinxDirective):
    """`.. api:: geoops.io` documents the module and every name that it exports."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        lines = [f".. automodule:: {module}", "   :no-members:", ""]
        for name in exported(module):
            thing = getattr(import_module(module), name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                lines += [f".. auto{'class' if inspect.isclass(thing) else 'function'}:: {module}.{name}"]
                # What a package passes on from another one is indexed where it is made.
                lines += [] if thing.__module__.startswith(f"{module}.") else ["   :no-index:"]
            elif isinstance(thing, dict):
                keys = ", ".join(f"`{key}`" for key in thing)
                lines += [f".. py:data:: {module}.{name}", "", f"   Dictionary with the keys {keys}."]
            lines += [""]
        return self.parse_text_to_nodes("\n".join(lines))


def indented(text: str, spaces: str) -> str:
    """Returns lines with the same indentation, relative to the least that they have."""
    return "\n".join(f"{spaces}{line}" if line else "" for line in inspect.cleandoc(text).splitlines())


def markdown(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turns `$x$` and `$$x$$` into formulas, and fenced blocks into code."""
    text = "\n".join(lines)

    def fence(match: re.Match) -> str:
        indent, language, body = match.groups()
        return f"{indent}.. code-block:: {language or 'text'}\n\n{indented(chr(10) + body, indent + '   ')}\n"

    def display(match: re.Match) -> str:
        indent, body = match.groups()
        return f"\n{indent}.. math::\n\n{indented(chr(10) + body, indent + '   ')}\n\n{indent}"

    text = re.sub(r"^( *)```(\w*)\n(.*?)^ *```$", fence, text, flags=re.S | re.M)
    text = re.sub(r"^( *)\$\$(.+?)\$\$[,.]?[ ]*", display, text, flags=re.S | re.M)
    text = re.sub(r"(?<![\\$`])\$([^$`]+?)\$", lambda m: f":math:`{' '.join(m[1].split())}`", text)
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive and the conversion."""
    app.add_directive("api", Api)
    app.connect("autodoc-process-docstring", markdown)
    return {"parallel_read_safe": True}
