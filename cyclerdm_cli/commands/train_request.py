"""What can be asked of `train`, beside the fields of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.commands.options import check_fields


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """One call of `train`, as it was typed. The fields' order is that of the options in the help."""

    data: tuple[str, ...]
    """A folder of clean photographs, or of pairs in DIR/lq and DIR/gt. May be repeated."""
    task: str | None = None
    """A task, or several with commas between, or all, one after the other; a new name for pairs."""
    model: str = "compact"
    """compact, the network that restores; prompts, the CLIP behind --task auto and --prompt; or verdict, what
    --task auto thinks of tasks that it tries."""
    out: Path = Path("runs/train")
    """Folder for weights, log and checkpoint."""
    valid: Path | None = None
    """Photographs to measure on; else every 20th of the data is kept apart."""
    recipe: str = "package"
    """package, as the package's weights are made, or a file in TOML."""
    config: Path | None = None
    """The same as --recipe FILE."""
    init: str | None = None
    """Weights to start from, in all parts that fit: a name or a file; for prompts and verdict, builtin or a
    file."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
    overwrite: bool = False
    """Replace a run that --out holds already."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    licence: str = "unspecified"
    """Of the weights; written into them."""
    data_note: str = ""
    """Where the photographs come from; written into the weights."""
    dry_run: bool = False
    """Print the recipe, the data found and an estimate."""

    def __post_init__(self) -> None:
        """Check kinds. Raises UsageError."""
        check_fields(self)

    @property
    def recipe_name(self) -> str:
        """`package`, or the recipe's file."""
        return self.recipe if self.config is None else str(self.config)
