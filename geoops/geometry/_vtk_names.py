"""What reading and writing VTK data sets share."""

import torch
from torch import Tensor

#: A text array in the field data; it holds units, and the shapes and dtypes that VTK arrays cannot say themselves.
NOTES = "geoops:notes"
#: Cell arrays of surfaces whose cells VTK would otherwise sort (vertices, lines, polygons, strips) or rename.
ORDER, KIND = "geoops:order", "geoops:kind"
#: The list of a surface (vertices, lines, polygons, strips) that holds each kind of cell.
SURFACE_LIST = {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 7: 2, 8: 2, 9: 2, 6: 3}


def surface_kinds(group: Tensor, sizes: Tensor) -> Tensor:
    """The kinds that VTK infers in a surface from the list a cell is in and its number of nodes."""
    kinds = torch.tensor([2, 4, 7, 6])[group]
    for where, size, code in ((0, 1, 1), (1, 2, 3), (2, 3, 5), (2, 4, 9)):
        kinds[(group == where) & (sizes == size)] = code
    return kinds.to(torch.uint8)
