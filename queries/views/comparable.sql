-- Runs that may enter a comparison. One row per cell and independent block.
--
-- A run counts when its own gates passed (status ok), it is no reference run, its nodes
-- are not emulated (those show no speed), and its block did not drift: the limit of
-- drift was declared before the run and looks at the reference only. Streams are judged
-- by receiver goodput, transactions by their rate; `metric` says which. CPU is that of all nodes above the idle nodes',
-- per Gbit or per transaction; with a load beside it is not known, since the load's own
-- cannot be told from it.
with

runs as (
    select *, traffic like '%-stream' as is_stream
    from measurements
    where status = 'ok' and role = 'cell' and environment_class is distinct from 'emulated'
),

rated as (
    select
        runs.*,
        if(is_stream, 'throughput_gbits_per_s', 'transactions_per_s') as metric,
        if(is_stream, throughput_bits_per_s / 1e9, transactions_per_s) as rate,
        -- Of two directions at once the CPUs did both.
        if(
            is_stream,
            (throughput_bits_per_s + coalesce(throughput_reverse_bits_per_s, 0)) / 1e9,
            transactions_per_s
        ) as work_rate,
        coalesce(load_streams, 0) > 0 as is_beside_load,
        if(
            is_beside_load,
            null,
            (cpu_busy_s - cpu_idle_baseline_s) / nullif(cpu_window_s, 0)
        ) as cpus_busy,
        runs.plugin is not distinct from baseline_plugin as is_baseline,
    from runs
    left join campaigns using (campaign)
    anti join blocks_drifted using (campaign, install_id)
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        is_baseline,
        repeat,
        block,
        install_id,
        measurement_id,
        environment_fingerprint,
        -- Equal where the fingerprints are, and quicker to compare.
        hash(environment_fingerprint) as environment,
        connections_tracked,
        ---------- numerics
        metric,
        rate,
        -- What intervals and tests are made of; zero has none.
        if(rate > 0, ln(rate), null) as rate_logarithm,
        is_at_stated_rate(
            traffic,
            throughput_bits_per_s,
            throughput_reverse_bits_per_s,
            offered_bits_per_s,
            pairs,
            transactions_per_s,
            offered_transactions_per_s
        ) as is_at_stated_rate,
        work_rate,
        cpus_busy,
        cpus_busy / nullif(work_rate, 0) as cpu_s_per_work,
        latency_us_p99,
        failed_requests,
        lost_percent,
        if(is_beside_load, null, cycles_per_packet) as cycles_per_packet,
        cycles_source,
        packets_source,
        if(is_beside_load, null, cpu_components) as cpu_components,
        if(
            is_beside_load,
            'a load ran beside, whose samples are among them',
            cpu_components_absent_because
        ) as cpu_components_absent_because,
    from rated
)

select * from final
