"""The engine, in the order in which to read it: ``graph`` (the walk), ``variable`` (what a Tensor
stands on), ``op`` (an operation), ``autograd`` (run one, record it, go back).

Beside it stands what a reader may leave for later: ``execute`` decides whether a rule or a faster
kernel runs, ``guard`` raises the errors, ``hooks`` shows gradients to those who asked for them,
``gradmode`` switches the recording on and off.
"""
