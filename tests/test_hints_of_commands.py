"""The options that a message names exist in the command that prints it, or that it names."""

import ast
import re
from pathlib import Path

import pytest

import skimb
from skimb.__main__ import ADDERS
from skimb._command_line import build_parser

ROOT = Path(skimb.__file__).parent
COMMANDS = build_parser(ADDERS).commands.choices
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def commands_of(path):
    """The commands whose messages stand in a module, or none where many share it."""
    if path.parent.name == "_command_line":
        name = path.stem.strip("_")
        return [name] if name in COMMANDS else []
    if path.parent.name == "_inspect":
        return ["inspect"]
    if "sugg" in path.stem:
        return ["suggest"]
    return ["compare", "evaluate", "fit"]


def texts_of(path):
    """The texts of a module, each whole; an f-string without what is put into it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def modules():
    found = [*(ROOT / "_command_line").glob("*.py"), *(ROOT / "study").rglob("*.py")]
    return sorted(path for path in found if commands_of(path))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_each_option_that_a_message_names_exists_in_its_command(path):
    for text in texts_of(path):
        named = [name for name in re.findall(r"skimb (\w+)", text) if name in COMMANDS]
        known = {
            option
            for name in named or commands_of(path)
            for option in COMMANDS[name]._option_string_actions
        }
        assert set(OPTION.findall(text)) <= known, text
