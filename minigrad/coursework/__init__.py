"""Coursework: a student's own backward pass, judged, and told which term is wrong.

    python -m minigrad.coursework new hw/          the tasks, as files to fill in
    python -m minigrad.coursework check hw/        what is right, and what is wrong with the rest
    python -m minigrad.coursework grade handed_in/ --out grades.csv

``questions`` holds, task by task, what is asked: inputs that tell rules apart, the right rule, and
the wrong rules that people write. ``diagnose`` compares. ``child`` is the process in which a
student's functions run, ``sandbox`` the other end of its pipe; it sends inputs and receives
results, and never an answer. ``tasks.toml`` says which tasks there are and what they are worth.
"""
