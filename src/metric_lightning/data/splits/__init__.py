"""Splits into training, validation and test parts: by sample, by class, in folds over classes."""

from metric_lightning.data.splits.base import Split, SplitClasses, SplitSamples
from metric_lightning.data.splits.class_fold import ClassFold
from metric_lightning.data.splits.class_split import ClassSplit
from metric_lightning.data.splits.sample_split import SampleSplit
from metric_lightning.data.splits.stratified import stratified_draw

__all__ = ["ClassFold", "ClassSplit", "SampleSplit", "Split", "SplitClasses", "SplitSamples", "stratified_draw"]
