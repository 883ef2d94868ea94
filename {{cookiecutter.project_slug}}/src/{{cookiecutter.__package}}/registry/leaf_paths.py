"""What explaining an answer takes besides the predictor's tables: the path to every leaf."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .forest import Tree


def tabulate(trees: list["Tree"], columns: int) -> dict[str, NDArray[Any]]:
    """Paths of all leaves of all trees, as `serving.explain.TreeShap` reads them.

    `path_leaf` holds each leaf's place in `leaves` of shape (trees, 64). In `path_columns` and
    `path_cover`, of shape (depth, leaves), stand the distinct columns split on above it, and the
    share of training rows that stay on the path at these splits. A shorter path is padded with
    the column number `columns`, which all rows pass.
    """
    found = [
        (number * 64 + bit, path)
        for number, tree in enumerate(trees)
        for bit, path in enumerate(_below(tree, 0, {}))
    ]
    shape = max(len(path) for _, path in found), len(found)
    path_columns = np.full(shape, columns, dtype=np.uint16)
    path_cover = np.ones(shape)
    for leaf, (_, path) in enumerate(found):
        path_columns[: len(path), leaf] = list(path)
        path_cover[: len(path), leaf] = list(path.values())
    path_leaf = np.array([place for place, _ in found], dtype=np.uint32)
    return {"path_leaf": path_leaf, "path_columns": path_columns, "path_cover": path_cover}


def _below(tree: "Tree", at: int, path: dict[int, float]) -> Iterator[dict[int, float]]:
    """Cover by column, for each leaf below a node from left to right."""
    node = tree.splits.get(at)
    if node is None:
        yield path
        return
    for child in (node.left, node.right):
        share = tree.cover[child] / tree.cover[at] * path.get(node.column, 1.0)
        yield from _below(tree, child, path | {node.column: float(share)})
