"""A scene as one HTML page that needs no server and no network."""

import html
import io
import json
import zipfile
from typing import Any


def page_of(plotter: Any, titles: list[str]) -> str:
    """Returns a page with the viewer of vtk.js, the scene of a pyvista plotter, and a title over each panel.

    The scene is written by the serialisers of trame-vtk directly: `plotter.trame.export_html` of pyvista starts a web
    server, which downloads another viewer.

    Raises:
        ModuleNotFoundError: trame-vtk is not installed.
    """
    try:
        from trame_vtk.modules.vtk import serializers as vtkjs
        from trame_vtk.tools.vtksz2html import write_html
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("HTML pages need trame-vtk; run `pip install geoops[viz-html]`") from error
    plotter.render()
    window = plotter.render_window
    vtkjs.initialize_serializers()
    context = vtkjs.SynchronizationContext()
    context.set_ignore_last_dependencies(True)
    scene = vtkjs.serialize(None, window, vtkjs.reference_id(window), context, 1)
    camera = window.GetRenderers().GetFirstRenderer().GetActiveCamera()
    scene["extra"] = {
        "vtkRefId": vtkjs.reference_id(window),
        "centerOfRotation": camera.GetFocalPoint(),
        "camera": vtkjs.reference_id(camera),
    }
    arrays = {
        entry["hash"]: {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
        for entry in vtkjs.extract_array_hash(scene)
    }
    packed, page = io.BytesIO(), io.StringIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", json.dumps({"hashes": arrays, "scene": scene}))
    write_html(packed.getvalue(), page)
    return _with_titles(page.getvalue(), titles)


def _with_titles(page: str, titles: list[str]) -> str:
    """Titles as HTML over the panels: the viewer in the browser draws meshes and colour bars but no text."""
    share = 100 / len(titles)
    style = "position:fixed;top:2vh;text-align:center;font:18px Arial,sans-serif;pointer-events:none;z-index:9"
    boxes = "".join(
        f'<div style="{style};left:{i * share:.3f}%;width:{share:.3f}%">{html.escape(title)}</div>'
        for i, title in enumerate(titles)
    )
    # The viewer empties the body when it starts, and its own script holds the closing tag as text.
    script = f"<script>document.documentElement.insertAdjacentHTML('beforeend', {json.dumps(boxes)})</script>"
    before, tag, after = page.rpartition("</body>")
    return before + script.replace("</div>", "<\\/div>") + tag + after
