"""Twenty layers: what each layer sees, what comes back to it, and the doctor's verdict."""

import marimo

app = marimo.App(width="medium", app_title="Twenty layers")


@app.cell
def _():
    import marimo as mo

    from minigrad.lab import svg, words
    from minigrad.lab import twenty_layers as lab

    return lab, mo, svg, words


@app.cell
def _(mo, words):
    language = mo.ui.radio(words.LANGUAGES, value="English", inline=True, label="")
    language
    return (language,)


@app.cell
def _(language, mo, words):
    say = words.speaker(words.TWENTY_LAYERS, language.value)
    mo.md(f"# {say('title')}\n\n{say('intro')}")
    return (say,)


@app.cell
def _(lab, mo, say):
    depth = mo.ui.slider(2, 40, value=20, label=say("depth"), show_value=True)
    width = mo.ui.slider(steps=[16, 32, 64, 128], value=64, label=say("width"), show_value=True)
    activation = mo.ui.dropdown(list(lab.ACTIVATIONS), value="sigmoid", label=say("activation"))
    scale = mo.ui.slider(
        steps=[0.1, 0.2, 0.5, 1, 2, 4, 7, 10, 15, 20],
        value=1,
        label=say("scale"),
        show_value=True,
    )
    shift = mo.ui.slider(-10, 10, 0.5, value=0, label=say("shift"), show_value=True)
    normalization = mo.ui.dropdown(
        list(lab.NORMALIZATIONS), value="none", label=say("normalization")
    )
    lr = mo.ui.slider(
        steps=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2], value=0.5, label=say("lr"), show_value=True
    )
    mo.vstack(
        [
            mo.hstack([depth, width], justify="start", gap=2),
            mo.hstack([activation, normalization], justify="start", gap=2),
            mo.hstack([scale, shift], justify="start", gap=2),
        ]
    )
    return activation, depth, lr, normalization, scale, shift, width


@app.cell
def _(activation, depth, lab, lr, normalization, scale, shift, width):
    bench = lab.Bench(
        lab.Settings(
            depth=depth.value,
            width=width.value,
            activation=activation.value,
            scale=scale.value,
            shift=shift.value,
            normalization=normalization.value,
            lr=lr.value,
        )
    )
    return (bench,)


@app.cell
def _(lr, mo, say):
    steps = mo.ui.slider(0, 400, 10, value=0, label=say("steps"), show_value=True)
    mo.hstack([lr, steps], justify="start", gap=2)
    return (steps,)


@app.cell
def _(bench, mo, say, svg):
    def picture(layers, loss, accuracy):
        numbers = range(1, len(layers) + 1)
        zones = svg.Plot(
            say("zones_title"), (0, 1), (len(layers) + 0.5, 0.5), say("share"), say("layer")
        )
        colors = (svg.RED, svg.ORANGE, svg.BLUE, svg.SKY, svg.PURPLE)
        for i, layer in zip(numbers, layers, strict=True):
            left = 0.0
            for share, color in zip(layer.zones, colors, strict=True):
                zones.box(left, left + share, i - 0.4, i + 0.4, color)
                left += share

        sizes = [s for layer in layers for s in (layer.gradient, layer.theory) if s > 0]
        low, high = min(sizes, default=1e-3) / 3, max(sizes, default=1.0) * 3
        gradients = svg.Plot(
            say("gradient_title"),
            (1, len(layers)),
            (low, high),
            say("layer"),
            "|dL/dz|",
            log=True,
        )
        gradients.line(numbers, [layer.theory for layer in layers], svg.ORANGE, dashed=True)
        gradients.points(numbers, [layer.gradient for layer in layers], svg.BLUE)

        keys = ("z < −5", "−5 … −3", "−3 … 3", "3 … 5", "z > 5")
        left = mo.vstack(
            [
                mo.md(f"**{say('zones_title')}**"),
                mo.Html(str(zones)),
                mo.Html(svg.legend(list(zip(colors, keys, strict=True)))),
            ]
        )
        right = mo.vstack(
            [
                mo.md(f"**{say('gradient_title')}**"),
                mo.Html(str(gradients)),
                mo.Html(svg.legend([(svg.BLUE, say("measured")), (svg.ORANGE, say("theory"))])),
            ]
        )
        state = f"{say('steps')} **{bench.steps}**: {say('loss')} **{loss:.3f}**, "
        return mo.vstack(
            [
                mo.md(f"{state}{say('accuracy')} **{accuracy:.1%}**"),
                mo.hstack([left, right], widths="equal", wrap=True),
            ]
        )

    return (picture,)


@app.cell
def _(bench, mo, picture, steps):
    there = False
    while not there:  # what has been trained so far is shown on the way
        there = bench.go_to(steps.value, seconds=0.1)
        layers, loss, accuracy = bench.measure()
        mo.output.replace(picture(layers, loss, accuracy))
    return (layers,)


@app.cell
def _(layers, mo, say):
    rows = [
        {
            say("layer"): i,
            "|z| > 5": f"{layer.zones[0] + layer.zones[-1]:.1%}",
            "|z| ≤ 3": f"{layer.zones[2]:.1%}",
            "|dL/dz|": f"{layer.gradient:.3g}",
            say("theory"): f"{layer.theory:.3g}",
        }
        for i, layer in enumerate(layers, 1)
    ]
    mo.accordion({say("numbers"): mo.ui.table(rows, selection=None, page_size=20)})
    return


@app.cell
def _(bench, layers, mo, say):
    report = bench.verdict() if layers else None
    mo.vstack([mo.md(f"## {say('verdict')}"), mo.plain_text(report.text(width=90))])
    return


@app.cell
def _(mo, say):
    mo.md(say("try"))
    return


if __name__ == "__main__":
    app.run()
