"""The process in which a student's functions run.

It receives inputs and sends back results, and knows no answers: nothing in this folder imports the
rest of the coursework, and the process cannot read it (``confine.py``).
"""
