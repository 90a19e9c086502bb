"""The rooms of docs/architecture.md: what is written there of imports is so, and none goes upward."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cyclerdm_cli"
PAGE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {
    room: set(filter(None, known.strip().split(", ")))
    for room, known in re.findall(
        r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", PAGE.partition("```text")[0], re.MULTILINE
    )
}
"""What each room imports, from the top to the bottom."""
GROUND = {
    "errors",
    "escapes",
    "mounts",
    "folders",
    "heap",
    "processor",
    "integers",
    "installed_torch",
    "processor_speed",
    "processor_timing",
    "engine_words",
    "device",
    "luma",
    "metrics",
}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it, by their full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they lead"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_known_to(paths: Iterator[Path]) -> set[str]:
    """Return the rooms, and modules of the ground, that files import from."""
    names = (name.split(".") for path in paths for name in imports(path))
    return {parts[1] for parts in names if parts[0] == PACKAGE.name} - {"__version__"}


def test_every_folder_is_a_room_of_the_page() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_page_says_and_only_from_below(room: str) -> None:
    found = rooms_known_to((PACKAGE / room).rglob("*.py")) - {room} - GROUND
    assert found == ROOMS[room]
    below = [*ROOMS][[*ROOMS].index(room) + 1 :]
    assert found <= set(below)


def test_the_ground_knows_nobody() -> None:
    for module in GROUND:
        assert rooms_known_to(iter([PACKAGE / f"{module}.py"])) <= GROUND
        assert f"`{module}`" in PAGE


def test_the_command_and_programs_restore_by_the_same_workshop() -> None:
    engine_room = {
        "restoring.batch.restore_files",
        "restoring.batch.restore_in_order",
        "restoring.choosing.chooser",
        "restoring.one_file.read_file",
        "restoring.one_file.read_input",
        "restoring.one_file.write_result",
        "restoring.restorers.Restorers",
        "restoring.sequence.Frames",
        "words.eye.load_eye",
    }
    commands = [*(PACKAGE / "commands").glob("restore*.py"), PACKAGE / "commands" / "try_picture.py"]
    for paths in (commands, (PACKAGE / "interface").glob("*.py")):
        found = {name.removeprefix(f"{PACKAGE.name}.") for path in paths for name in imports(path)}
        assert "restoring.workshop.Workshop" in found
        assert not found & engine_room
    workshop = {name.removeprefix(f"{PACKAGE.name}.") for name in imports(PACKAGE / "restoring/workshop.py")}
    assert engine_room - workshop == {"restoring.one_file.read_file", "restoring.one_file.write_result"}


def test_libraries_keep_to_their_rooms() -> None:
    def users(library: str) -> set[str]:
        return {
            path.relative_to(PACKAGE).parts[0]
            for path in PACKAGE.rglob("*.py")
            if any(name.split(".")[0] == library for name in imports(path))
        }

    assert users("typer") <= {"commands", "app.py"}
    assert users("rich") == {"commands"}
    assert "pictures" not in users("torch")


def test_files_that_the_page_names_are_there() -> None:
    for name in re.findall(r"`(\w+/\w+\.(?:py|toml))`", PAGE):
        assert (PACKAGE / name).is_file(), name
