"""The doctor: why does this network not learn?

This file is the table of contents. ``diagnose.py`` holds the order of the examination,
``examine.py`` what is measured in one pass, ``training.py`` what is measured over some steps, and
``kinds.py`` the dictionary. The criteria stand in ``signal.py`` (does the signal get through),
``units.py``, ``fit.py`` (inputs, loss, parameters), ``normalization.py``, ``numbers.py`` and
``training.py``, each as a constant with its reason. ``patient.py`` sees to it that all is left as
it was.
"""

from .diagnose import diagnose
from .finding import Finding
from .kinds import KINDS, ORDER, Kind
from .report import Report

__all__ = ["diagnose", "Report", "Finding", "Kind", "KINDS", "ORDER"]
