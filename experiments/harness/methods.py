"""Which YAML files are compared, by what names, and with which settings."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from experiments.harness.run import Settings
from metric_lightning.command_line.run_folder import experiment_of
from metric_lightning.errors import UserError

EXPERIMENTS = Path(__file__).parents[1]


def config_files(names: Sequence[str]) -> list[Path]:
    """Return the files of folders of `experiments/` ("mnist5k": its *.yaml, not those further below) and single files.

    Raises:
        UserError: a name is neither.
    """
    files: list[Path] = []
    for name in names:
        folder = next((path for path in (EXPERIMENTS / name, Path(name)) if path.is_dir()), None)
        found = sorted(folder.glob("*.yaml")) if folder else [Path(name)] if Path(name).is_file() else []
        if not found:
            known = sorted({path.parent.relative_to(EXPERIMENTS).as_posix() for path in EXPERIMENTS.rglob("*.yaml")})
            raise UserError(f"{name} is no YAML file and no folder that holds some; there are {', '.join(known)}")
        files += [_short(path) for path in found]
    return list(dict.fromkeys(files))


def labels_of(files: Sequence[Path]) -> dict[Path, str]:
    """Return the name of each file in tables: as short as tells them apart.

    Example:
        >>> list(labels_of([Path("experiments/a/siamese.yaml"), Path("experiments/a/softmax.yaml")]).values())
        ['siamese', 'softmax']
        >>> list(labels_of([Path("experiments/a/softmax.yaml"), Path("experiments/b/softmax.yaml")]).values())
        ['a/softmax', 'b/softmax']
    """
    times = Counter(file.stem for file in files)
    return {file: file.stem if times[file.stem] == 1 else experiment_of([str(file)]) for file in files}


def variants(config: Path, grid: Mapping[str, Sequence[str]]) -> list[Settings]:
    """Return all combinations of the grid's values; of keys that the file does not state there is nothing to choose.

    Args:
        config: the file.
        grid: values to try, by key ("model.init_args.loss.init_args.margin").
    """
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    stated = [key for key in grid if _states(content, key.split("."))]
    return [tuple(zip(stated, values, strict=True)) for values in product(*(grid[key] for key in stated))]


def parsed_grid(arguments: Iterable[str], files: Sequence[Path]) -> dict[str, list[str]]:
    """Return the grid of arguments like "model.init_args.loss.init_args.margin=0.1,0.2".

    Raises:
        UserError: an argument of another form, or a key that no file states.
    """
    grid = {}
    for argument in arguments:
        key, equals, values = argument.partition("=")
        if not (key and equals and all(values.split(","))):
            raise UserError(f"--grid {argument} is not of the form KEY=VALUE,VALUE")
        contents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
        if not any(_states(content, key.split(".")) for content in contents):
            raise UserError(f"--grid {key}: none of the files states it; write the whole path, as in the YAML")
        grid[key] = values.split(",")
    return grid


def _states(content: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(content, Mapping) or name not in content:
            return False
        content = content[name]
    return True


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path
