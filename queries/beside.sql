-- What does a traffic lose to what else there is: a load, many flows, a policy, rules, Services,
-- pods?
with

runs as (
    select
        comparable.campaign,
        comparable.path,
        comparable.cell,
        comparable.plugin,
        comparable.profile,
        comparable.repeat,
        comparable.metric,
        comparable.rate,
        comparable.cpu_s_per_work,
        measurements.* exclude (
            campaign, path, cell, plugin, profile, repeat
        ),
        coalesce(measurements.load_streams, 0) as flows,
        coalesce(measurements.scale_services, 0) as services,
        coalesce(measurements.scale_pods, 0) as pods,
    from comparable
    inner join measurements using (measurement_id)
    where
        coalesce(measurements.pairs, 1) = 1
        and (
            getvariable('campaign') is null
            or comparable.campaign = getvariable('campaign')
        )
),

alone as (
    select * from runs
    where flows = 0 and services = 0 and pods = 0 and policy is null
),

-- The same traffic of the same block: drift and the plugin's luck are in both.
pairs as (
    select
        runs.campaign,
        runs.path,
        runs.cell,
        alone.cell as cell_alone,
        runs.plugin,
        runs.profile,
        runs.flows,
        runs.policy,
        coalesce(runs.policy_rules, 0) as policy_rules,
        runs.services,
        runs.pods,
        runs.load_bits_per_s,
        runs.rate / nullif(alone.rate, 0) as rate_ratio,
        runs.cpu_s_per_work / nullif(alone.cpu_s_per_work, 0) as cpu_per_work_ratio,
        runs.latency_us_p50,
        alone.latency_us_p50 as latency_us_p50_alone,
        runs.latency_us_p99,
        alone.latency_us_p99 as latency_us_p99_alone,
        runs.policy_applied_ms,
        runs.policy_removed_ms,
        runs.service_ready_ms,
        alone.service_ready_ms as service_ready_ms_alone,
    from runs
    inner join alone
        using (
            campaign, path, plugin, profile, repeat, traffic, streams, tool,
            duration_s_asked, omit_s
        )
    where
        (
            runs.flows > 0
            or runs.services > 0
            or runs.pods > 0
            or runs.policy is not null
        )
        and runs.family is not distinct from alone.family
        and runs.direction is not distinct from alone.direction
        and runs.message_bytes is not distinct from alone.message_bytes
        and runs.request_bytes is not distinct from alone.request_bytes
        and runs.response_bytes is not distinct from alone.response_bytes
        and runs.requests_in_flight is not distinct from alone.requests_in_flight
        and runs.offered_bits_per_s is not distinct from alone.offered_bits_per_s
        and runs.offered_transactions_per_s
        is not distinct from alone.offered_transactions_per_s
),

final as (
    select
        campaign,
        path,
        cell,
        cell_alone,
        plugin,
        profile,
        any_value(flows) as load_streams,
        any_value(policy) as policy,
        any_value(policy_rules) as policy_rules,
        any_value(services) as scale_services,
        any_value(pods) as scale_pods,
        count(*) as blocks,
        median(load_bits_per_s) as load_bits_per_s,
        median(rate_ratio) as rate_ratio,
        median(cpu_per_work_ratio) as cpu_per_work_ratio,
        median(latency_us_p50) as latency_us_p50,
        median(latency_us_p50_alone) as latency_us_p50_alone,
        median(latency_us_p99) as latency_us_p99,
        median(latency_us_p99_alone) as latency_us_p99_alone,
        median(policy_applied_ms) as policy_applied_ms,
        median(policy_removed_ms) as policy_removed_ms,
        median(service_ready_ms) as service_ready_ms,
        median(service_ready_ms_alone) as service_ready_ms_alone,
    from pairs
    group by campaign, path, cell, cell_alone, plugin, profile
)

select * from final
order by campaign, path, cell, cell_alone, plugin, profile
