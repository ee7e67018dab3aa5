"""What each command of ``binorm`` accepts and prints, one file a command; what it does lives in the module it calls."""

from binorm.experiments.commands.bench import COMMAND as BENCH
from binorm.experiments.commands.calibrate import COMMAND as CALIBRATE
from binorm.experiments.commands.compare import COMMAND as COMPARE
from binorm.experiments.commands.data import COMMAND as DATA
from binorm.experiments.commands.evaluate import COMMAND as EVALUATE
from binorm.experiments.commands.export import COMMAND as EXPORT
from binorm.experiments.commands.gates import COMMAND as GATES
from binorm.experiments.commands.predict import COMMAND as PREDICT
from binorm.experiments.commands.report import COMMAND as REPORT
from binorm.experiments.commands.robustness import COMMAND as ROBUSTNESS
from binorm.experiments.commands.serve import COMMAND as SERVE
from binorm.experiments.commands.stylize import COMMAND as STYLIZE
from binorm.experiments.commands.train import COMMAND as TRAIN
from binorm.experiments.commands.tune import COMMAND as TUNE

_TRAINING = (COMPARE, TRAIN, REPORT, EVALUATE, GATES)
_RESCUE = (CALIBRATE, TUNE, ROBUSTNESS)
_SHIPPING = (PREDICT, EXPORT)
_STYLE = (STYLIZE, SERVE)

COMMANDS = {each.name: each for each in (*_TRAINING, *_RESCUE, *_SHIPPING, *_STYLE, BENCH, DATA)}
