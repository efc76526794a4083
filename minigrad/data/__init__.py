"""From files to mini-batches: data sets, their checks, splits and loaders."""

from .dataset import ConcatDataset, TensorDataset
from .idx import read_idx
from .images import load_digits, load_fashion_mnist, load_mnist
from .loader import DataLoader, Dataset
from .split import train_test_split

__all__ = [
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "TensorDataset",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "read_idx",
    "train_test_split",
]
