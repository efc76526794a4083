"""How ``vanishing_gradient.py`` tells what it measured: tables and sentences in the terminal.

Nothing here computes a network, and every number in a sentence is a number of the run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .files import WITH

# ------------------------------------------------------------------------------- the terminal


class Terminal:
    """Tables, a progress bar, and the sentences between them."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.console = Console(highlight=False)
        self.told: set[str] = set()

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{text}", align="left", style="dim")

    def say(self, text: str) -> None:
        self.console.print()
        self.console.print(text)

    def show(self, table: Table, title: str | None = None) -> None:
        self.console.print()
        if title:
            self.console.print(f"[bold]{title}")
        self.console.print(table)

    def opening(self) -> None:
        s = self.settings
        self.say(
            f"{s.depth} layers of Linear (-BatchNorm) -Sigmoid, {s.width} units each, and a linear "
            f"head, on {s.data}; {s.dtype} on {s.device}. BN is BatchNorm."
        )

    # ------------------------------------------------------------------- before training

    def before(self, measured: dict[str, dict[str, Any]]) -> None:
        self.heading("1. Before training")
        self.say(
            "z is what enters a sigmoid. It is responsive within [-3, 3] and saturated beyond "
            "±5, where its slope s'(z) is below 3% of its largest. The gradients dL/dz and dL/dW "
            "belong to the Linear layer; | | is the norm over a batch of 256."
        )
        for name in measured:
            if WITH not in name:
                self.show(_layers(measured[name], measured[name + WITH]), name)
        self.show(_side_by_side(measured), "All layers together")
        self.say(
            "predicted: the factor per layer as a product of three measured things, the root mean "
            "square slope of the sigmoids, the stretch |W| / sqrt(width) of the weights, and 1/σ "
            "of BatchNorm (its spread over the batch)."
        )
        self._what_it_means(measured)

    def _what_it_means(self, measured: dict[str, dict[str, Any]]) -> None:
        shifted, normal, large = (measured[n] for n in measured if WITH not in n)
        cured = measured["b. Xavier" + WITH]
        sigma = [z for z in cured["sigma"][1:] if z > 0]
        last, zeros = self.settings.depth, shifted["dz"]
        self.say(
            f"[bold]What is right in the popular story:[/] saturated units pass nothing back. In "
            f"(a) {_share(shifted, 'saturated'):.0%} are saturated; in "
            f"{sum(v == 0 for v in zeros)} of {last} layers the gradient is exactly 0, and "
            f"elsewhere at most {max(zeros):.0e}."
        )
        self.say(
            f"[bold]What is not:[/] that this is why a carefully initialised network fails. In (b) "
            f"{_share(normal, 'saturated'):.0%} are saturated and z stays in "
            f"{_range(normal['z'])}; but a slope of at most 1/4 in each layer makes a factor of "
            f"{normal['factor']:.3f}, and of the gradient of layer {last}, "
            f"{normal['dz_ratio']:.1e} arrive in layer 1. On the way forward the same happens to "
            f"what tells the samples apart: their spread in a unit falls from "
            f"{normal['z'][0].batch_std:.2g} in layer 1 to {normal['z'][-1].batch_std:.1e} in "
            f"layer {last}."
        )
        self.say(
            f"Nor does saturation alone do it: in (c) {_share(large, 'saturated'):.0%} are "
            f"saturated, and the factor is {large['factor']:.2f}. The weights that saturate on the "
            f"way forward amplify on the way back."
        )
        self.say(
            f"[bold]What BatchNorm does:[/] in (b) z is now in [-3, 3] for "
            f"{1 - _share(cured, 'outside'):.1%}, and the factor is {cured['factor']:.2f}. Nothing "
            f"had to be pulled out of saturation: BatchNorm divides by σ, which is "
            f"{min(sigma):.2f} to {max(sigma):.2f} in layers 2 to {last}. Forward, this restores "
            f"the spread of the samples; backward, it multiplies the gradient by 1/σ, about "
            f"{1 / float(np.median(sigma)):.1f}, which makes up for the slope."
        )

    # ------------------------------------------------------------------------- the doctor

    def doctor(self, reports: dict[str, Any]) -> None:
        self.heading("4. What the doctor says")
        self.say(
            "diagnose() looks at one pass and at 30 steps of each network, before training, and "
            "names what is wrong."
        )
        table = _table("network", "verdict", "factor\nper layer", "share\nsaturated")
        for name, report in reports.items():
            first = report.findings[0].numbers if report else {}
            table.add_row(
                name,
                ", ".join(report.kinds) or "nothing found",
                f"{first['factor']:.3f}" if "factor" in first else "",
                f"{first['saturated']:.0%}" if "saturated" in first else "",
            )
        self.show(table)
        for name, report in reports.items():
            if WITH not in name:
                self.console.print(f"\n[bold]{name}")
                self.console.print(report.text(self.console.width), markup=False)

    # ----------------------------------------------------------------------------- training

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], None]]:
        """A bar of ``total`` steps; call what it yields with a description after each."""
        s = self.settings
        self.heading("2. Training")
        self.say(
            f"{s.steps} steps of SGD, batches of {s.batch_size}, learning rate {s.lr:g} with "
            f"cosine decay to 0; {s.seeds} {'seed' if s.seeds == 1 else 'seeds, each'} with a "
            f"split and a start of its own."
        )
        columns = (
            BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.description}"),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda description: bar.update(task, advance=1, description=description)

    def training(self, training: dict[str, list[dict[str, Any]]]) -> None:
        self.told.add("training")
        table = _table(
            "network", "training loss\nat the end", "test accuracy\nat the end", "best ever"
        )
        for name, runs in training.items():
            table.add_row(
                name,
                _spread([run["loss"][-1] for run in runs]),
                _spread([run["accuracy"][-1] for run in runs]),
                _spread([max(run["accuracy"]) for run in runs]),
            )
        self.show(table, "Median over the seeds (smallest to largest)")
        self.show(_epochs(training), "On the way: training loss, test accuracy; medians")
        self.show(
            _moved(training), "How far the weights moved, |W_end - W_start| / |W_start|; medians"
        )
        still = [
            name for name, runs in training.items() if all(r["layer_1_identical"] for r in runs)
        ]
        if still:
            self.say(
                f"In every run of {' and '.join(still)}, the weights of layer 1 are bit for bit "
                f"what they were at the start."
            )

    # --------------------------------------------------------------------------- afterwards

    def afterwards(self, found: dict[str, Any]) -> None:
        self.told.add("afterwards")
        self.heading("3. Afterwards: eval mode (b. Xavier + BN, seed 0)")
        self.say(
            f"In eval mode BatchNorm uses the statistics it collected while training, so the "
            f"answer for a picture depends on that picture alone: test accuracy "
            f"{found['eval_accuracy']:.3f}; twice the same batch gives "
            f"{'the same' if found['repeatable'] else 'NOT the same'} answer bit for bit; a "
            f"picture alone and the same one among 64 differ by "
            f"{found['alone_or_together']:.1g} (rounding)."
        )
        if "batch_of_one_in_training_mode" in found:
            self.say(
                f"A batch of one in training mode is refused: "
                f'"{found["batch_of_one_in_training_mode"]}"'
            )
        table = _table("test set fed in", "test accuracy")
        for how, share in found["forgotten"].items():
            table.add_row(how, f"{share:.3f}")
        self.show(table, "Forgetting eval(): the same trained network, left in training mode")
        self.say(
            f"Each such pass also overwrites the running statistics: after the last one, the "
            f"accuracy in eval mode is {found['eval_accuracy_after_that']:.3f}."
        )
        table = _table("after step", "running statistics (eval)", "statistics of the batch", left=0)
        for row in found["trap"]:
            table.add_row(f"{row['step']}", f"{row['eval']:.3f}", f"{row['training']:.3f}")
        self.show(table, "The trap at the start: running statistics need time (test accuracy)")
        self.say(
            "The network has learnt long before its running statistics, which each step moves by a "
            "tenth of the way, have caught up through all the layers."
        )

    # ------------------------------------------------------------------------------ the end

    def interrupted(self, results: dict[str, Any]) -> None:
        """Show what was finished and has not been shown yet."""
        self.say("[bold]Interrupted.[/] What was finished is kept.")
        runs = {name: runs for name, runs in results.get("training", {}).items() if runs}
        if runs and "training" not in self.told:
            self.training(runs)
        if results.get("afterwards") and "afterwards" not in self.told:
            self.afterwards(results["afterwards"])

    def checks(self, checks: list[dict[str, Any]], promised: bool) -> None:
        self.heading("What is promised, and what was measured on the worst seed")
        table = _table("network", "", "promised", "measured", "", left=2)
        network = ""
        for check in checks:
            verdict = "holds" if check["holds"] else "[bold red]FAILS[/]"
            shown = check["network"] if check["network"] != network else ""
            network = check["network"]
            table.add_row(shown, check["what"], check["promised"], check["measured"], verdict)
        self.show(table)
        if not promised:
            self.say(
                "The claims are made for the default settings. These are others, so what fails "
                "above is a finding and not a fault."
            )

    def written(self, paths: list[Path], seconds: float) -> None:
        names = ", ".join(path.name for path in paths)
        self.say(f"Written to {paths[0].parent}: {names}. {seconds:.0f} s in all.")


