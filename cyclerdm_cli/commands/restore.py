"""`cyclerdm restore` and `cyclerdm enhance`: the same work under the two names that people look for."""

from __future__ import annotations

import typer

from cyclerdm_cli.commands.defaults import Asked, ask
from cyclerdm_cli.commands.options import command_class, takes
from cyclerdm_cli.commands.reporting import faults_in_one_line
from cyclerdm_cli.commands.restore_plan import make_plan
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.commands.restore_run import Run
from cyclerdm_cli.commands.restore_watch import WatchingRun
from cyclerdm_cli.tasks.catalogue import TASKS, Command


def add_to(app: typer.Typer, command: Command) -> None:
    """Add `restore` or `enhance` to the program."""
    tasks = [task for task in TASKS if task.command == command]
    example = {"restore": "old.jpg --task denoise", "enhance": "night.jpg --task low-light"}[command]
    summary = {"restore": "Undo damage", "enhance": "Give back light and colour"}[command]
    listing = "\n\n".join(f"[bold]{task.name}[/]: {task.summary}" for task in tasks)
    help_text = f"{summary}.\n\n{listing}\n\nExample: [bold]cyclerdm {command} {example}[/]"

    @app.command(command, help=help_text, cls=command_class(RestoreRequest))
    @faults_in_one_line
    @takes(RestoreRequest, ask)
    def run(request: Asked) -> None:
        asked, wanted = request, request.request
        asked.tell()
        with asked.saying_where():
            wanted.check()
            kind = WatchingRun if wanted.watch else Run
            call = kind(wanted, make_plan(wanted, command, asked.read))
            if wanted.dry_run:
                call.describe()
            else:
                call.carry_out()
