"""Pictures of the command line: where they may go, and how they get there, complete or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from ..files.paths import PathLike


def check_picture(name: str, value: PathLike, other: Path) -> Path:
    """Path of a picture, checked before computing: its folder, its format, and that it is not the data's."""
    from matplotlib.backend_bases import FigureCanvasBase

    from ..files.netcdf import check_writable
    from ..validation import check_choice

    path = check_writable(name, value)
    check_choice(
        f"format of {name}", path.suffix[1:].lower() or "png", tuple(FigureCanvasBase.get_supported_filetypes())
    )
    if path.absolute() == other.absolute():
        raise ValueError(f"{name} must be another file than the data's; got {str(path)!r}")
    return path


def draw_learning(dataset: xr.Dataset, path: Path) -> Path:
    """Draw the learning curves; return the picture's path."""
    from fastmodes.analysis.figures.learning import learning_summary

    return save(learning_summary(dataset), path, path.suffix[1:].lower() or "png")


def save(figure: Figure, path: Path, kind: str) -> Path:
    """Write a picture, complete or absent; return its path."""
    from ..files.disk import write_bytes

    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format=kind)
    write_bytes(path, picture.getbuffer())
    return path