# --------------------------------------------------------------------------------- the tables


def _table(*columns: str, left: int = 1) -> Table:
    """An empty table; the first ``left`` columns are text, the others numbers."""
    table = Table(header_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right")
    return table


def _layers(plain: dict[str, Any], normed: dict[str, Any]) -> Table:
    table = _table("", "layer", "z from", "to", "spread", "|z|>5", "out ±3", "mean s'", "|dL/dz|",
                   "|dL/dW|")  # fmt: skip
    for label, network in (("no BN", plain), ("BN", normed)):
        for number in _chosen(len(network["z"])):
            z = network["z"][number - 1]
            table.add_row(
                label if number == 1 else "", f"{number}", f"{z.min:.2f}", f"{z.max:.2f}",
                f"{z.std:.2f}", f"{z.saturated:.0%}", f"{z.outside:.1%}", f"{z.slope:.2g}",
                _gradient(network["dz"][number - 1]), _gradient(network["dw"][number - 1]),
            )  # fmt: skip
    return table


def _chosen(depth: int) -> list[int]:
    """The first, the last and three layers between; results.json has them all."""
    return sorted({1, *(max(1, depth * k // 4) for k in (1, 2, 3)), depth})


def _side_by_side(measured: dict[str, dict[str, Any]]) -> Table:
    last = len(next(iter(measured.values()))["z"])
    table = _table("network", "|z|>5", "out ±3", f"|dL/dz|\n1 : {last}", f"|dL/dW|\n1 : {last}",
                   "factor\nper layer", "predicted\nfactor")  # fmt: skip
    for name, network in measured.items():
        table.add_row(
            name, f"{_share(network, 'saturated'):.0%}", f"{_share(network, 'outside'):.1%}",
            _gradient(network["dz_ratio"]), _gradient(network["dw_ratio"]),
            f"{network['factor']:.3f}", f"{network['predicted_factor']:.3f}",
        )  # fmt: skip
    return table


def _epochs(training: dict[str, list[dict[str, Any]]]) -> Table:
    """Ten rows of the curves; all of them are in results.json."""
    table = _table("step", *training, left=0)
    steps = next(iter(training.values()))[0]["step"]
    for i in sorted({round(k * (len(steps) - 1) / 9) for k in range(10)}):
        medians = (
            [float(np.median([run[key][i] for run in runs])) for key in ("loss", "accuracy")]
            for runs in training.values()
        )
        table.add_row(f"{steps[i]}", *(f"{loss:.3f}  {share:.3f}" for loss, share in medians))
    return table


def _moved(training: dict[str, list[dict[str, Any]]]) -> Table:
    table = _table("layer", *training, left=0)
    columns = [np.median([run["moved"] for run in runs], axis=0) for runs in training.values()]
    for layer in _chosen(len(columns[0])):
        table.add_row(f"{layer}", *(_percent(column[layer - 1]) for column in columns))
    return table


def _percent(share: float) -> str:
    if share == 0:
        return "0"
    return f"{share:.1%}" if share >= 0.001 else f"{share:.0e}"


def _gradient(value: float) -> str:
    """Exact zeros look different from small numbers."""
    return "0" if value == 0 else f"{value:.1e}"


def _share(network: dict[str, Any], which: str) -> float:
    return float(np.mean([getattr(z, which) for z in network["z"]]))


def _range(z: list[Any]) -> str:
    return f"[{min(s.min for s in z):.2f}, {max(s.max for s in z):.2f}]"


def _spread(values: list[float]) -> str:
    return f"{np.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"
