"""Stage 2: install the plugin on every node."""

import time

from hera.workflows import Output

from steps.lib.errors import RefusedError
from steps.lib.models import Plugin
from steps.lib.plan import Block
from steps.lib.stage import BlockInput, stage
from steps.lib.tuning import apply_profile


class InstallPluginInput(BlockInput):
    """See ``BlockInput``."""


class InstallPluginOutput(Output):
    """Nothing: what is installed is read back from the target."""


@stage(deadline_s=900)
def install_plugin(install_input: InstallPluginInput) -> InstallPluginOutput:
    """Install, and remember what was installed as read back.

    Reads: the plugin's description.
    Writes: the MTU of the underlay, if the profile sets it, since plugins choose theirs by it; the
    plugin on the nodes; version, fingerprint and install time in the block's state.
    Fails when: the MTU does not take, or the plugin cannot be installed or cannot be read back.
    """
    context = install_input.open()
    profile = context.block.profile
    state = apply_profile(context.target, context.state(), profile, before_install=True)
    started = time.monotonic()
    context.target.install(as_asked(context.block), state.install_id)
    installed = context.target.installation()
    if installed is None:
        raise RefusedError(f"plugin {context.block.plugin.name} was installed but is not there")
    context.update(
        install_s=time.monotonic() - started,
        plugin_version=installed.version,
        plugin_fingerprint=installed.fingerprint,
    )
    return InstallPluginOutput()


def as_asked(block: Block) -> Plugin:
    """The plugin; a baseline with the address families that are measured, as its neighbours.

    Nodes of plugins with IPv4 only have no IPv6, so the reference would be another node.
    """
    plugin = block.plugin
    if not plugin.baseline:
        return plugin
    asked = {"ipv4", *(cell.traffic.family for cell in block.job.matrix.cells)}
    families = tuple(family for family in plugin.families if family in asked)
    return plugin.model_copy(update={"families": families})
