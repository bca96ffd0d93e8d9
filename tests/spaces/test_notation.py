"""Notations of other tools: read back what was written, and what they wrote themselves."""

from __future__ import annotations

import ast
import json
import pathlib
import time

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
            r"Expected one genotype \(FILE:NAME or FILE:NUMBER .* Received: none$",
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
    with pytest.raises(InputError, match="reduction cell for images.* Received: a recurrent cell"):
        to_nni(RECURRENT_GENOTYPES["ENAS"])


# Forms that other tools write

SMALL = Genotype(
    [("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 2), ("dil_conv_5x5", 0)],
    [2, 3],
    [("avg_pool_3x3", 0), ("sep_conv_5x5", 1), ("dil_conv_3x3", 1), ("skip_connect", 2)],
    [2, 3],
)
NORMAL = "[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 2), ('dil_conv_5x5', 0)]"
REDUCE = "[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 1), ('skip_connect', 2)]"
CONCAT = "range(2, 4)"
CALL = f"Genotype(normal={NORMAL}, normal_concat={CONCAT}, reduce={REDUCE}, reduce_concat={CONCAT})"
OTHER = CALL.replace("sep_conv_3x3", "sep_conv_5x5")
NESTED = CALL.replace("=[(", "=[[(").replace(")], ", ")]], ")
for last in ("('skip_connect', 1), ", "('sep_conv_5x5', 1), "):  # of the first node of a cell
    NESTED = NESTED.replace(last, f"{last[:-2]}], [")
KATIB = NESTED.replace("sep_conv", "separable_convolution").replace("_pool_", "_pooling_")
KATIB = KATIB.replace("dil_conv", "dilated_convolution").replace("skip_connect", "skip_connection")
DICT = (
    f"{{'normal': {NORMAL}, 'normal_concat': [2, 3], 'reduce': {REDUCE}, 'reduce_concat': (2, 3)}}"
)
JSON = DICT.replace("'", '"').replace("(", "[").replace(")", "]")
COMPACT = "(((0, 3), (1, 2), (2, 0), (0, 6)), ((0, 1), (1, 4), (1, 5), (2, 2)))"
LOG = "2026-01-31 02:51:{}0,249 epoch {} lr 2.4e-02\n2026-01-31 02:51:21,249 genotype = {}\n"


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"  \t{CALL}",
        f"import genotypes\nX = genotypes.{CALL}\n",
        f"X: Genotype = {CALL}",
        CALL.replace(CONCAT, f"list({CONCAT})"),
        CALL.replace("3)", "np.int64(3))").replace("2)", "numpy.int64(2))"),
        CALL.replace("'skip_connect'", "np.str_('skip_connect')"),
        CALL[:-1] + ", layout='cell')",
        NESTED,
        KATIB,
        f"Best-Genotype={KATIB}",
        DICT,
        f"cell = {DICT}",
        JSON,
        COMPACT,
        f"X = {COMPACT}",
        COMPACT.replace("(", "[").replace(")", "]"),
        f"A = {CALL}\nDARTS = A",
        f"11/12 10:34:25 AM genotype = {CALL}\n",
        LOG.format(1, 0, CALL),
        LOG.format(1, 0, CALL) + LOG.format(2, 1, CALL) + "Genotype(normal=[('sep",
        f"[INFO] genotype: {DICT}, 3.4 GB",
        f"2026-01-31 {JSON}",
        f"class Genotype(NamedTuple): ...\n  indented: {CALL}",
        "2026-01-31 step\n" * 20_000 + CALL,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_forms_of_other_tools_are_read(text, encoding):
    assert parse(text.encode(encoding)) == SMALL


def test_nested_form_is_nested():
    assert NESTED.count("[[") == NESTED.count("]]") == KATIB.count("[[") == 2
    assert "separable_convolution_3x3" in KATIB
    assert "max_pooling_3x3" in KATIB


@pytest.mark.parametrize(
    ("text", "received"),
    [
        (f"{CALL}\n{OTHER}", "one without a name in line 1, one without a name in line 2"),
        (f"A = {CALL}\n{OTHER}", "A in line 1, one without a name in line 2"),
        (f"A = {CALL}\nB = {OTHER}\nDARTS = B", "A, B, DARTS"),
        (f"A = {CALL}\nA = {OTHER}", "A in line 1, A in line 2"),
        (
            LOG.format(1, 0, CALL) + LOG.format(2, 1, OTHER),
            "genotype in line 2, genotype in line 4",
        ),
    ],
)
def test_one_of_several_is_chosen_and_never_guessed(text, received):
    with pytest.raises(InputError, match=r"FILE:NUMBER chooses .* FILE:-1 the last") as error:
        parse(text)
    assert str(error.value).endswith(f"Received: {received}")
    assert parse(text, "1") == SMALL
    assert parse(text, "-1") == parse(OTHER)
    with pytest.raises(InputError, match="Expected 9. Received"):
        parse(text, "9")


def test_name_of_a_script_is_what_it_was_assigned_last():
    assert parse(f"A = {OTHER}\nA = {CALL}\nB = A", "B") == SMALL
    assert parse(f"A = {OTHER}\nA = {CALL}", "A") == SMALL


def test_name_that_a_log_repeats_does_not_choose():
    log = LOG.format(1, 0, CALL) + LOG.format(2, 1, OTHER)
    with pytest.raises(InputError, match="Expected one genotype .* genotype in line 2"):
        parse(log, "genotype")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CALL[:-1] + ", layout='raw_weights')", "layout='cell'.. Received: layout='raw_weights'"),
        (
            NESTED.replace("[('max_pool_3x3', 2), ", "[", 1),
            "for every node of normal. .* 1 for node 3",
        ),
        (CALL.replace("skip_connect", "none", 1), "is not listed in a genotype. Received: 'none'$"),
        (CALL.replace("'skip_connect'", "7"), r"Received: the primitive of normal\[1\]=7\.$"),
        (CALL.replace("skip_connect", "mystery"), "--plugin FILE"),
        (COMPACT.replace("6", "7"), "operations 0 to 6. Received: operation=7"),
        (DICT.replace("'normal'", "'reduce'"), "Expected every key once"),
        (
            "{'normal': 3, 'reduce': 4, 5: 6}",
            "Expected names of fields. Received: normal, reduce, 5",
        ),
        ("{'x': 3}", "with the keys normal, normal_concat, reduce, reduce_concat. Received"),
        (f"Genotype({NORMAL}, [2], {REDUCE}, [2], 'cell', 0)", "Received: 6 of them by position"),
        (CALL.replace(CONCAT, "list(open('x'))"), "or a range. Received: 'Call'"),
        (CALL.replace(CONCAT, "np.int64(open('x'))"), "or a range. Received: 'Call'"),
        ("2026-01-31 epoch 3\n" * 20_000, "at most 100000 characters of Python"),
        ('{"normal": [', "Expected JSON. Received: Expecting value at line 1"),
    ],
)
def test_forms_that_are_no_genotype_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)
    assert ("--plugin" in str(error.value)) == ("mystery" in text)


