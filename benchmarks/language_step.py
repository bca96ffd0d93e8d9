"""Cost of a step of a recurrent search or training: time, words per second, start-up, peak memory.

    python benchmarks/language_step.py --batch-size 64 --time-steps 35 --units 300

Every estimator, and the training of the cell `DARTS_V2`, runs in a separate process. "start" is
defined as in `search_step.py`. "busy" is the processor time of a step over the number of cores, a
lower limit of its time that can be compared even on a machine with other load. "products" is the
time that the step's matrix products would take at the speed of one large product, measured in the
same process: the roofline.
"""

import time

BEGAN = time.perf_counter()

import json  # noqa: E402

import measuring  # noqa: E402

TARGETS = {  # step and start in seconds, memory in GB: batch 64, 35 steps, 300 units, 10k words
    "first_order": (2.0, 20, 2.5),
    "second_order": (5.0, 20, 2.5),
    "finite_difference": (5.0, 20, 2.5),
    "training": ("", "", ""),
}
"""Target costs by estimator, and for a training step of a discrete cell."""

PASSES = {
    "first_order": (5, 5),
    "second_order": (15, 13),
    "finite_difference": (13, 13),
    "training": (3, 3),
}
"""Matrix products of a step, as multiples of a forward pass: of the recurrence, of the
classifier."""


def arguments():
    """Parses the command line."""
    sizes = {"batch_size": 64, "time_steps": 35, "units": 300, "vocabulary": 10_000}
    parser = measuring.step_arguments(__doc__.splitlines()[0], **sizes)
    parser.add_argument("--arch-gradient", nargs="+", choices=TARGETS, default=list(TARGETS))
    return parser.parse_args()


def products(args, name) -> float:
    """Returns the number of floating-point operations of a step's matrix products."""
    words = args.batch_size * args.time_steps
    sources = 8 if name == "training" else 36  # of all nodes together
    recurrence = 2 * words * (1 + sources) * 2 * args.units**2
    classifier = 2 * words * args.units * args.vocabulary
    recurrence_passes, classifier_passes = PASSES[name]
    return recurrence_passes * recurrence + classifier_passes * classifier


def gigaflops() -> float:
    """Returns the measured GFLOP/s of one large matrix product."""
    import tensorflow as tf

    a, b = tf.ones((2048, 2048)), tf.ones((2048, 2048))
    return 2 * 2048**3 / measuring.seconds(lambda: tf.matmul(a, b).numpy(), repeat=5) / 1e9


def measure(args) -> dict:
    """Measures steps of one estimator in this process."""
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow(on_text=True)
    import numpy as np
    import tensorflow as tf

    from darts_tf.models.language_model import build_language_model
    from darts_tf.models.recurrent_supernet import RecurrentSupernet
    from darts_tf.runtime.execution import dtype_policy
    from darts_tf.search.language_darts import LanguageDARTS
    from darts_tf.spaces.zoo import RECURRENT_GENOTYPES
    from darts_tf.training.language_trainer import LanguageTrainer
    from darts_tf.training.losses import cross_entropy

    marks = [BEGAN, time.perf_counter()]
    (name,) = args.arch_gradient
    training = name == "training"
    rates = {"embedding_dropout": 0.2, "input_dropout": 0.75, "hidden_dropout": 0.25}
    sizes = {"vocabulary": args.vocabulary, "units": args.units, "output_dropout": 0.75, **rates}
    with dtype_policy(args.precision):
        if training:
            network = build_language_model(RECURRENT_GENOTYPES["DARTS_V2"], **sizes)
        else:
            network = RecurrentSupernet(**sizes)
    settings = {"time_steps": args.time_steps, "weight_decay": 5e-7, "clip_norm": 0.25}
    if training:
        trainer = LanguageTrainer(network, args.batch_size, **settings)
    else:
        trainer = LanguageDARTS(network, args.batch_size, arch_gradient=name, **settings)
    trainer.compile(loss=cross_entropy)  # by default with the paper's optimizers
    marks.append(time.perf_counter())
    draw = np.random.default_rng(0)
    shape = (args.batch_size, args.time_steps)
    batches = [
        tuple(tf.constant(draw.integers(0, args.vocabulary, shape), tf.int32) for _ in range(2))
        for _ in range(2)
    ]
    data = batches[0] if training else tuple(batches)
    busy = []

    @tf.function(autograph=False)
    def run(data):
        return trainer.train_step(data)["loss"]

    def step(data):
        start = time.process_time()
        loss = float(run(data))
        busy.append((time.process_time() - start) / measuring.cores())
        return loss

    step.get_concrete_function = lambda: run.get_concrete_function(data)
    costs = measuring.start_and_steps(step, (data,), marks, args.steps)
    words = args.batch_size * args.time_steps
    return {
        "arch_gradient": name,
        **costs,
        "busy": sorted(busy[1:])[len(busy[1:]) // 2],
        "words_per_second": words / costs["step"],
        "products": products(args, name) / gigaflops() / 1e9,
    }


def main():
    """Measures every estimator in a separate process, and prints tables."""
    args = arguments()
    if args.json:
        print(json.dumps(measure(args)))
        return
    results = measuring.each_estimator("language_step.py", args)
    sizes = (args.batch_size, args.time_steps, args.units, args.vocabulary)
    plain = (*sizes, args.precision) == (64, 35, 300, 10_000, "float32")
    rows = []
    for r in results:
        wanted = TARGETS[r["arch_gradient"]] if plain else ("", "", "")
        measured = (r["step"], r["start"], r["peak_gb"])
        pairs = [cell for pair in zip(measured, wanted, strict=True) for cell in pair]
        others = (r["busy"], r["products"], r["words_per_second"])
        rows.append([r["arch_gradient"], *pairs, *others])
    title = "recurrent search step: batch {}, {} steps, {} units, {} words".format(*sizes)
    measures = [word for name in ("step s", "start s", "peak GB") for word in (name, "at most")]
    measuring.show(title, ("gradient", *measures, "busy s", "products s", "words/s"), rows)
    columns = ("gradient", *measuring.PARTS)
    starts = [[r["arch_gradient"], *(r[p] for p in measuring.PARTS)] for r in results]
    measuring.show("start", columns, starts)
    name = "language_step" if plain else "language_step_other"
    measuring.save(name, {"settings": vars(args), "runs": results})


if __name__ == "__main__":
    main()
