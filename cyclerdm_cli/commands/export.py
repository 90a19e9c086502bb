"""`cyclerdm export`: a task's network as an ONNX file, for programs without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands.completion import complete_task
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.machine_options import Offline
from cyclerdm_cli.commands.options import check_fields, takes
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line, words
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.atomic import identities, write_atomically
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.tasks.spelling import task_name


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One call of `export`, as it was typed. The fields' order is that of the options in the help."""

    task: Annotated[str, typer.Option(autocompletion=complete_task)]
    """Whose network."""
    output: Annotated[Path, typer.Option("-o")]
    """The file, FILE.onnx."""
    weights: str | None = None
    """A family in the registry, one of its entries, or a file."""
    stages: Annotated[int, typer.Option(min=0, max=3)] = 0
    """Stop after stage 1, 2 or 3; 0: all that the weights profit from."""
    each_stage: bool = False
    """Also give out what the earlier stages leave."""
    offline: Offline = False
    overwrite: bool = False
    """Replace a file that is there already."""

    def __post_init__(self) -> None:
        """Check kinds and ranges. Raises UsageError."""
        check_fields(self)


def add_to(app: typer.Typer) -> None:
    """Add `export` to the program."""
    app.command(
        help="Write a task's network as an ONNX file, for programs without Python or torch (extra: onnx).\n\n"
        "Example: [bold]cyclerdm export --task derain -o derain.onnx[/]"
    )(export)


@faults_in_one_line
@takes(ExportRequest)
def export(request: ExportRequest) -> None:
    """Write the file."""
    output, weights = request.output, request.weights
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"-o {output}: only ONNX files are written", hint="a name that ends in .onnx")
    own = [Path(weights)] if weights and Path(weights).is_file() else []
    refuse_inputs([output], own)
    if output.exists() and not request.overwrite:
        raise UsageError(f"{output}: exists already", hint="--overwrite, or another -o")
    name = task_name(request.task)
    if not own:
        find_task(name)

    from cyclerdm_cli.exporting.onnx_file import require_onnx

    require_onnx()
    from cyclerdm_cli.commands.downloads import find_weights
    from cyclerdm_cli.exporting.graph import ExportedCycle
    from cyclerdm_cli.exporting.onnx_file import to_onnx
    from cyclerdm_cli.weights.checking import sha256_of
    from cyclerdm_cli.weights.loading import load_network

    choice = find_weights(weights, name, words(), offline=request.offline, quiet=False)
    network, header = load_network(choice.path)
    exported = ExportedCycle(network, request.stages, request.each_stage)
    facts = {
        "task": name,
        "multiple": str(network.multiple),
        "stages": str(exported.stages),
        "weights": choice.name,
        "weights_sha256": sha256_of(choice.path),
        "licence": header.licence,
        "training_data": header.training_data,
        "cyclerdm": __version__,
    }
    write_atomically(output, to_onnx(exported, facts), replace=request.overwrite, inputs=identities(own))
    put_line(str(output))
