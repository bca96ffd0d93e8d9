"""The SavedModel: its signatures, their errors, and use without the package."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from export_fixtures import drawn_images, names, preprocessing_of, probabilities_of, small_network
from PIL import Image
from tensorflow.python.saved_model.loader_impl import parse_saved_model

from darts_tf.data import Preprocessing
from darts_tf.export import saved_model, warmup
from darts_tf.export.folding import fold_normalizations
from darts_tf.export.images import Examples
from darts_tf.models.counting import count_params

SHAPE = Preprocessing(9, 8, 3, (0.3, 0.4, 0.5), (0.2, 0.3, 0.2), 11)
"""Preprocessing for predict_bytes and classify: resizes the shorter side, crops the center."""
CLASSES = ("cat", "dog, small", "sans\u2028fin")
KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A version's folder, and its network."""
    network = small_network("DARTS_V1", 3, classes=len(CLASSES))
    fold_normalizations(network)
    path = tmp_path_factory.mktemp("models") / "zoo" / "7"
    path.parent.mkdir()
    saved_model.write(network, SHAPE, path, Examples(CLASSES))
    return path, network


@pytest.fixture(scope="module")
def signatures(written):
    return tf.saved_model.load(written[0]).signatures


@pytest.fixture(scope="module")
def files():
    """An image file of every kind, all of different sizes."""
    random = np.random.default_rng(0)
    return [encoded(kind, random.integers(0, 256, (20 + i, 30 - i, 3), np.uint8))
            for i, kind in enumerate(KINDS)]  # fmt: skip


def encoded(kind, pixels):
    contents = io.BytesIO()
    Image.fromarray(pixels).save(contents, kind)
    return contents.getvalue()


def example(**features) -> bytes:
    lists = {name: tf.train.BytesList(value=values) for name, values in features.items()}
    feature = {name: tf.train.Feature(bytes_list=values) for name, values in lists.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def ranked(network, images):
    """Returns expected labels and probabilities of every image, best first."""
    probabilities = probabilities_of(network, SHAPE, images)
    order = np.argsort(-probabilities, axis=1)
    return np.array(CLASSES)[order], np.take_along_axis(probabilities, order, 1)


def texts(tensor):
    return np.char.decode(tensor.numpy().astype(bytes), "utf-8")


def test_signatures_are_those_that_servers_expect(written):
    (graph,) = parse_saved_model(str(written[0])).meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    shapes = {}
    for name, signature in graph.signature_def.items():
        if not name.startswith("__"):
            tensors = [*signature.inputs.items(), *signature.outputs.items()]
            sizes = {
                key: (tensor.dtype, [dim.size for dim in tensor.tensor_shape.dim])
                for key, tensor in tensors
            }
            shapes[name] = (signature.method_name.removeprefix("tensorflow/serving/"), sizes)
    number, text = tf.float32.as_datatype_enum, tf.string.as_datatype_enum
    of_classes = (number, [-1, 3])
    assert shapes == {
        "serving_default": (
            "predict",
            {"images": (number, [-1, 9, 8, 3]), "logits": of_classes, "probabilities": of_classes},
        ),
        "predict_bytes": (
            "predict",
            {"image_bytes": (text, [-1]), "labels": (text, [-1, 3]), "probabilities": of_classes},
        ),
        "classify": (
            "classify",
            {"inputs": (text, [-1]), "classes": (text, [-1, 3]), "scores": of_classes},
        ),
    }


def test_predict_bytes_decodes_as_python_does(written, signatures, files):
    decoded = np.stack([SHAPE.decode(contents) for contents in files])
    answer = signatures["predict_bytes"](image_bytes=tf.constant(files))
    raw = signatures["serving_default"](images=tf.constant(decoded, tf.float32))
    best = -np.sort(-raw["probabilities"].numpy(), axis=1)
    np.testing.assert_array_equal(answer["probabilities"], best)
    labels, probabilities = ranked(written[1], decoded)
    np.testing.assert_array_equal(texts(answer["labels"]), labels)
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-5)


def test_predict_bytes_answers_with_the_best_five(exported):
    loaded = tf.saved_model.load(exported.output / "saved_model" / "model" / "1")
    image = drawn_images(preprocessing_of(), 1)
    png = encoded("PNG", image[0, ..., 0])
    answer = loaded.signatures["predict_bytes"](image_bytes=tf.constant([png, png]))
    assert answer["labels"].shape == (2, 5)
    probabilities = tf.nn.softmax(
        exported.network(preprocessing_of().normalize(image))["logits"]
    ).numpy()[0]
    best = np.argsort(-probabilities)[:5]
    assert texts(answer["labels"])[1].tolist() == [names()[i] for i in best]
    np.testing.assert_allclose(answer["probabilities"][1], probabilities[best], atol=1e-5)


def test_classify_reads_examples_and_ranks_every_class(written, signatures, files):
    examples = [example(**{"image/encoded": [png], "image/name": [b"x"]}) for png in files[:2]]
    answer = signatures["classify"](inputs=tf.constant(examples))
    labels, scores = ranked(written[1], np.stack([SHAPE.decode(png) for png in files[:2]]))
    np.testing.assert_array_equal(texts(answer["classes"]), labels)
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-5)


