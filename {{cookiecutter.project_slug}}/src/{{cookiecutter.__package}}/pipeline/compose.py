"""Stage 1: let Hydra compose conf/ into params.json and schema.json, which all other stages read.

JSON, because YAML readers disagree about values such as 1e-3 or `yes`. The columns are a file of
their own, because DVC copies parameters into dvc.lock for each stage and reads that file in full
at every command.
"""

from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from .. import config, files, paths
from ..cli import Refusal, run

CONF = Path("conf")


def noted(folder: Path) -> list[str]:
    """The Hydra overrides that `make exp` has written down in a conf/ folder."""
    note = folder / "overrides.yaml"
    return list(OmegaConf.load(note)) if note.exists() else []


def compose(folder: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """The composed configuration of a conf/ folder, checked by `config.composed`.

    Without overrides those that `make exp` has written down count.

    Raises `Refusal` when Hydra cannot compose it or a value has the wrong name or type.
    """
    try:
        with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
            composed = hydra_compose("config", noted(folder) if overrides is None else overrides)
        params = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise Refusal(f"conf/ does not compose: {' '.join(str(error).split())}") from None
    config.composed(params)
    return cast(dict[str, Any], params)


def main() -> None:
    """Write params.json and schema.json."""
    params = compose(CONF)
    data = config.composed(params).data
    columns = params["data"].pop("columns")
    used = {name: rule for name, rule in columns.items() if name in {**data.asked, **data.inputs}}
    files.write_json(paths.SCHEMA, used)
    files.write_json(paths.PARAMS, params)


if __name__ == "__main__":
    run(main)
