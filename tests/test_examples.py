"""House rule 5: what can be named in a loss shows itself in an example; pytest runs them as doctests."""

import inspect

import pytest

from metric_lightning import distances, losses, miners, relevance

PARTS = [
    part
    for module in (losses, miners, distances, relevance)
    for part in (getattr(module, name) for name in module.__all__)
    if inspect.isclass(part) and not inspect.isabstract(part)
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_part_has_an_example(part: type):
    assert ">>> " in (part.__doc__ or "").partition("Example:")[2]
