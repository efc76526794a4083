"""What happens inside a network, layer by layer: ``observe`` measures, ``summary`` counts,
``plots`` draws.

``plots`` needs matplotlib and is imported on its own: ``from minigrad.diagnostics import plots``.
"""

from .observe import LayerRow, Observation, observe
from .stats import PERCENTILES, RESPONSIVE, SATURATED, Stats, factor_per_layer, summarize
from .summary import Summary, SummaryRow, summary

__all__ = [
    "observe",
    "Observation",
    "LayerRow",
    "summary",
    "Summary",
    "SummaryRow",
    "Stats",
    "summarize",
    "factor_per_layer",
    "PERCENTILES",
    "RESPONSIVE",
    "SATURATED",
]
