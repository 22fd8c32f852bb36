"""The public names of torch_scatter 2.1.2, computed by `geoops.ops`."""

from . import composite as composite
from . import utils as utils
from ._scatter import scatter as scatter
from ._scatter import scatter_add as scatter_add
from ._scatter import scatter_max as scatter_max
from ._scatter import scatter_mean as scatter_mean
from ._scatter import scatter_min as scatter_min
from ._scatter import scatter_mul as scatter_mul
from ._scatter import scatter_sum as scatter_sum
from ._segment_coo import gather_coo as gather_coo
from ._segment_coo import segment_add_coo as segment_add_coo
from ._segment_coo import segment_coo as segment_coo
from ._segment_coo import segment_max_coo as segment_max_coo
from ._segment_coo import segment_mean_coo as segment_mean_coo
from ._segment_coo import segment_min_coo as segment_min_coo
from ._segment_coo import segment_sum_coo as segment_sum_coo
from ._segment_csr import gather_csr as gather_csr
from ._segment_csr import segment_add_csr as segment_add_csr
from ._segment_csr import segment_csr as segment_csr
from ._segment_csr import segment_max_csr as segment_max_csr
from ._segment_csr import segment_mean_csr as segment_mean_csr
from ._segment_csr import segment_min_csr as segment_min_csr
from ._segment_csr import segment_sum_csr as segment_sum_csr
from .composite import scatter_log_softmax as scatter_log_softmax
from .composite import scatter_logsumexp as scatter_logsumexp
from .composite import scatter_softmax as scatter_softmax
from .composite import scatter_std as scatter_std

__version__ = "2.1.2"
