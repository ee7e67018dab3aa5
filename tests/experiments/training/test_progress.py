import io
import re

import tiny
from given_data import GivenData
from rich.console import Console

from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.run import run
from binorm.experiments.training.tasks.classification import ClassificationTask

TASK = ClassificationTask(GivenData(tiny.dataset()))


def test_progress_lines_have_loss_accuracy_speed_and_time_left(tmp_path):
    text = io.StringIO()
    with ProgressDisplay(Console(file=text, width=200), 1, 15) as display:
        run(TASK, tiny.RECIPE, "bn", 0, tmp_path, "test", display)
    lines = text.getvalue().splitlines()
    assert len(lines) == 3
    accuracies = r"train [\d.]+ %  test [\d.]+ %  dark [\d.]+ %"
    expected = rf"bn seed 0  epoch 2/3  loss \d\.\d+  {accuracies}  [\d,]+ images/s  \d:\d\d:\d\d left"
    assert re.fullmatch(expected, lines[1])


def test_live_bars_on_a_terminal_leave_one_line_an_epoch(tmp_path):
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=True, highlight=False)
    with ProgressDisplay(console, 2, 30) as display:
        run(TASK, tiny.RECIPE, "bn", 0, tmp_path, "test", display)
    assert "all runs" in text.getvalue()
    assert "epoch 3/3" in text.getvalue()
