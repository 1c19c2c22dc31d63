"""Tox plugin for configuration that tox.ini cannot express."""

import tomllib
from itertools import chain
from typing import Any

from packaging.requirements import Requirement
from tox.config.sets import ConfigSet
from tox.plugin import impl
from tox.session.state import State
from tox.tox_env.api import ToxEnv


@impl
def tox_add_core_config(core_conf: ConfigSet, state: State) -> None:  # noqa: ARG001 - tox calls it by these names
    """Let `tox -l` list the environments of all versions, not only those that `tox` runs."""
    if getattr(state.conf.options, "list_envs", False):
        state.conf.options.list_envs_all = True


@impl
def tox_on_install(tox_env: ToxEnv, arguments: Any, section: str, of_type: str) -> None:  # noqa: ARG001
    """Write the overrides of `next`: every dependency of the package without its upper bound."""
    if tox_env.name != "next":
        return
    with (tox_env.core["tox_root"] / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    dependencies = map(Requirement, [*project["dependencies"], *chain(*project["optional-dependencies"].values())])
    lower_bounds = [
        f"{dependency.name}{bound}"
        for dependency in dependencies
        for bound in dependency.specifier
        if bound.operator == ">="
    ]
    tox_env.env_dir.mkdir(parents=True, exist_ok=True)
    (tox_env.env_dir / "overrides.txt").write_text("\n".join(lower_bounds) + "\n", encoding="utf-8")
