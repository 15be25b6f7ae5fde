"""Texts as tokens, tables of pairs, and what is refused."""

import pytest
import torch

from metric_lightning.data import Characters, Codespell, PlainBatches, TextDataset, TextPairs, Words
from metric_lightning.data.codespell import read_dictionary
from metric_lightning.data.text_pairs import read_pairs_of_texts
from metric_lightning.errors import DataNotFound, UserError


@pytest.mark.parametrize("encoding", [Characters(), Words(buckets=50)])
def test_tokens_are_within_the_vocabulary_and_never_the_fill(encoding):
    for text in ("", "a", "Ünïcödé, 漢字!", "two words", "x" * 1000):
        tokens = encoding.encode(text)
        assert 1 <= len(tokens) <= encoding.max_length and tokens[-1] == 1
        assert tokens.min() >= 1 and tokens.max() < encoding.size
    assert len(Characters(max_length=4).encode("abcdef")) == 4
    assert Words().encode("same words").tolist() == Words().encode("SAME  words").tolist()
    assert Words().encode("other words").tolist() != Words().encode("same words").tolist()


def test_words_keep_their_bucket_for_good():
    """A checkpoint's embedding of a bucket means the same word in every later process."""
    assert Words().encode("metric").tolist() == [31198, 1]


def test_a_batch_is_filled_up_with_0():
    batch = TextDataset(["ab", "", "abc"], [0, 1, 1], ["x", "y"]).__getitems__([2, 1])
    assert batch.inputs.steps.tolist() == [[99, 100, 101, 1], [1, 0, 0, 0]]
    assert batch.inputs.lengths.tolist() == [4, 1] and batch.labels.tolist() == [1, 1]


def rows_of(file, rows, ending):
    if ending == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")

        columns = {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}
        parquet.write_table(pyarrow.table(columns), file)
    else:
        mark = "\t" if ending == "tsv" else ","
        file.write_text("\n".join(mark.join(f'"{word}"' for word in row) for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_two_columns_of_a_table(tmp_path, ending):
    rows = [("number", "short", "long"), ("1", "a, b", "ä long"), ("2", "c", "other"), ("3", "d", "other")]
    file = rows_of(tmp_path / f"pairs.{ending}", rows, ending)
    assert read_pairs_of_texts(file, "short", "long") == [("a, b", "ä long"), ("c", "other"), ("d", "other")]
    assert read_pairs_of_texts(file)[0] == ("1", "a, b")


def test_parts_share_no_second_text_and_all_the_rest_is_the_gallery_of_a_test(tmp_path):
    rows = [("wrong", "right"), *((f"{n}x{k}", f"word {n}") for n in range(20) for k in range(3))]
    data = TextPairs(str(rows_of(tmp_path / "pairs.csv", rows, "csv")), validation_size=0.2, test_size=0.1)
    data.setup()
    parts = [set(part.labels.tolist()) for part in (data.train_set, data.val_set, data.test_set)]
    assert [len(part) for part in parts] == [14, 4, 2] and len(set.union(*parts)) == 20
    assert data.num_classes == 14 and data.input_shape == ((258,), (258,))

    class Testing:
        testing, global_rank, world_size = True, 0, 1

    data.trainer = Testing()
    gallery = data.gallery_dataloader().dataset
    assert set(gallery.labels.tolist()) == parts[0] | parts[1] and len(gallery) == 54
    views = gallery.__getitems__([0]).inputs
    name = data.class_names[gallery.labels[0]]
    assert bytes((views.second.steps[0, :-1] - 2).tolist()).decode() == name


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("only\none\n", "has 1 column, but pairs need two"),
        ("a,b\nx,\n", "row 1 of 1 has an empty text; fill it in or leave the row out"),
        ("a,b\nx,y,z\n", "row 1 has not as many columns as the first line; put quotes round commas"),
        ("a,b\nx,y\n", "the pairs have 1 different second texts; at least three are needed"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, sentence):
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(UserError, match=sentence):
        TextPairs(str(tmp_path / "pairs.csv"))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataNotFound, match="there is no table .*nothing.csv; give a .csv, .tsv or .parquet file"):
        TextPairs(str(tmp_path / "nothing.csv"))
    (tmp_path / "pairs.csv").write_text("a,b\nx,y\n")
    with pytest.raises(UserError, match="has no column 'c'; its columns are a, b"):
        TextPairs(str(tmp_path / "pairs.csv"), first="c")
    (tmp_path / "bad.parquet").write_text("no parquet")
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match="bad.parquet can't be read as Parquet"):
        TextPairs(str(tmp_path / "bad.parquet"))
    with pytest.raises(ValueError, match="must be shares, below 1 together"):
        Codespell(str(dictionary(tmp_path)), validation_size=0.5, test_size=0.5)


def dictionary(folder):
    lines = [
        "teh->the",
        "hte->the",
        "recieve->receive",
        "aas->ass, as,",
        "clas->class, disabled because of C",
        "wich->which",
    ]
    (folder / "dictionary.txt").write_text("\n".join(lines))
    return folder / "dictionary.txt"


def test_the_dictionary_gives_what_has_one_correction(tmp_path):
    pairs = read_dictionary(dictionary(tmp_path))
    assert pairs == [("teh", "the"), ("hte", "the"), ("recieve", "receive"), ("wich", "which")]
    data = Codespell(str(dictionary(tmp_path)), validation_size=0.0, test_size=0.34, batches=PlainBatches(2))
    assert data.num_classes == 2
    with pytest.raises(DataNotFound, match="there is no dictionary"):
        read_dictionary(tmp_path / "none")
    (tmp_path / "other").write_text("no arrows\n")
    with pytest.raises(DataNotFound, match="holds no line wrong->right"):
        read_dictionary(tmp_path / "other")


def test_texts_do_not_change_with_augmentation_of_pictures():
    with pytest.raises(UserError, match="TextDataset has no augmentation"):
        TextDataset(["a"], torch.tensor([0]), ["x"]).augmented([])
