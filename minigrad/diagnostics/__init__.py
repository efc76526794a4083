"""What happens inside a network, and why it does not learn.

``observe`` measures layer by layer, ``track`` does so over a training run, ``summary`` counts,
``diagnose`` names what is wrong, ``explain`` goes through a backward pass step by step, and
``draw`` makes a picture of the graph below a loss.
``plots`` draws; it needs matplotlib as soon as it does so, and is imported on its own:
``from minigrad.diagnostics import plots``.
"""

from .doctor import KINDS, Finding, Kind, Report, diagnose
from .draw import Drawing, draw
from .explain import Explanation, explain
from .history import History
from .observe import LayerRow, Observation, observe
from .stats import PERCENTILES, RESPONSIVE, SATURATED, Stats, factor_per_layer, summarize
from .summary import Summary, SummaryRow, summary
from .track import track

__all__ = [
    "diagnose",
    "Report",
    "Finding",
    "Kind",
    "KINDS",
    "draw",
    "Drawing",
    "explain",
    "Explanation",
    "track",
    "History",
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
