"""Write the files of a run: a plot, the history, the final weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from colearn_learner.simulation import PAGE, SimulationResult

if TYPE_CHECKING:
    from colearn_ledger.history.chart import SidePanel


def write_report(
    result: SimulationResult, folder: Path, panel: SidePanel | None
) -> dict[str, Path]:
    """Write the files of a run and return their paths by kind.

    Args:
        result: the result of the simulation, which has already written its page.
        folder: the folder of the simulation.
        panel: a comparison to draw beside the rounds.
    """
    paths = {
        "plot": folder / "rounds.png",
        "page": folder / PAGE,
        "history": folder / "history.json",
        "table": folder / "history.csv",
        "weights": folder / "weights.safetensors",
    }
    paths["history"].write_text(result.history.to_json(), encoding="utf-8")
    paths["table"].write_text(result.history.to_csv(), encoding="utf-8")
    paths["weights"].write_bytes(result.weights_file)
    result.history.plot(paths["plot"], panel=panel)
    return paths
