"""Labelled data: sets, splits, batch strategies, loaders, and data modules that YAML names."""

from metric_lightning.data.affine_distortion import AffineDistortion
from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.augmentable_dataset import AugmentableDataset
from metric_lightning.data.balanced_batches import BalancedBatches
from metric_lightning.data.batch import Batch, Draw
from metric_lightning.data.cars196 import Cars196
from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.codespell import Codespell
from metric_lightning.data.cub200 import CUB200
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset, Subset
from metric_lightning.data.digits import Digits
from metric_lightning.data.fashion_mnist import FashionMNIST
from metric_lightning.data.features import Features
from metric_lightning.data.idx_data_module import IDXDataModule
from metric_lightning.data.image_file_data_module import ImageFileDataModule
from metric_lightning.data.image_files import ImageFiles
from metric_lightning.data.image_folder import ImageFolder
from metric_lightning.data.image_table import ImageTable
from metric_lightning.data.in_shop import InShop
from metric_lightning.data.kmnist import KMNIST
from metric_lightning.data.loader import EvaluationLoader, Loader, TrainingLoader
from metric_lightning.data.mnist import MNIST
from metric_lightning.data.mnist5k import MNIST5k
from metric_lightning.data.omniglot import Omniglot
from metric_lightning.data.omniglot_two_views import OmniglotTwoViews
from metric_lightning.data.pair_batches import PairBatches
from metric_lightning.data.plain_batches import PlainBatches
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.data.rotated_classes import RotatedClasses
from metric_lightning.data.sampler import BatchSampler, EpochPlan, EvaluationSampler, Position
from metric_lightning.data.splits import (
    ClassFold,
    ClassSplit,
    SampleSplit,
    Split,
    SplitClasses,
    SplitSamples,
    stratified_draw,
)
from metric_lightning.data.stanford_online_products import StanfordOnlineProducts
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.data.stroke_dataset import StrokeDataset
from metric_lightning.data.text_dataset import TextDataset
from metric_lightning.data.text_encoding import Characters, TextEncoding, Words
from metric_lightning.data.text_pairs import TextPairs, TextPairsModule
from metric_lightning.data.triplet_batches import TripletBatches
from metric_lightning.data.two_view_dataset import TwoViewDataset

__all__ = [
    "AffineDistortion",
    "ArrayDataset",
    "AugmentableDataset",
    "BalancedBatches",
    "Batch",
    "BatchSampler",
    "BatchStrategy",
    "Cars196",
    "CUB200",
    "Characters",
    "ClassFold",
    "ClassIndex",
    "ClassSplit",
    "Codespell",
    "Digits",
    "Draw",
    "EpochPlan",
    "EvaluationLoader",
    "EvaluationSampler",
    "FashionMNIST",
    "Features",
    "IDXDataModule",
    "ImageFileDataModule",
    "ImageFiles",
    "ImageFolder",
    "ImageTable",
    "InShop",
    "KMNIST",
    "LabelledDataset",
    "Loader",
    "MNIST",
    "MNIST5k",
    "MetricDataModule",
    "Omniglot",
    "OmniglotTwoViews",
    "PairBatches",
    "PlainBatches",
    "Position",
    "Preprocessing",
    "RotatedClasses",
    "SampleSplit",
    "Split",
    "SplitClasses",
    "SplitSamples",
    "StanfordOnlineProducts",
    "StrokeDataset",
    "Subset",
    "TextDataset",
    "TextEncoding",
    "TextPairs",
    "TextPairsModule",
    "TrainingLoader",
    "TripletBatches",
    "TwoViewDataset",
    "Words",
    "stratified_draw",
]
