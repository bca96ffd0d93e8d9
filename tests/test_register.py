"""Users' registrations: names, checks, and use next to built-in entries."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from clean_registry import registrations_taken_back

import darts_tf
from darts_tf import plugins, register, registry
from darts_tf.configs import DeriveConfig, SearchConfig
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.configs.run import ESTIMATORS as ESTIMATOR_NAMES
from darts_tf.configs.text_datasets import is_text
from darts_tf.data import EMBEDDED, load_dataset
from darts_tf.errors import InputError
from darts_tf.layers.mixed_op import MixedOp
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.search.estimators import first_order
from darts_tf.search.selection import Context, check_rule, choose
from darts_tf.spaces.cell import count_cells, edges
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import SPACES

pytestmark = pytest.mark.usefixtures("_taken_back")


@pytest.fixture
def _taken_back():
    with registrations_taken_back():
        yield


class Scaled(keras.layers.Layer):
    """A layer with one factor per channel, the simplest layer with weights."""

    def __init__(self, channels, stride, affine):
        super().__init__()
        self.stride = stride

    def build(self, shape):
        self.factor = self.add_weight(shape=shape[-1:], initializer="ones", name="factor")

    def call(self, x):
        return x[:, :: self.stride, :: self.stride] * tf.convert_to_tensor(self.factor)

    def macs(self, height, width):
        return 0


def conv(channels, stride, affine):
    return keras.layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)


def conv_macs(channels, stride, height, width):
    return 9 * channels**2 * -(-height // stride) * -(-width // stride)


# Names


def test_names_of_built_in_things_are_those_of_their_dicts():
    taken = register.TAKEN
    assert set(taken["primitive"]) >= set(PRIMITIVES)
    assert set(taken["space"]) == set(SPACES)
    assert set(taken["estimator"]) == set(ESTIMATORS) == set(ESTIMATOR_NAMES)
    assert set(taken["dataset"]) >= set(EMBEDDED)
    assert set(taken) == set(registry.KINDS)


ADDED = {
    "primitive": lambda name: darts_tf.register_primitive(name, Scaled),
    "space": lambda name: darts_tf.register_space(name, 1),
    "dataset": lambda name: darts_tf.register_dataset(name, dict),
    "estimator": lambda name: darts_tf.register_estimator(name, first_order),
    "selection": lambda name: darts_tf.register_selection(name, dict),
}


@pytest.mark.parametrize("kind", registry.KINDS)
@pytest.mark.parametrize("name", ["two words", "2nd", "", "über", "a-b", None, 3])
def test_name_that_is_no_identifier_is_refused(kind, name):
    with pytest.raises(InputError, match=f"name of a {kind} to be an identifier"):
        ADDED[kind](name)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_name_that_is_taken_is_refused(kind):
    for name in register.TAKEN[kind]:
        if name.isidentifier():
            with pytest.raises(InputError, match="a built-in one"):
                ADDED[kind](name)
    ADDED[kind]("mine")
    with pytest.raises(InputError, match="mine, which is registered already"):
        ADDED[kind]("mine")
    register.forget(kind, "mine")
    ADDED[kind]("mine")


def test_names_of_parts_are_no_names_of_primitives():
    for name in ("relu", "stem_mine", "sep_conv_3x3"):
        with pytest.raises(InputError, match="a built-in one"):
            darts_tf.register_primitive(name, Scaled)


@pytest.mark.parametrize("kind", ["primitive", "dataset", "estimator", "selection"])
def test_what_is_no_function_is_refused(kind):
    with pytest.raises(InputError, match=f"Expected a function for the {kind} mine. Received: 3"):
        getattr(darts_tf, f"register_{kind}")("mine", 3)


def test_choices_follow_what_is_registered():
    with pytest.raises(
        InputError, match="arch_gradient='mine'. If it is one of your own, --plugin"
    ):
        SearchConfig(workdir="run", arch_gradient="mine")
    for kind in ("space", "estimator", "selection"):
        ADDED[kind]("mine")
    config = SearchConfig(workdir="run", arch_gradient="mine", selection="mine", space="mine")
    assert SearchConfig.from_dict(config.to_dict()) == config
    assert DeriveConfig(workdir="run", selection="mine").selection == "mine"
    for kind in ("space", "estimator", "selection"):
        register.forget(kind, "mine")
    with pytest.raises(InputError, match="Did you mean|Received"):
        SearchConfig.from_dict(config.to_dict())


@pytest.mark.parametrize("name", ["max_skips", "budget"])
def test_own_selection_has_no_limits(name):
    ADDED["selection"]("mine")
    value = {"max_skips": 1, "budget": "macs=1M"}[name]
    with pytest.raises(InputError, match=f"Expected {name} with selection='strength'"):
        SearchConfig(workdir="run", selection="mine", **{name: value})


# Primitives


@pytest.mark.parametrize("groups", [1, 3])
def test_layer_of_a_user_is_one_for_every_group(groups):
    darts_tf.register_primitive("mine", conv, conv_macs)
    op = PRIMITIVES["mine"](4, 2, False, groups)
    op.build((None, None, None, 4))
    assert [tuple(v.shape) for v in op.trainable_variables] == [(3, 3, 4, 4)] * groups
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype(np.float32)
    scale = np.arange(1.0, 4 * groups + 1, dtype=np.float32)
    y = op(x, scale=scale)
    kernels = map(tf.convert_to_tensor, op.trainable_variables)
    expected = np.concatenate([tf.nn.conv2d(x, kernel, 2, "SAME") for kernel in kernels], -1)
    assert np.allclose(y, expected * scale, atol=1e-5)
    assert op.macs(7, 6) == groups * 9 * 16 * 4 * 3
    assert op.compute_output_shape(x.shape) == y.shape


def test_mixed_op_takes_a_primitive_of_a_user_beside_others():
    """Compares with an explicit sum, with separate weights per edge."""
    darts_tf.register_primitive("mine", Scaled)
    mixed = MixedOp(4, 1, 2, ("none", "skip_connect", "mine"))
    mixed.build((None, None, None, 4))
    first, second = mixed.ops[2].copies
    first.factor.assign([1.0, 2.0, 3.0, 4.0])
    second.factor.assign([5.0, 6.0, 7.0, 8.0])
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 4)).astype(np.float32)
    weights = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]], np.float32)
    outputs = mixed(x, weights)
    for y, share, op in zip(outputs, weights, (first, second), strict=True):
        assert np.allclose(y, share[1] * x + share[2] * x * op.factor, atol=1e-6)


class Shrinking(Scaled):
    def call(self, x):
        return super().call(x[:, 1:])


class Late(Scaled):
    calls = 0

    def call(self, x):
        self.calls += 1
        if self.calls == 2:
            self._tracker.unlock()
            self.add_weight(shape=(1,), initializer="ones", name="late")
        return super().call(x)


class Failing(Scaled):
    def call(self, x):
        raise RuntimeError("no such luck")


class Infinite(Scaled):
    def call(self, x):
        return super().call(x) / 0.0


class Ungrouped(darts_tf.Primitive):
    def call(self, x, scale=None, training=False):
        return x[:, :: self.stride, :: self.stride]

    def macs(self, height, width):
        return 0


class Unscaled(darts_tf.Primitive):
    reads = "spread"

    def call(self, x, scale=None, training=False):
        return x[:, :: self.stride, :: self.stride]

    def macs(self, height, width):
        return 0


class Uncounted(darts_tf.Primitive):
    pass


def uncounted(channels, stride, affine):
    return keras.layers.Identity()


@pytest.mark.parametrize(
    ("build", "macs", "says"),
    [
        (Shrinking, None, r"to give \(2, 7, 6, 8\) for \(2, 7, 6, 8\).*Received: \(2, 6, 6, 8\)"),
        (lambda c, s, a: conv(c, 1, a), conv_macs, r"Received: \(2, 7, 6, 8\), with stride=2"),
        (lambda c, s, a: conv(3, s, a), conv_macs, r"Received: \(2, 7, 6, 3\), with stride=1"),
        (Late, None, "to make its variables when it is built. Received: 1 later"),
        (Failing, None, "the primitive mine to run. Received: RuntimeError.*no such luck"),
        (lambda: None, None, "the primitive mine to run. Received: TypeError"),
        (Infinite, None, "to give finite numbers"),
        (lambda c, s, a: 3, conv_macs, "Expected a Keras layer. Received: 3"),
        (uncounted, None, "Expected a MAC rule.*Received: none"),
        (
            Scaled,
            lambda c, s, h, w: -1,
            "whole number of multiply-accumulates from 0. Received: -1",
        ),
        (Scaled, lambda c, s, h, w: 1.5, "multiply-accumulates from 0. Received: 1.5"),
        (Ungrouped, None, r"Received: \(2, 7, 6, 8\), with stride=1, affine=False, groups=3"),
        (Unscaled, None, "to multiply what it gives by `scale`"),
        (Uncounted, None, r"its layer's method macs\(height, width\). Received: none"),
        (Ungrouped, conv_macs, "Received: macs="),
        (lambda channels, stride, affine, groups: uncounted(1, 1, 1), None, "a darts_tf.Primitive"),
    ],
)
def test_primitive_that_is_not_as_it_must_be_is_refused_at_once(build, macs, says):
    with pytest.raises(InputError, match=says) as caught:
        darts_tf.register_primitive("mine", build, macs)
    assert "\n" not in str(caught.value)
    assert not registry.PRIMITIVES


def test_normalisation_of_keras_is_warned_of(caplog):
    class Normalised(Scaled):
        def __init__(self, *shape):
            super().__init__(*shape)
            self.norm = keras.layers.BatchNormalization()

        def call(self, x, training=False):
            return self.norm(super().call(x), training=training)

    darts_tf.register_primitive("mine", Normalised)
    (line,) = caplog.messages
    assert line.startswith("the primitive mine has Keras' batch normalisation")


def test_primitive_that_takes_groups_is_one_layer():
    class Grouped(Unscaled):
        def call(self, x, scale=None, training=False):
            y = super().call(x)
            return y if scale is None else y * scale

    darts_tf.register_primitive("mine", Grouped)
    assert isinstance(PRIMITIVES["mine"](4, 1, False, 3), Grouped)


def test_names_of_users_are_printed_whole():
    darts_tf.register_primitive("mine_3x3", Scaled)
    genotype = Genotype([("mine_3x3", 0), ("sep_conv_3x3", 1)], [2], [("mine_3x3", 1)] * 2, [2])
    assert str(genotype).splitlines()[0] == "normal  mine_3x3 0, sep_conv_3x3 1 -> 2"
    assert Genotype.from_json(genotype.to_json()) == genotype
    register.forget("primitive", "mine_3x3")
    with pytest.raises(InputError, match="'mine_3x3'.* If it is one of your own, --plugin FILE"):
        Genotype.from_json(genotype.to_json())


# Spaces


def test_spaces_of_robust_darts_are_there():
    assert SPACES["darts"].primitives == darts_tf.PRIMITIVES
    assert SPACES["s2"].primitives == ("skip_connect", "sep_conv_3x3")
    assert SPACES["s3"].primitives == ("none", "skip_connect", "sep_conv_3x3")
    assert SPACES["s4"].primitives == ("noise", "sep_conv_3x3")
    assert {SPACES[name].nodes for name in ("darts", "s1", "s2", "s3", "s4")} == {4}


# cells that the authors found in S1, from the logs of their searches
FOUND_IN_S1 = (
    (
        "dil_conv_3x3 0, dil_conv_5x5 1 | sep_conv_3x3 1, dil_conv_3x3 2 | "
        "max_pool_3x3 0, sep_conv_3x3 2 | max_pool_3x3 1, dil_conv_3x3 2",
        "max_pool_3x3 0, dil_conv_3x3 1 | max_pool_3x3 1, max_pool_3x3 0 | "
        "dil_conv_5x5 3, dil_conv_3x3 2 | dil_conv_5x5 4, dil_conv_5x5 3",
    ),
    (
        "skip_connect 0, skip_connect 1 | sep_conv_3x3 1, dil_conv_5x5 0 | "
        "sep_conv_3x3 1, max_pool_3x3 0 | max_pool_3x3 1, dil_conv_3x3 4",
        "max_pool_3x3 0, max_pool_3x3 1 | max_pool_3x3 1, max_pool_3x3 0 | "
        "dil_conv_5x5 3, max_pool_3x3 1 | max_pool_3x3 1, dil_conv_5x5 2",
    ),
    (
        "skip_connect 1, skip_connect 0 | skip_connect 1, skip_connect 2 | "
        "skip_connect 1, skip_connect 3 | skip_connect 2, dil_conv_3x3 3",
        "max_pool_3x3 1, max_pool_3x3 0 | skip_connect 2, max_pool_3x3 0 | "
        "max_pool_3x3 0, sep_conv_3x3 1 | max_pool_3x3 0, skip_connect 3",
    ),
    (
        "dil_conv_5x5 1, dil_conv_3x3 0 | skip_connect 2, skip_connect 1 | "
        "skip_connect 2, max_pool_3x3 0 | max_pool_3x3 1, dil_conv_5x5 3",
        "max_pool_3x3 0, max_pool_3x3 1 | max_pool_3x3 1, max_pool_3x3 0 | "
        "max_pool_3x3 1, max_pool_3x3 0 | max_pool_3x3 1, max_pool_3x3 0",
    ),
)


@pytest.mark.parametrize("cells", FOUND_IN_S1)
def test_published_cells_of_s1_lie_in_it(cells):
    space = SPACES["s1"]
    for cell, candidates in zip(cells, space.candidates, strict=True):
        for node, pairs in enumerate(cell.split(" | "), 2):
            for name, source in (pair.split() for pair in pairs.split(", ")):
                assert name in candidates[space.rows[int(source), node]]


def test_s1_has_two_operations_per_edge():
    assert SPACES["s1"].shapes == ((14, 2), (14, 2))
    assert SPACES["s1"].primitives is None
    # two of 2, 3, 4 and 5 edges, with one of two operations on each
    assert SPACES["s1"].cells() == (4 * 12 * 24 * 40) ** 2


def test_cells_of_a_space_are_counted():
    assert SPACES["darts"].cells() == count_cells() ** 2
    assert SPACES["s3"].cells() == count_cells(4, 2) ** 2
    names = [["skip_connect", "none"], ["sep_conv_3x3", "skip_connect"]]
    darts_tf.register_space("uneven", 1, normal=names, reduce=("max_pool_3x3",))
    assert SPACES["uneven"].cells() == (1 * 2) * 1
    assert SPACES["uneven"].primitives is None
    assert SPACES["uneven"].columns == (2, 1)


def test_reduction_has_the_primitives_of_the_normal_cell_unless_given():
    darts_tf.register_space("mine", 3, normal=["skip_connect", "sep_conv_5x5"])
    space = SPACES["mine"]
    assert space.candidates == ((("skip_connect", "sep_conv_5x5"),) * len(edges(3)),) * 2
    assert space.of_supernet() == {"nodes": 3, "primitives": ("skip_connect", "sep_conv_5x5")}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nodes": 0}, "nodes to be an integer from 1 to 12. Received: 0"),
        ({"nodes": True}, "nodes to be an integer"),
        ({"nodes": 13}, "Received: 13"),
        ({"primitives": ["sep_conv_3x"]}, "Did you mean 'sep_conv_3x3'"),
        ({"primitives": []}, "a list of primitives"),
        ({"primitives": "none"}, "a list of primitives. Received: 'none'"),
        ({"primitives": ["none"]}, "another primitive beside none"),
        ({"primitives": ["skip_connect"] * 2}, "each primitive once on an edge"),
        ({"primitives": ["skip_connect"], "reduce": ["none"]}, "normal and reduce. Received: both"),
        ({"nodes": 1, "normal": [["none", "skip_connect"]]}, "primitives of the 2 edges"),
        ({"nodes": 1, "normal": [["skip_connect"], ["none", "skip_connect"]]}, "as many on every"),
        ({"nodes": 1, "normal": [["skip_connect"], 3]}, "a list of them per edge"),
    ],
)
def test_space_that_cannot_be_is_refused(given, says):
    with pytest.raises(InputError, match=says):
        darts_tf.register_space("mine", **given)
    assert not registry.SPACES


# Data sets


def images(count=12, size=8, channels=1, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, channels), np.uint8), np.arange(count) % 3


@pytest.mark.parametrize("channels", [1, 3])
def test_own_dataset_is_normalised_by_its_own_statistics(channels):
    train, test = images(channels=channels), images(6, channels=channels, seed=1)
    darts_tf.register_dataset("mine", lambda: (train, test, ["a", "b", "c"]))
    loaded = load_dataset("mine")
    assert (loaded.name, loaded.classes) == ("mine", ("a", "b", "c"))
    assert np.array_equal(loaded.train.images, train[0])
    assert np.array_equal(loaded.test.labels, test[1])
    assert np.allclose(loaded.preprocessing.mean, train[0].mean((0, 1, 2)) / 255)
    limited = load_dataset("mine", limit=3, image_size=10)
    assert limited.train.images.shape == (3, 10, 10, channels)


def test_own_dataset_may_be_as_keras_gives_one():
    (x, y), test = images(), images(3)
    darts_tf.register_dataset("mine", lambda: ((x[..., 0], y[:, None]), test))
    loaded = load_dataset("mine")
    assert loaded.classes == ("0", "1", "2")
    assert loaded.train.images.shape == (12, 8, 8, 1)
    assert loaded.train.labels.dtype == np.int32


def test_own_dataset_may_be_one_of_ours_with_its_statistics(digits):
    darts_tf.register_dataset("mine", lambda: digits)
    loaded = load_dataset("mine")
    assert loaded.preprocessing == digits.preprocessing
    assert (loaded.name, loaded.classes) == ("mine", digits.classes)


def test_registered_name_wins_over_a_folder_of_a_text(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    assert is_text("mine")
    darts_tf.register_dataset("mine", lambda: (images(), images()))
    assert not is_text("mine")


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        (None, "Received: None"),
        ((1, 2), "two pairs"),
        ((images(), images(size=9)), "of one size. Received:"),
        (((images()[0] / 255, images()[1]), images()), "images uint8 .* Received: float64"),
        (((images()[0][..., [0, 0]], images()[1]), images()), "1 or 3 channels. Received: uint8"),
        (((images()[0], images()[1][:-1]), images()), r"labels, integers \(12,\)"),
        (((images()[0], images()[1] * 0.5), images()), "labels, integers .* Received: float64"),
        (((images()[0], images()[1] - 1), images()), "labels from 0. Received: -1"),
        ((images(), images(), ["a", "b"]), "labels from 0 to 1. Received: a label 2"),
        ((images(), images(), ["a", "b", "a"]), "different names"),
        ((images(), images(), "abc"), "list of different names"),
        ((images(0), images()), "one image at least"),
        (((images()[0], images()[1] * 0),) * 2, "two classes or more. Received: 1"),
    ],
)
def test_own_dataset_that_cannot_be_is_refused(loaded, says):
    darts_tf.register_dataset("mine", lambda: loaded)
    with pytest.raises(InputError, match=says) as caught:
        load_dataset("mine")
    assert str(caught.value).startswith("Expected the dataset mine to load ")


# Estimators and rules


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda *given: 3, r"to return \(valid_loss, gradients\)"),
        (lambda loss, w, a, *rest: (loss(w, a, 0.0), a[:1]), r"Received: \(\) and \(\(2, 3\),\)"),
        (lambda loss, w, a, *rest: (loss(w, a, 0.0), [None, None]), "a tensor for each array of"),
        (lambda loss, w, a, *rest: (w[0], a), r"a scalar and gradients .* Received: \(3,\)"),
        (lambda loss, w, a, *rest: (loss(w, a, 0.0) / 0, a), "finite numbers"),
        (lambda loss, w: None, "to run. Received: TypeError"),
    ],
)
def test_estimator_that_gives_something_else_is_refused(function, says):
    with pytest.raises(InputError, match=says):
        darts_tf.register_estimator("mine", function)
    assert "mine" not in ESTIMATORS


@pytest.mark.parametrize("name", ESTIMATOR_NAMES)
def test_built_in_estimators_pass_that_check(name):
    darts_tf.register_estimator("mine", ESTIMATORS[name])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda alphas, primitives: None, "the selection mine to give a Genotype. Received: None"),
        (lambda alphas, primitives: 1 / 0, "to choose cells of any alphas. Received: ZeroDivision"),
        (lambda alphas: None, "Received: TypeError"),
    ],
)
def test_rule_that_chooses_no_cells_is_refused_before_a_search(rule, says):
    darts_tf.register_selection("mine", rule)
    with pytest.raises(InputError, match=says):
        check_rule("mine", Context(SPACES["s2"]))


def test_rule_is_given_alphas_and_what_their_columns_are():
    given = []
    darts_tf.register_selection("mine", lambda *args: given.append(args) or GENOTYPE)
    alphas = [np.ones((14, 2)), np.ones((14, 2)), np.ones(14), np.ones(14)]
    context = Context(SPACES["s2"])
    check_rule("mine", context, over_edges=True)
    assert choose("mine", context, alphas) == GENOTYPE
    first, last = ([array.shape for array in each[0]] for each in given)
    assert first == last == [(14, 2), (14, 2), (14,), (14,)]
    assert given[-1][1] is SPACES["s2"].candidates


GENOTYPE = Genotype([("skip_connect", 0)] * 2, [2], [("skip_connect", 0)] * 2, [2])


# Scripts


def script(folder, *lines, name="my_ops"):
    path = folder / f"{name}.py"
    path.write_text("\n".join(("import darts_tf", *lines)))
    return path


def test_script_is_run_once_and_tells_what_it_has_registered(tmp_path):
    path = script(tmp_path, "darts_tf.register_space('mine', 2)", "print('ran')")
    assert darts_tf.load_plugin(path) == ("space mine",)
    assert darts_tf.load_plugin(path) == ()
    assert plugins.loaded() == (path.resolve(),)
    assert "mine" in SPACES


def test_script_may_import_its_neighbours(tmp_path):
    (tmp_path / "beside_the_script.py").write_text("NODES = 3")
    lines = "from beside_the_script import NODES", "darts_tf.register_space('mine', NODES)"
    darts_tf.load_plugin(script(tmp_path, *lines))
    assert SPACES["mine"].nodes == 3


def test_class_of_a_script_is_found_by_keras(tmp_path):
    path = script(
        tmp_path,
        "import keras",
        "@keras.saving.register_keras_serializable('my_ops')",
        "class Layer(keras.layers.Layer): pass",
    )
    darts_tf.load_plugin(path)
    layer = sys.modules["darts_tf_plugin_my_ops"].Layer()
    assert type(keras.layers.deserialize(keras.layers.serialize(layer))) is type(layer)
    keras.saving.get_custom_objects().pop("my_ops>Layer")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 / 0", "line 3: Expected a script that runs to its end. Received: ZeroDivisionError"),
        ("x = (", "line 3: Expected a script that runs to its end. Received: SyntaxError"),
        ("raise SystemExit", "line 3: .* Received: SystemExit"),
        ("darts_tf.register_space('a b')", "line 3: Expected the name of a space to be"),
        ("import no_such_module", "line 3: .* No module named 'no_such_module'"),
        ("def f(): return 1 / 0\nf()", "line 3: .* division by zero"),
    ],
)
def test_error_of_a_script_has_its_line_and_leaves_nothing(tmp_path, line, says):
    path = script(tmp_path, "darts_tf.register_space('mine', 2)", line)
    with pytest.raises(InputError, match=f"my_ops.py, {says}") as caught:
        darts_tf.load_plugin(path)
    assert "\n" not in str(caught.value)
    assert "mine" not in SPACES
    assert "darts_tf_plugin_my_ops" not in sys.modules
    path.write_text("import darts_tf\ndarts_tf.register_space('mine', 2)\n")
    assert darts_tf.load_plugin(path) == ("space mine",)


def test_script_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.py", tmp_path):
        with pytest.raises(InputError, match="Expected plugin to be a Python script. Received: '"):
            darts_tf.load_plugin(path)


def test_two_scripts_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    darts_tf.load_plugin(script(tmp_path))
    with pytest.raises(InputError, match="different file names. Received: two my_ops.py"):
        darts_tf.load_plugin(script(tmp_path / "other"))


def test_what_a_script_registers_is_checked_when_asked_for(tmp_path):
    path = script(
        tmp_path,
        "import keras",
        "def bad(channels, stride, affine):",
        "    return keras.layers.Dense(channels + 1)",
        "darts_tf.register_primitive('mine', bad, lambda *sizes: 0)",
    )
    darts_tf.load_plugin(path)
    assert "mine" in PRIMITIVES
    with pytest.raises(
        InputError, match=r"^my_ops.py, line 5: Expected the primitive mine to give"
    ):
        plugins.check_plugins()
    assert "mine" not in PRIMITIVES
    plugins.check_plugins()  # each check runs once