def test_long_texts_of_brackets_are_refused_quickly():
    for text in ("Genotype(" * 200_000, "{'normal'" * 200_000, "x" * 2_000_000):
        begin = time.monotonic()
        with pytest.raises(InputError, match="Expected "):
            parse(text)
        assert time.monotonic() - begin < 5


def test_masks_of_older_nni_are_read():
    operations = ["maxpool", "avgpool", "skipconnect", "sepconv3x3", "sepconv5x5"]
    operations += ["dilconv3x3", "dilconv5x5"]

    def mask(name=None):
        return [name == operation for operation in operations]

    fields = {}
    for kind, first, second in (("normal", "sepconv3x3", "maxpool"), ("reduce", "avgpool", None)):
        fields |= {f"{kind}_n2_p0": mask(first), f"{kind}_n2_p1": mask("dilconv5x5")}
        fields |= {f"{kind}_n2_switch": [True, True]}
        fields |= {f"{kind}_n3_p0": mask(second), f"{kind}_n3_p1": mask("skipconnect")}
        fields |= {f"{kind}_n3_p2": mask("sepconv5x5")}
        fields |= {f"{kind}_n3_switch": [second is not None, second is None, True]}
    assert parse(json.dumps(fields)) == Genotype(
        [("sep_conv_3x3", 0), ("dil_conv_5x5", 1), ("max_pool_3x3", 0), ("sep_conv_5x5", 2)],
        (2, 3),
        [("avg_pool_3x3", 0), ("dil_conv_5x5", 1), ("skip_connect", 1), ("sep_conv_5x5", 2)],
        (2, 3),
    )
    fields["normal_n2_p0"] = mask()
    with pytest.raises(
        InputError, match="operations to be true on a chosen edge. Received: 0 of 7"
    ):
        parse(json.dumps(fields))


@pytest.mark.parametrize("name", ["python", "nni", "json"])
def test_inspect_prints_a_notation_alone(name, capsys):
    assert main(["inspect", "--genotype", "DARTS_V2", "--notation", name]) == 0
    out = capsys.readouterr().out
    assert parse(out) == V2
    assert (name == "json") == (out == V2.to_json())
