"""Backward, step by step: an expression, its graph, and the walk through it."""

import marimo

app = marimo.App(width="medium", app_title="Backward, step by step")


@app.cell
def _():
    import marimo as mo

    from minigrad.lab import step_by_step as lab
    from minigrad.lab import words

    return lab, mo, words


@app.cell
def _(mo, words):
    language = mo.ui.radio(words.LANGUAGES, value="English", inline=True, label="")
    language
    return (language,)


@app.cell
def _(language, mo, words):
    say = words.speaker(words.STEP_BY_STEP, language.value)
    mo.md(f"# {say('title')}\n\n{say('intro')}")
    return (say,)


@app.cell
def _(mo, say):
    expression = mo.ui.text(
        value="sigmoid(w * x + b) ** 2 + x", label=say("expression"), full_width=True
    )
    w = mo.ui.slider(-3, 3, 0.1, value=0.8, label="w", show_value=True)
    x = mo.ui.slider(-3, 3, 0.1, value=1.5, label="x", show_value=True)
    b = mo.ui.slider(-3, 3, 0.1, value=-0.5, label="b", show_value=True)
    mo.vstack([expression, mo.hstack([w, x, b], justify="start", gap=2, wrap=True)])
    return b, expression, w, x


@app.cell
def _(b, expression, lab, mo, say, w, x):
    walk, problem = None, ""
    try:
        walk = lab.Walk(expression.value, {"w": w.value, "x": x.value, "b": b.value})
    except ValueError as error:
        problem = str(error)
    last = len(walk.explanation) if walk else 0
    step = mo.ui.slider(0, last, value=0, label=say("step"), show_value=True)
    step if walk else mo.callout(problem, kind="warn")
    return step, walk


@app.cell
def _(mo, say, step, walk):
    shown = None
    if walk:
        gradients = ", ".join(f"dL/d{name} = **{g:.4f}**" for name, g in walk.gradients.items())
        shown = mo.vstack(
            [
                mo.md(f"{say('value')} **{walk.value:.4f}**, {gradients}"),
                mo.mermaid(walk.mermaid(step.value)),
                mo.plain_text(walk.explanation.pages()[step.value]),
            ]
        )
    shown
    return


@app.cell
def _(mo, say):
    mo.md(say("try"))
    return


if __name__ == "__main__":
    app.run()
