"""What happens inside a network, layer by layer: ``observe`` measures, ``plots`` draws.

``plots`` needs matplotlib and is imported on its own: ``from minigrad.diagnostics import plots``.
"""

from .observe import LayerRow, Observation, observe
from .stats import PERCENTILES, RESPONSIVE, SATURATED, Stats, factor_per_layer, summarize

__all__ = [
    "observe",
    "Observation",
    "LayerRow",
    "Stats",
    "summarize",
    "factor_per_layer",
    "PERCENTILES",
    "RESPONSIVE",
    "SATURATED",
]
