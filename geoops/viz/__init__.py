"""Pictures of meshes and fields, and charts of errors; the only part of geoops that plots."""

from ._camera import Frame as Frame
from ._charts import plot_history as plot_history
from ._charts import plot_superres as plot_superres
from ._headless import offscreen as offscreen
from ._panel import Panel as Panel
from ._plot import compare as compare
from ._plot import plot_field as plot_field
from ._scene import Scene as Scene
from ._view import view as view
