"""A recurrent genotype compared with Keras' LSTM of equal size, with one recipe and several seeds.

    darts-tf search --dataset pydoc --workdir runs/cell
    python benchmarks/language_cells.py --dataset pydoc --genotype runs/cell/genotype.json

Both are trained from scratch by `darts_tf.training.text.train` with the same settings, dropouts and
epochs. The result of a run is its lowest validation perplexity, and the test perplexity at that
epoch. Every training is a run in `--workdir`; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys

import measuring


def arguments():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="pydoc")
    parser.add_argument("--genotype", default="DARTS_V2")
    parser.add_argument("--preset", default="pydoc")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/cells"))
    return parser.parse_args()


def lstm_units(parameters: int, vocabulary: int) -> int:
    """Returns the units with which an LSTM's language model has about this number of parameters.

    It has a tied embedding (v h), its bias (v), and four gates (8 h^2 + 4 h).
    """
    linear = vocabulary + 4
    return round((-linear + (linear**2 + 32 * (parameters - vocabulary)) ** 0.5) / 16)


def lstm(units: int):
    """Returns a function like `build_language_model` whose model has Keras' LSTM of `units`.

    The state is the LSTM's hidden state and cell state, concatenated. The initializers are those of
    the other cells, except for the biases, which those cells do not have.
    """
    import keras
    import tensorflow as tf

    from darts_tf.layers.recurrent_cells import uniform
    from darts_tf.models.language_model import RecurrentModel

    class Cell(keras.layers.LSTM):
        def build(self, shape):
            super().build((None, *shape))

    class Model(RecurrentModel):
        @property
        def state_units(self):
            return 2 * self.cell.units

        def over_time(self, inputs, state, hidden_mask, training):
            del hidden_mask  # Keras draws its own, also once per sequence
            begin = tf.split(state, 2, -1)
            inputs = tf.transpose(inputs, (1, 0, 2))
            outputs, *after = self.cell(inputs, initial_state=begin, training=training)
            return tf.transpose(outputs, (1, 0, 2)), tf.concat(after, -1)

    def build(genotype, vocabulary, genotype_units, **dropouts):
        del genotype, genotype_units
        cell = Cell(
            units,
            return_sequences=True,
            return_state=True,
            recurrent_dropout=dropouts["hidden_dropout"],
            kernel_initializer=uniform(),
            recurrent_initializer=uniform(),
        )
        return Model(cell, vocabulary, dropouts)

    return build


def train_and_test(args, kind: str, seed: int) -> dict:
    """Trains one of the two kinds, unless that is done already, and tests it."""
    from darts_tf.configs import TextTrainConfig
    from darts_tf.data import load_text
    from darts_tf.models.counting import count_params
    from darts_tf.models.language_model import build_language_model
    from darts_tf.runs import files
    from darts_tf.spaces.zoo import load_genotype
    from darts_tf.training.text import perplexity, train

    folder = args.workdir / f"{kind}-{seed}"
    result_path = folder / "found.json"
    if result_path.exists():
        return json.loads(result_path.read_text())
    settings = {"genotype": args.genotype, "workdir": folder, "seed": seed}
    settings |= {"dataset": args.dataset, "epochs": args.epochs, "resume": files.is_run(folder)}
    config = TextTrainConfig.from_preset(args.preset, **settings)
    genotype = load_genotype(args.genotype, recurrent=True)
    dataset = load_text(args.dataset)
    words = len(dataset.vocabulary)
    parameters = count_params(build_language_model(genotype, words, config.units))
    build = lstm(lstm_units(parameters, words)) if kind == "lstm" else build_language_model
    models = []

    def build_and_remember(*arguments, **dropouts):
        models.append(build(*arguments, **dropouts))
        return models[-1]

    def report(line):
        epoch, perplexity = line["epoch"] + 1, line["valid_perplexity"]
        text = f"epoch {epoch}/{args.epochs} validation perplexity {perplexity:.2f}"
        print(f"{kind} {seed}: {text}", file=sys.stderr, flush=True)

    best = train(config, genotype, dataset, report, build_model=build_and_remember)
    result = {
        **{"kind": kind, "seed": seed, "parameters": count_params(models[-1])},
        **{"epoch": best["epoch"] + 1, "valid": best["valid_perplexity"]},
        "test": perplexity(models[-1], dataset.test)["perplexity"],
    }
    result_path.write_text(json.dumps(result))
    return result


def main():
    """Trains both kinds with every seed; prints means, deviations, and wins."""
    args = arguments()
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow(on_text=True)
    kinds = ("cell", "lstm")
    results = [train_and_test(args, kind, seed) for seed in args.seeds for kind in kinds]
    rows, valid = [], {}
    for kind in ("cell", "lstm"):
        own = [result for result in results if result["kind"] == kind]
        valid[kind] = [result["valid"] for result in own]
        each = ", ".join(f"{value:.2f}" for value in valid[kind])
        spreads = (_spread([result[split] for result in own]) for split in ("valid", "test"))
        rows.append([kind, f"{own[0]['parameters']:,}", *spreads, each])
    title = f"{args.dataset}: {args.genotype} and an LSTM, {args.epochs} epochs"
    measuring.show(title, ("model", "parameters", "validation", "test", "validation by seed"), rows)
    wins = sum(a < b for a, b in zip(valid["cell"], valid["lstm"], strict=True))
    print(f"the cell is better in {wins} of {len(args.seeds)} seeds")
    settings = {name: str(value) for name, value in vars(args).items()}
    name = f"language_cells_{pathlib.Path(args.dataset).name}"
    measuring.save(name, {"settings": settings, "runs": results})


def _spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} +- {deviation:.2f}"


if __name__ == "__main__":
    main()
