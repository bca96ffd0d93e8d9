"""The zoo: published cells by name, and genotypes from files."""

from __future__ import annotations

import dataclasses

import pytest

from darts_tf.errors import InputError
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.notation import to_nni, to_python
from darts_tf.spaces.zoo import (
    GENOTYPES,
    NOT_EXPRESSIBLE,
    RECURRENT_GENOTYPES,
    RECURRENT_ZOO,
    ZOO,
    load_genotype,
    short_name,
)

V2 = GENOTYPES["DARTS_V2"]


@pytest.mark.parametrize("name", GENOTYPES)
def test_load_genotype_finds_the_zoo_and_saved_files(name, tmp_path):
    genotype = load_genotype(name)
    assert genotype is GENOTYPES[name]
    genotype.save(tmp_path / "deep" / "genotype.json")
    assert load_genotype(tmp_path / "deep" / "genotype.json") == genotype
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["genotype.json"]


def test_load_genotype_names_the_file_and_the_nearest_name(tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="broken.json: "):
        load_genotype(broken)
    broken.write_text("{normal: 1}")
    with pytest.raises(ValueError, match="broken.json: Expected JSON. .* line 1 column 2"):
        load_genotype(str(broken))
    with pytest.raises(ValueError, match="Received: genotype='darts_v3'. Did you mean 'DARTS_V"):
        load_genotype("darts_v3")
    with pytest.raises(ValueError, match="a folder without genotype.json$"):
        load_genotype(tmp_path)
    with pytest.raises(ValueError, match="Expected genotype to be one of DARTS_V1"):
        load_genotype("Genotype(normal=" + 500 * "('skip_connect', 0), ")


def test_load_genotype_takes_the_folder_of_a_run_or_names_the_one_meant(tmp_path):
    V2.save(tmp_path / "search" / "genotype.json")
    assert load_genotype(tmp_path / "search") == V2
    assert load_genotype(str(tmp_path / "search"), recurrent=None) == V2
    with pytest.raises(ValueError, match="without genotype.json. Did you mean '.*search'"):
        load_genotype(tmp_path)
    with pytest.raises(ValueError, match=r"serch', which is not there\. Did you mean '.*search'"):
        load_genotype(tmp_path / "serch")
    with pytest.raises(ValueError, match="Received: genotype='photos'.$"):
        load_genotype("photos")  # resembles no name


