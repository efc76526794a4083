"""Coursework: judges backward passes that students wrote, and says which term is wrong.

    python -m minigrad.coursework new hw/          the tasks, as files to fill in
    python -m minigrad.coursework check hw/        what is right, and what is wrong with the rest
    python -m minigrad.coursework grade handed_in/ --out grades.csv

``questions`` has, for each task, the inputs, the right rule, and the wrong rules that people write.
``diagnose`` compares a student's results with them. ``child`` is the process in which a student's
functions run. ``sandbox`` starts it, sends inputs and receives results; it never sends an answer.
``tasks.toml`` lists the tasks and their points.
"""
