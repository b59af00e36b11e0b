"""Shortest ways over a graph of codes: where to start a geodesic from, for a rough metric.

Dijkstra (1959); over a decoder's metric: Chen et al. (2019), arXiv:1812.08284. Needs torch only.
"""

import heapq

import torch
from torch import Tensor


class LatentGraph:
    """Codes joined to their nearest, each edge as long as the metric says.

    Parameters
    ----------
    metric : object
        ``squared_speed(z, step)`` (B,).
    nodes : Tensor
        (N, d) codes: those of the data, or a grid.
    k : int
        Neighbours of each, 1 to N - 1.
    n_pieces : int
        Places of an edge at which its speed is measured.

    Raises
    ------
    ValueError
        Fewer than 2 nodes, or k out of range.

    Examples
    --------
    >>> from dgm.geometry.pullback import PullbackMetric
    >>> graph = LatentGraph(PullbackMetric(lambda z: z), torch.arange(4.0)[:, None], k=1)
    >>> graph.path(0, 3)
    [0, 1, 2, 3]
    """

    def __init__(self, metric: object, nodes: Tensor, k: int = 8, n_pieces: int = 4):
        if nodes.ndim != 2 or len(nodes) < 2:
            raise ValueError(f"nodes must be codes (N, d), N >= 2, got {tuple(nodes.shape)}")
        if not 1 <= k < len(nodes):
            raise ValueError(f"k must lie in 1 .. {len(nodes) - 1}, got {k}")
        self.nodes = nodes
        near = torch.cdist(nodes, nodes).topk(k + 1, largest=False).indices[:, 1:]
        here = torch.arange(len(nodes), device=nodes.device).repeat_interleave(k)
        there = near.flatten()
        # the length of every edge, by the middles of its pieces
        step, size = nodes[there] - nodes[here], nodes.new_zeros(len(here))
        for j in range(n_pieces):
            at = nodes[here] + (j + 0.5) / n_pieces * step
            size = size + metric.squared_speed(at, step).detach().sqrt() / n_pieces
        self.edges: list[dict[int, float]] = [{} for _ in range(len(nodes))]
        for a, b, w in zip(here.tolist(), there.tolist(), size.tolist(), strict=True):
            self.edges[a][b] = self.edges[b][a] = w

    def nearest(self, z: Tensor) -> int:
        """The number of the node nearest to a code z (d,)."""
        return int((self.nodes - z).norm(dim=1).argmin())

    def path(self, start: int, end: int) -> list[int]:
        """Numbers of the nodes on the shortest way, by Dijkstra's algorithm.

        Raises
        ------
        ValueError
            No such node, or no way between them: take more neighbours.
        """
        n = len(self.edges)
        if not (0 <= start < n and 0 <= end < n):
            raise ValueError(f"start and end must lie in 0 .. {n - 1}, got {start} and {end}")
        # the nearest open node is done: no way to it can be shorter
        reach, before, queue = {start: 0.0}, {}, [(0.0, start)]
        while queue:
            size, node = heapq.heappop(queue)
            if node == end:
                break
            if size > reach[node]:
                continue
            for other, edge in self.edges[node].items():
                if size + edge < reach.get(other, float("inf")):
                    reach[other], before[other] = size + edge, node
                    heapq.heappush(queue, (size + edge, other))
        if end not in reach:
            raise ValueError(f"no way from node {start} to {end}: k is too small")
        # from the end back to the start
        way = [end]
        while way[-1] != start:
            way.append(before[way[-1]])
        return way[::-1]
