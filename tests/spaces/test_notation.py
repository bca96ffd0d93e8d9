"""Notations of other tools: read back what was written, and what they wrote themselves."""

from __future__ import annotations

import ast
import json
import pathlib

import pytest

from darts_tf.cli.main import main
from darts_tf.errors import InputError
from darts_tf.spaces import notation
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.notation import parse, to_nni, to_python
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

V2 = GENOTYPES["DARTS_V2"]


@pytest.mark.parametrize("name", GENOTYPES)
def test_python_notation_comes_back(name):
    assert parse(to_python(GENOTYPES[name])) == GENOTYPES[name]


@pytest.mark.parametrize("name", RECURRENT_GENOTYPES)
def test_recurrent_python_notation_and_json_come_back(name):
    genotype = RECURRENT_GENOTYPES[name]
    assert parse(to_python(genotype)) == genotype
    assert parse(genotype.to_json()) == genotype


def test_python_notation_is_read_as_people_write_it():
    text = """
# searched on Monday
from collections import namedtuple
Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')
MINE = Genotype(
    normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=range(2, 3),
    reduce=[['max_pool_3x3', 1], ('max_pool_3x3', 0)], reduce_concat=[2],
)
"""
    expected = Genotype(
        [("sep_conv_3x3", 0), ("skip_connect", 1)],
        [2],
        [("max_pool_3x3", 1), ("max_pool_3x3", 0)],
        [2],
    )
    assert parse(text) == expected
    assert parse(text.encode(), "MINE") == expected
    positional = "Genotype([('skip_connect', 0), ('skip_connect', 1)], range(2, 3), [], [])"
    with pytest.raises(InputError, match="reduce to hold two"):
        parse(positional)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Genotype(normal=__import__('os').system('x'))", "or a range. Received: 'Call'"),
        (to_python(V2).replace("[2, 3, 4, 5]", "open('x')", 1), "or a range. Received: 'Call'"),
        (to_python(V2).replace("[2, 3, 4, 5]", "range(10**9)", 1), "or a range"),
        (to_python(V2).replace("[2, 3, 4, 5]", "range(1000000000)", 1), "nodes of the cell"),
        (to_python(V2).replace("[2, 3, 4, 5]", "range('a')", 1), "or a range"),
        ("Genotype(**fields)", "Expected every field once, by name. Received: None"),
        ("Genotype(", "or a genotype in Python notation. Received: "),
        (
            "print('hello')",
            r"Expected one genotype \(file.py:NAME names one of several\). .* none$",
        ),
        ("Genotype" + "(" * 5000, "in Python notation"),
        ("x" * 200_000, "at most 100000 characters"),
        ("x\0", "in Python notation"),
    ],
)
def test_python_that_is_no_genotype_is_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_notations_are_parsed_and_never_evaluated():
    tree = ast.parse(pathlib.Path(notation.__file__).read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "compile", "__import__", "pickle"}


# NNI

NNI_V2 = {  # of NNI's documentation, an input as a number or as a list of one
    **{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0]},
    **{"normal/op_2_1": "sep_conv_3x3", "normal/input_2_1": [1]},
    **{"normal/op_3_0": "sep_conv_3x3", "normal/input_3_0": 0},
    **{"normal/op_3_1": "sep_conv_3x3", "normal/input_3_1": 1},
    **{"normal/op_4_0": "sep_conv_3x3", "normal/input_4_0": 1},
    **{"normal/op_4_1": "skip_connect", "normal/input_4_1": 0},
    **{"normal/op_5_0": "skip_connect", "normal/input_5_0": 0},
    **{"normal/op_5_1": "dil_conv_3x3", "normal/input_5_1": 2},
    **{"reduce/op_2_0": "max_pool_3x3", "reduce/input_2_0": 0},
    **{"reduce/op_2_1": "max_pool_3x3", "reduce/input_2_1": 1},
    **{"reduce/op_3_0": "skip_connect", "reduce/input_3_0": 2},
    **{"reduce/op_3_1": "max_pool_3x3", "reduce/input_3_1": 1},
    **{"reduce/op_4_0": "max_pool_3x3", "reduce/input_4_0": 0},
    **{"reduce/op_4_1": "skip_connect", "reduce/input_4_1": 2},
    **{"reduce/op_5_0": "skip_connect", "reduce/input_5_0": 2},
    **{"reduce/op_5_1": "max_pool_3x3", "reduce/input_5_1": 1},
}


def test_nni_architectures_are_read_and_written():
    assert parse(json.dumps({**NNI_V2, "width": 36, "depth": 20})) == V2
    written = json.loads(to_nni(V2))
    assert written == {k: v[0] if isinstance(v, list) else v for k, v in NNI_V2.items()}


@pytest.mark.parametrize("numbered", [False, True])
def test_older_nni_architectures_are_read(numbered):
    # `maxpool` is 0, `skipconnect` 2, `sepconv3x3` 3
    maxpool, skip, sep = (0, 2, 3) if numbered else ("maxpool", "skipconnect", "sepconv3x3")
    cell = {"n2_p0": maxpool, "n2_p1": sep, "n2_switch": ["n2_p0", "n2_p1"]}
    cell |= {"n3_p0": [], "n3_p1": skip, "n3_p2": [sep], "n3_switch": [1, 2]}
    fields = {}
    for kind in ("normal", "reduce"):
        for key, value in cell.items():
            strings = isinstance(value, list) and key == "n2_switch"
            fields[f"{kind}_{key}"] = [f"{kind}_{v}" for v in value] if strings else value
    pairs = (("max_pool_3x3", 0), ("sep_conv_3x3", 1), ("skip_connect", 1), ("sep_conv_3x3", 2))
    assert parse(json.dumps(fields)) == Genotype(pairs, (2, 3), pairs, (2, 3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"normal/op_2_0": None}, "Expected the primitive of normal.0"),
        ({"normal/input_2_0": [0, 1]}, "input of normal.0"),
        ({"normal/input_3_1": 7}, "input of normal.3. to be a state that exists"),
        ({"normal/op_9_0": "skip_connect"}, "Expected the key 'normal/input_9_0'"),
        ({"normal/op_9_0": "skip_connect", "normal/input_9_0": 0}, "key 'normal/input_9_1'"),
    ],
)
def test_broken_nni_architecture_is_refused_in_one_line(changed, message):
    with pytest.raises(InputError, match=message) as error:
        parse(json.dumps({**NNI_V2, **changed}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["NASNet", "AmoebaNet", "ENAS"])
def test_cell_that_nni_cannot_express_is_refused(name):
    with pytest.raises(InputError, match="Expected cells of 4 nodes, all in the output"):
        to_nni(GENOTYPES[name])


def test_recurrent_cell_has_no_form_of_nni():
    with pytest.raises(InputError, match="Expected cells for images.* Received: a recurrent cell"):
        to_nni(RECURRENT_GENOTYPES["ENAS"])


@pytest.mark.parametrize("name", ["python", "nni", "json"])
def test_inspect_prints_a_notation_alone(name, capsys):
    assert main(["inspect", "--genotype", "DARTS_V2", "--notation", name]) == 0
    out = capsys.readouterr().out
    assert parse(out) == V2
    assert (name == "json") == (out == V2.to_json())