def test_zoo_holds_the_published_cells():
    assert V2.normal == (
        *(("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
        *(("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)),
    )
    assert GENOTYPES["AmoebaNet"].reduce[-2:] == (("conv_7x1_1x7", 0), ("sep_conv_3x3", 5))
    assert GENOTYPES["AmoebaNet"].reduce_concat == (3, 4, 6)
    assert {name: len(g.normal) // 2 for name, g in GENOTYPES.items()} == {
        **{"DARTS_V1": 4, "DARTS_V2": 4, "NASNet": 5, "AmoebaNet": 5, "AmoebaNet_C": 5},
        **{"PNASNet": 5, "ENAS": 5, "PCDARTS": 4, "PDARTS": 4, "PCDARTS_IMAGENET": 4},
        **{"DRNAS": 4, "DRNAS_IMAGENET": 4, "SHAPLEY": 4, "SHAPLEY_IMAGENET": 4},
        **{"OLES": 4, "OLES_CIFAR100": 4},
    }


# ENAS' published description of its cells: for every node input, operation, input, operation
ENAS = {
    "normal": "0 2 0 0  0 4 0 1  0 4 1 1  1 0 0 1  0 2 1 1",
    "reduce": "1 0 1 0  0 3 0 2  1 1 3 1  1 0 0 4  0 3 1 1",
}
ENAS_OPERATIONS = (
    *("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect"),
)


@pytest.mark.parametrize("cell", ENAS)
def test_enas_is_what_its_authors_describe_by_numbers(cell):
    numbers = [int(word) for word in ENAS[cell].split()]
    nodes = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
    # within a node the order has no meaning
    expected = [{(ENAS_OPERATIONS[b], a), (ENAS_OPERATIONS[d], c)} for a, b, c, d in nodes]
    pairs = getattr(GENOTYPES["ENAS"], cell)
    assert [set(pairs[i : i + 2]) for i in range(0, len(pairs), 2)] == expected


@pytest.mark.parametrize("name", ["ENAS", "PNASNet", "AmoebaNet", "AmoebaNet_C"])
@pytest.mark.parametrize("cell", ["normal", "reduce"])
def test_output_is_made_of_the_nodes_that_no_other_reads(name, cell):
    genotype = GENOTYPES[name]
    pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
    read = {source for _, source in pairs}
    loose = tuple(node for node in range(2, 2 + len(pairs) // 2) if node not in read)
    if name == "PNASNet":  # which concatenates all of them
        loose = (2, 3, 4, 5, 6)
    assert concat == loose


def test_every_published_cell_says_where_it_is_from():
    for entry in (*ZOO.values(), *RECURRENT_ZOO.values()):
        assert entry.source
        assert entry.method
        assert entry.gpu_days is None or entry.gpu_days > 0
    without = {
        n for n, entry in ZOO.items() if not entry.cifar10_error and not entry.imagenet_error
    }
    assert without == {"OLES_CIFAR100", "SHAPLEY_IMAGENET"}
    assert all("error" in ZOO[name].note for name in without)


def test_recurrent_cells_have_the_nodes_of_the_papers():
    sizes = {name: len(g.recurrent) for name, g in RECURRENT_GENOTYPES.items()}
    assert sizes == {"DARTS_V1": 8, "DARTS_V2": 8, "ENAS": 11}
    assert str(RECURRENT_GENOTYPES["DARTS_V2"]) == (
        "sigmoid 0 | relu 1 | relu 1 | identity 1 | tanh 2 | sigmoid 5 | tanh 3 | relu 5"
        " -> 1 2 3 4 5 6 7 8"
    )


@pytest.mark.parametrize("name", ["AmoebaNet_B", "NASNet-B", "NASNet_C"])
def test_cell_that_cannot_be_expressed_is_refused_with_the_reason(name):
    with pytest.raises(InputError, match=NOT_EXPRESSIBLE[name.replace("-", "_")]):
        load_genotype(name)


@pytest.mark.parametrize("write", [Genotype.to_json, to_python, to_nni])
def test_load_genotype_reads_files_of_other_tools(write, tmp_path):
    path = tmp_path / "file"
    path.write_text(write(V2))
    assert load_genotype(path) == V2


def test_load_genotype_takes_one_of_several_by_name(tmp_path):
    path = tmp_path / "genotypes.py"
    other = dataclasses.replace(V2, reduce=V2.normal)
    path.write_text(f"import torch\nA = {to_python(V2)}\nB = {to_python(other)}\nDARTS = B\n")
    assert load_genotype(f"{path}:B") == other
    assert load_genotype(f"{path}:DARTS") == load_genotype(f"{path}:2") == other
    with pytest.raises(InputError, match=r"one genotype \(FILE:NAME .* Received: A, B, DARTS$"):
        load_genotype(path)
    with pytest.raises(InputError, match="Expected C. Received: A, B, DARTS$"):
        load_genotype(f"{path}:C")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("DARTS_V2", "DARTS_V2"),
        ("runs/search/genotype.json", "genotype"),
        ("a/genotypes.py:DARTS", "DARTS"),
        ("a/search.log:2", "search-2"),
        ("search.log:-1", "search-last"),
        ("search.log:-3", "search-last-3"),
    ],
)
def test_short_name_is_that_of_the_genotype_or_of_its_file(text, name):
    assert short_name(text) == name


def test_load_genotype_refuses_a_recurrent_cell(tmp_path):
    path = tmp_path / "cell.json"
    RECURRENT_GENOTYPES["DARTS_V1"].save(path)
    with pytest.raises(
        InputError, match="json: Expected cells for images.*a recurrent cell, for text$"
    ):
        load_genotype(path)
    assert load_genotype(path, recurrent=True) == RECURRENT_GENOTYPES["DARTS_V1"]


def test_load_genotype_finds_recurrent_cells(tmp_path):
    path = tmp_path / "cells.json"
    assert load_genotype("DARTS_V2", recurrent=True) == RECURRENT_GENOTYPES["DARTS_V2"]
    GENOTYPES["DARTS_V1"].save(path)
    with pytest.raises(InputError, match="cells.json: Expected a recurrent cell, for text. Rec"):
        load_genotype(path, recurrent=True)
    with pytest.raises(InputError, match="PDARTS: Expected a recurrent cell, for text. Rec"):
        load_genotype("PDARTS", recurrent=True)
    with pytest.raises(InputError, match="one of DARTS_V1, DARTS_V2, ENAS, a file"):
        load_genotype("PDART", recurrent=True)
