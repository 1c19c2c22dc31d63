"""What tox.ini cannot say."""

from tox.config.sets import ConfigSet
from tox.plugin import impl
from tox.session.state import State


@impl
def tox_add_core_config(core_conf: ConfigSet, state: State) -> None:  # noqa: ARG001 - tox's names
    """Let `tox -l` list the environment of every version, not only those that `tox` runs."""
    if getattr(state.conf.options, "list_envs", False):
        state.conf.options.list_envs_all = True
