"""One BatchNorm: six points, what it makes of them, and the three terms of what comes back."""

import marimo

app = marimo.App(width="medium", app_title="One BatchNorm")


@app.cell
def _():
    import marimo as mo

    from minigrad.lab import draggable, svg, words
    from minigrad.lab import one_batchnorm as lab

    return draggable, lab, mo, svg, words


@app.cell
def _(mo, words):
    language = mo.ui.radio(words.LANGUAGES, value="English", inline=True, label="")
    language
    return (language,)


@app.cell
def _(language, mo, words):
    say = words.speaker(words.ONE_BATCHNORM, language.value)
    mo.md(f"# {say('title')}\n\n{say('intro')}")
    return (say,)


@app.cell
def _(draggable):
    start = ((-2.0, 0.5), (-1.0, -1.0), (0.5, 0.8), (1.0, 0.2), (2.5, -0.6), (5.0, 1.2))
    line = draggable.points([x for x, _ in start], -10, 10, 0.5)
    return line, start


@app.cell
def _(line, mo, say, start):
    if line:
        points = mo.ui.anywidget(line)
    else:
        points = mo.ui.array(
            [
                mo.ui.slider(-10, 10, 0.5, value=x, label=f"x{i}", show_value=True)
                for i, (x, _) in enumerate(start, 1)
            ]
        )
    seeds = mo.ui.array(
        [
            mo.ui.slider(-2, 2, 0.1, value=g, label=f"dy{i}", show_value=True)
            for i, (_, g) in enumerate(start, 1)
        ]
    )
    gamma = mo.ui.slider(-3, 3, 0.1, value=1.0, label="gamma", show_value=True)
    beta = mo.ui.slider(-3, 3, 0.1, value=0.0, label="beta", show_value=True)
    batch = mo.vstack([mo.md(f"**{say('points')}**"), *([points] if line else points)])
    columns = [
        mo.vstack([mo.md(f"**{say('seeds')}**"), *seeds]),
        mo.vstack([mo.md(f"**{say('parameters')}**"), gamma, beta]),
    ]
    if line:
        layout = mo.vstack([batch, mo.hstack(columns, justify="start", gap=3, wrap=True)])
    else:
        layout = mo.hstack([batch, *columns], justify="start", gap=3, wrap=True)
    layout
    return beta, gamma, points, seeds


@app.cell
def _(beta, gamma, lab, line, mo, points, say, seeds, svg):
    batch_now = points.value["values"] if line else points.value
    seen = lab.channel(batch_now, seeds.value, gamma.value, beta.value)
    numbers = range(1, len(batch_now) + 1)

    lines = svg.Plot(say("forward"), (-10, 10), (0, 3), "", "")
    lines.box(seen.mu - seen.sigma, seen.mu + seen.sigma, 2.1, 2.9, "#56B4E955")
    lines.line([seen.mu, seen.mu], [2.1, 2.9], svg.BLUE)
    for row, values, color in (
        (2.5, batch_now, svg.BLUE),
        (1.5, seen.x_hat, svg.ORANGE),
        (0.5, seen.y, svg.GREEN),
    ):
        lines.points(list(values), [row] * len(values), color)

    terms = (
        (seen.direct, svg.BLUE, say("direct")),
        (seen.through_mu, svg.ORANGE, say("through_mu")),
        (seen.through_sigma, svg.PURPLE, say("through_sigma")),
    )
    parts = [part for part, _, _ in terms]
    most = max(abs(float(v)) for part in [*parts, seen.dx] for v in part) or 1.0
    bars = svg.Plot(say("backward"), (0.5, len(batch_now) + 0.5), (-most, most), say("point"), "dx")
    for k, (part, color, _) in enumerate(terms):
        for i, value in zip(numbers, part, strict=True):
            bars.box(i - 0.36 + 0.24 * k, i - 0.14 + 0.24 * k, 0, float(value), color)
    bars.points(numbers, list(map(float, seen.dx)), svg.RED, 5)

    left = mo.vstack(
        [
            mo.md(f"**{say('forward')}**"),
            mo.Html(str(lines)),
            mo.Html(
                svg.legend([(svg.BLUE, "x, mu ± sigma"), (svg.ORANGE, "x_hat"), (svg.GREEN, "y")])
            ),
        ]
    )
    right = mo.vstack(
        [
            mo.md(f"**{say('backward')}**"),
            mo.Html(str(bars)),
            mo.Html(svg.legend([*((c, t) for _, c, t in terms), (svg.RED, say("sum"))])),
        ]
    )
    across, along = seen.along
    mo.vstack(
        [
            mo.hstack([left, right], widths="equal", wrap=True),
            mo.md(
                f"mu **{seen.mu:.3f}**, sigma **{seen.sigma:.3f}**, dgamma **{seen.dgamma:.3f}**, "
                f"dbeta **{seen.dbeta:.3f}**; {say('projection')}: sum(dx) = {across:.1e}, "
                f"sum(dx x_hat) = {along:.1e}"
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
