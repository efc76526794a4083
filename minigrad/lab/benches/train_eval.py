"""Train and eval: running statistics chase the batches; momentum; a batch of one."""

import marimo

app = marimo.App(width="medium", app_title="Train and eval")


@app.cell
def _():
    import marimo as mo

    from minigrad.lab import svg, words
    from minigrad.lab import train_eval as lab

    return lab, mo, svg, words


@app.cell
def _(mo, words):
    language = mo.ui.radio(words.LANGUAGES, value="English", inline=True, label="")
    language
    return (language,)


@app.cell
def _(language, mo, words):
    say = words.speaker(words.TRAIN_EVAL, language.value)
    mo.md(f"# {say('title')}\n\n{say('intro')}")
    return (say,)


@app.cell
def _(mo, say):
    momentum = mo.ui.slider(
        steps=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], value=0.1, label="momentum", show_value=True
    )
    size = mo.ui.slider(
        steps=[2, 4, 8, 16, 32, 64], value=8, label=say("batch_size"), show_value=True
    )
    batches = mo.ui.slider(1, 100, value=40, label=say("batches"), show_value=True)
    mo.hstack([momentum, size, batches], justify="start", gap=2, wrap=True)
    return batches, momentum, size


@app.cell
def _(batches, lab, mo, momentum, say, size, svg):
    seen = lab.chase(momentum.value, size.value, batches.value)
    numbers = list(range(1, batches.value + 1))
    pictures = []
    for title, each, running, goal in (
        (say("mean"), seen.batch_mean, seen.running_mean, lab.MEAN),
        (say("var"), seen.batch_var, seen.running_var, lab.STD**2),
    ):
        top = float(max(each.max(), running.max(), goal)) * 1.1
        bottom = min(0.0, float(each.min()))
        plot = svg.Plot(title, (0, batches.value + 1), (bottom, top), say("batch"), "")
        plot.line([0, batches.value + 1], [goal, goal], svg.GREY, dashed=True)
        plot.points(numbers, list(map(float, each)), svg.SKY, 3)
        plot.line(numbers, list(map(float, running)), svg.RED)
        pictures.append(mo.vstack([mo.md(f"**{title}**"), mo.Html(str(plot))]))
    keys = [(svg.SKY, say("each")), (svg.RED, say("running")), (svg.GREY, say("goal"))]
    left = lab.share_left(momentum.value, batches.value)
    others = ", ".join(f"{y:.3f}" for y in seen.in_train)
    mo.vstack(
        [
            mo.hstack(pictures, widths="equal", wrap=True),
            mo.Html(svg.legend(keys)),
            mo.md(
                f"{say('left')}: (1 − momentum)^{batches.value} = **{left:.3g}**\n\n"
                f"{say('eval')}: **{seen.in_eval:.3f}**\n\n{say('train')}: **{others}**\n\n"
                f"{say('alone')}: `{seen.alone}`"
            ),
        ]
    )
    return


@app.cell
def _(mo, say):
    mo.md(say("try"))
    return


if __name__ == "__main__":
    app.run()
