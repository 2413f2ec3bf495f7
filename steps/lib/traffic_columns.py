"""Columns of the table ``measurements`` about what runs beside a cell, and about searches."""

import pyarrow as pa

from steps.lib.columns import Column, count, number, text

BESIDE_IDENTITY = (
    count(
        "pairs",
        "Pairs of pods that send at once, each with `streams`; limit: they share the nodes' CPUs",
    ),
    count("load_streams", "TCP flows of the load that runs beside it between the same two ends"),
    count("load_offered_bits_per_s", "Stated rate of the load; null: as fast as it goes", "bit/s"),
    count("scale_services", "Services that the cluster has beside, called by nobody"),
    count("scale_endpoints", "Endpoints of all those Services"),
    count("scale_pods", "Pods that were started at once before the cell, and stayed"),
    text("policy", "Kind of the policy that was in force on the server; null: none"),
    count("policy_rules", "Rules of that policy; the last lets the client in"),
    number("loss_percent_max", "%", "Loss that a run of a search may have and pass"),
)

BESIDE = (
    number(
        "service_ready_ms",
        "ms",
        "From asking for the measured Service until connections to it came about from every node: "
        "the control plane's work and the rules' programming, with `scale_services` there already. "
        "Limit: tried every 50 ms; null on paths without a Service",
    ),
    number(
        "pods_started_ms",
        "ms",
        "From asking for `scale_pods` at once until all of them answered another node. Limit: who "
        "asks and who answers share the machine on the embedded target; on a cluster they are "
        "looked at every tenth of a second, once the API server says that they run, by IPv4",
    ),
    number("pod_start_ms_p50", "ms", "The same of single pods: the median, by nearest rank"),
    number("pod_start_ms_p99", "ms", "Likewise; with fewer than 100 pods the slowest one"),
    number(
        "policy_applied_ms",
        "ms",
        "From asking for the policy until a stranger was turned away and the client passed. Limit: "
        "tried over and over, and a trial without an answer takes 0.1 s",
    ),
    number(
        "policy_removed_ms",
        "ms",
        "From asking for its removal until a stranger passed; likewise, null if that never came",
    ),
    Column(
        "pair_bits_per_s",
        pa.list_(pa.float64()),
        "bit/s",
        "Goodput of each pair at its own receiver, the first one's by its own window, the others' "
        "by their receivers' seconds, of which those that the window cuts count as a share; null "
        "for one pair. With several pairs what is known of the first only is null",
    ),
    number(
        "load_bits_per_s",
        "bit/s",
        "Goodput of the load at its receiver in the window, seconds that the window cuts as a "
        "share; null without a load",
    ),
)

SEARCH_TRIAL = pa.struct(
    [
        ("offered_bits_per_s", pa.int64()),
        ("duration_s", pa.int64()),
        ("confirms", pa.bool_()),
        ("sent_bits_per_s", pa.float64()),
        ("lost_percent", pa.float64()),
        ("verdict", pa.string()),
    ]
)

NO_DROP = (
    number(
        "no_drop_bits_per_s",
        "bit/s",
        "Highest stated rate of UDP payload at which every confirmation lost at most "
        "`loss_percent_max` (RFC 2544, section 26.1; partial-drop rate where that is above 0). "
        "Limits: known to the search's resolution; what is lost behind the last datagram that came "
        "is not seen. The row's other numbers are of the last confirmation",
    ),
    number("no_drop_datagrams_per_s", "1/s", "The same in datagrams"),
    number(
        "no_drop_failed_bits_per_s",
        "bit/s",
        "Lowest rate at which a run failed, the search's upper bound; null if none did",
    ),
    text(
        "no_drop_limited_by",
        "`loss`; `generator`: it did not send a higher rate, so that the path may take more; "
        "`maximum`: no higher rate was asked for",
    ),
    count("no_drop_confirmations", "Confirmations, all of which passed"),
    number(
        "no_drop_pass_share_low",
        "1",
        "At least this share of such runs passes, with 95 % confidence (Clopper and Pearson, "
        "one-sided: 0.05 to the power of 1 / confirmations); of runs in this block only",
    ),
    Column("search_trials", pa.list_(SEARCH_TRIAL), "", "Every run of a search, in its order"),
)
