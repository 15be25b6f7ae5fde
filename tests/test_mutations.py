"""Every mutation can be made: its text stands once in its file, and what replaces it is Python."""

import ast
from pathlib import Path

import pytest

from tests.mutation import CAUGHT, DID_NOT_RUN, PACKAGE, ROOT, SURVIVES, outcome, stale
from tests.mutations import MUTATIONS, Mutation


def test_every_mutation_stands_exactly_once_in_its_file():
    assert not stale(ROOT, MUTATIONS)


def test_stale_mutations_are_all_named(tmp_path: Path):
    (tmp_path / PACKAGE).mkdir(parents=True)
    (tmp_path / PACKAGE / "one.py").write_text("a = b = a\n")
    named = stale(tmp_path, [Mutation("one.py", text, "", "", "") for text in ("a", "b", "c")])
    assert named == ["one.py holds 'a' 2 times, not once", "one.py holds 'c' 0 times, not once"]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.before}")
def test_what_replaces_it_is_python(mutation: Mutation):
    text = (ROOT / PACKAGE / mutation.file).read_text()
    ast.parse(text.replace(mutation.before, mutation.after))
    assert (ROOT / mutation.tests).exists()


@pytest.mark.parametrize(
    ("status", "output", "expected"),
    [
        (0, "3 passed", SURVIVES),
        (1, "E   AssertionError: Scalars are not close!", CAUGHT),
        (1, "E   torch.autograd.gradcheck.GradcheckError: Jacobian mismatch", CAUGHT),
        (1, "E   NameError: name 'x' is not defined", DID_NOT_RUN),
        (1, "E   UnboundLocalError: cannot access local variable", DID_NOT_RUN),
        (2, "E   SyntaxError: invalid syntax", DID_NOT_RUN),
        (5, "no tests ran", DID_NOT_RUN),
    ],
)
def test_only_a_failed_test_counts_as_caught(status: int, output: str, expected: str):
    assert outcome(status, output) == expected
