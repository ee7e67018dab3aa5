"""The name of every file in the folder of a run, and of what lies beside the runs of a recipe."""

from pathlib import Path

CONFIG_FILE = "config.yaml"  # the recipe, whole
RUN_FILE = "run.json"  # what the run is, where it stands, and what its figures depend on
METRICS_FILE = "metrics.csv"  # one row an epoch
GATES_FILE = "gates.json"  # the learned gates, and where they stood before
CONFUSION_FILE = "confusion.json"  # of the last epoch, for each evaluation set
FEATURES_FILE = "features.safetensors"  # what the classifier sees of some images of each domain
WEIGHTS_FILE = "model.safetensors"  # a classifier
STYLE_FILE = "style.safetensors"  # a style network
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"  # to go on from
LOCK_FILE = ".lock"
SAMPLES_FOLDER = "samples"
RESPONSES_FOLDER = "responses"
RESPONSES_FILE = "responses.json"
SCHEDULE_FILE = "schedule.json"  # beside a recipe's runs: the length that a budget chose for them


def weights_of(folder: Path, domain: str) -> Path:
    """The file of a network with the running statistics of one domain, where it has them for each."""
    return folder / f"model-{domain}.safetensors"
