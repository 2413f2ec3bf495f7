"""Everything that the agent can be asked for, by name."""

import os

from steps.lib.targets.kubernetes.agent import (
    cleaning,
    cni,
    facts,
    files,
    inventory,
    kernel,
    kube_proxy,
    memory,
    pods,
    programs,
    readings,
    sampling,
    settings,
    trials,
    watching,
)
from steps.lib.targets.kubernetes.agent.server import Call


def ping() -> dict[str, int]:
    """Show that the agent is there, and which process it is."""
    return {"pid": os.getpid()}


CALLS: dict[str, Call] = {
    function.__name__: function
    for function in (
        ping,
        facts.facts,
        inventory.inventory,
        settings.look_up,
        settings.read_node_settings,
        settings.write_node_setting,
        settings.read_setting,
        settings.read_settings,
        settings.write_setting,
        readings.reading,
        readings.cpu,
        readings.counters,
        memory.memory_bytes,
        sampling.start_sampling,
        sampling.samples,
        sampling.stop_sampling,
        watching.start_watching,
        watching.stop_watching,
        cleaning.clean,
        cleaning.would_clean,
        cni.await_cni_calls,
        files.read_file,
        files.write_file,
        files.exists,
        files.hashes,
        files.remove,
        programs.run,
        programs.run_in_container,
        pods.pod_network,
        pods.launch,
        pods.signal,
        pods.is_running,
        pods.listening,
        trials.open_ports,
        trials.close_ports,
        trials.connect,
        trials.refusing,
        kernel.module_state,
        kernel.load_module,
        kernel.link_kind_problem,
        kube_proxy.kube_proxy,
    )
}
