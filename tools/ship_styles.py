"""Train the styles that come with binorm, and put them into the package.

Run: python tools/ship_styles.py --pictures DIR --photographs photos.zip --loss_network vgg19.npz
     [--only starry-night,udnie] [--runs runs] [--steps 600]

``styles.yaml`` names the paintings; DIR holds their pictures. Trainings resume, and finished ones are not repeated.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import yaml

from binorm.experiments.cli import main as binorm
from binorm.experiments.style.style_file import SHIPPED, load_style, save_style

TABLE = Path(__file__).with_name("styles.yaml")
OPTIONS = ["--norm", "bin", "--image_size", "128", "--style_weight", "5", "--lr", "0.002"]


def ship(name: str, painting: dict[str, str], options: argparse.Namespace) -> None:
    """Train one style, unless it is, and write it with what is known of its painting."""
    picture = options.pictures / painting["picture"]
    given = ["--style", str(picture), "--data", options.photographs, "--loss_network", options.loss_network]
    code = binorm(["train", "style", *given, *OPTIONS, "--steps", str(options.steps), "--out", str(options.runs)])
    if code:
        sys.exit(code)
    network, card = load_style(options.runs / "style" / picture.stem / "bin" / "seed0")
    known = {key: painting[key] for key in ("title", "artist", "date", "source")}
    save_style(SHIPPED / f"{name}.safetensors", network, dataclasses.replace(card, **known))


def main() -> None:
    """Ship what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paintings = yaml.safe_load(TABLE.read_text())
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the paintings' pictures")
    parser.add_argument("--photographs", required=True, help="folder or zip to train on")
    parser.add_argument("--loss_network", default="vgg19", help="as of 'binorm train style'")
    parser.add_argument("--only", default=",".join(paintings), help="some of the styles, with commas")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings")
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    for name in options.only.split(","):
        ship(name, paintings[name], options)


if __name__ == "__main__":
    main()
