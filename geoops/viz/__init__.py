"""Pictures of meshes, fields and simulations, and charts of errors and laws; the only part of geoops that plots."""

from ._animate import animate as animate
from ._camera import Frame as Frame
from ._charts import plot_history as plot_history
from ._charts import plot_superres as plot_superres
from ._error_chart import error_over_time as error_over_time
from ._headless import offscreen as offscreen
from ._panel import Panel as Panel
from ._plot import compare as compare
from ._plot import plot_field as plot_field
from ._rollout_chart import rollout_chart as rollout_chart
from ._scene import Scene as Scene
from ._stress_chart import stress_stretch as stress_stretch
from ._sweep_chart import sweep_chart as sweep_chart
from ._view import view as view
from ._yield_chart import yield_surface as yield_surface