@pytest.mark.parametrize("broken", ["text", "nothing", *KINDS])
def test_a_damaged_image_is_refused_with_what_was_expected(signatures, files, broken):
    whole = dict(zip(KINDS, files, strict=True)).get(broken, b"")
    damaged = b"words" if broken == "text" else whole[: len(whole) // 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected_a_whole_JPEG_PNG_GIF_BMP"):
        signatures["predict_bytes"](image_bytes=tf.constant([files[0], damaged]))
    wrapped = example(**{"image/encoded": [damaged]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected_a_whole_JPEG_PNG_GIF_BMP"):
        signatures["classify"](inputs=tf.constant([wrapped]))


@pytest.mark.parametrize("wrong", [b"words", b"", example(image=[b"x"])])
def test_what_is_no_example_is_refused(signatures, wrong):
    with pytest.raises(tf.errors.InvalidArgumentError, match="example input|image/encoded"):
        signatures["classify"](inputs=tf.constant([wrong]))


def test_an_empty_batch_is_refused(signatures):
    empty = {
        "serving_default": {"images": tf.zeros((0, 9, 8, 3))},
        "predict_bytes": {"image_bytes": tf.zeros((0,), tf.string)},
        "classify": {"inputs": tf.zeros((0,), tf.string)},
    }
    for name, inputs in empty.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected one image or more"):
            signatures[name](**inputs)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (1, 9, 16, 3), (1, 9, 8, 1), (9, 8, 3)])
def test_images_of_another_shape_are_refused(signatures, shape):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError, TypeError)):
        signatures["serving_default"](images=tf.zeros(shape))


@pytest.mark.parametrize("batch", [1, 5])
def test_any_batch_of_raw_images_is_taken(written, signatures, batch):
    images = drawn_images(SHAPE, batch, seed=1)
    actual = signatures["serving_default"](images=tf.constant(images, tf.float32))
    np.testing.assert_allclose(
        actual["logits"], written[1](SHAPE.normalize(images)), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        actual["probabilities"], probabilities_of(written[1], SHAPE, images), atol=1e-5
    )


def test_labels_and_preprocessing_are_assets(written):
    (graph,) = parse_saved_model(str(written[0])).meta_graphs
    assets = {asset.filename for asset in graph.asset_file_def}
    assert assets == {"labels.txt", "preprocessing.json"}
    folder = written[0] / "assets"
    assert {path.name for path in folder.iterdir()} == assets
    assert (folder / "labels.txt").read_bytes().decode().split("\n") == [*CLASSES, ""]
    assert Preprocessing.from_json((folder / "preprocessing.json").read_bytes()) == SHAPE


def test_weights_are_stored_once(tmp_path):
    network = small_network("DARTS_V2", channels=36, image_channels=3)
    saved_model.write(network, preprocessing_of(channels=3), tmp_path / "1", Examples(names()))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert (
        size < 1.1 * 4 * count_params(network) + 2**19
    )  # graphs of the network and of decoding  # the graph has a fixed size


def test_it_runs_with_neither_keras_nor_this_package_in_the_process(written, files, tmp_path):
    program = """
import sys
OURS = ("keras", "tf_keras", "darts_tf", "export", "cli")
sys.modules.update(dict.fromkeys(OURS))  # importing one of them raises
import numpy as np, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
image = open(sys.argv[2], "rb").read()
answer = signatures["predict_bytes"](image_bytes=tf.constant([image]))
signatures["serving_default"](images=tf.zeros((2, 9, 8, 3)))
loaded = [name for name, module in sys.modules.items() if module and name.split(".")[0] in OURS]
assert not loaded, loaded
np.save(sys.argv[3], answer["probabilities"].numpy())
"""
    (tmp_path / "image.png").write_bytes(files[1])
    paths = written[0], tmp_path / "image.png", tmp_path / "probabilities.npy"
    command = [sys.executable, "-I", "-c", program, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    _, expected = ranked(written[1], np.stack([SHAPE.decode(files[1])]))
    np.testing.assert_allclose(np.load(paths[2]), expected, atol=1e-5)


def test_warm_up_requests_are_what_tf_serving_reads(written, signatures):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(written[0] / warmup.PLACE))
    asked = {}
    for record in records.as_numpy_iterator():
        log = logs.PredictionLog.FromString(record)
        assert log.SerializeToString(deterministic=True) == record
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        assert request.model_spec.name == "zoo"
        if kind == "predict_log":
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            inputs = {name: tf.constant(value) for name, value in inputs.items()}
        else:
            (one,) = request.input.example_list.examples
            inputs = {"inputs": tf.constant([one.SerializeToString()])}
        asked[request.model_spec.signature_name] = kind
        signatures[request.model_spec.signature_name](**inputs)
    kinds = ("predict_log", "predict_log", "classify_log")
    assert asked == dict(zip(("serving_default", "predict_bytes", "classify"), kinds, strict=True))


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 3_000_000])
def test_long_requests_have_their_lengths_right(length):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    tensor = tf.make_tensor_proto([bytes(length)])
    record = warmup.predict("m", "s", {"image_bytes": tensor.SerializeToString()})
    (received,) = logs.PredictionLog.FromString(record).predict_log.request.inputs.values()
    assert received == tensor
