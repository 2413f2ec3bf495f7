-- How far apart are the independent runs of each metric, and what are they?
with

runs as (
    select *, metric = 'transactions_per_s' as is_transactions
    from comparable
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

wide as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        repeat,
        if(not is_transactions, rate, null) as throughput_gbits_per_s,
        if(is_transactions, rate, null) as transactions_per_s,
        latency_us_p99,
        lost_percent,
        if(not is_transactions, cpu_s_per_work, null) as cpu_s_per_gbit,
        if(is_transactions, cpu_s_per_work * 1e6, null) as cpu_us_per_transaction,
    from runs
),

-- A value that a run does not have is no row.
long as (
    unpivot wide
    on
        throughput_gbits_per_s,
        transactions_per_s,
        latency_us_p99,
        lost_percent,
        cpu_s_per_gbit,
        cpu_us_per_transaction
    into name metric value value
),

final as (
    select
        campaign,
        any_value(path) as path,
        any_value(traffic) as traffic,
        cell,
        metric,
        plugin,
        profile,
        count(*) as blocks,
        median(value) as value_median,
        min(value) as value_min,
        max(value) as value_max,
        avg(value) as value_mean,
        -- Of one block there is neither an interval nor a deviation.
        avg(value) - half_width_95(value) as value_mean_low,
        avg(value) + half_width_95(value) as value_mean_high,
        stddev_samp(value) as value_deviation,
        100 * stddev_samp(value) / nullif(avg(value), 0) as deviation_percent,
        list_sort(list(value)) as runs,
    from long
    group by campaign, cell, metric, plugin, profile
)

select * from final
order by campaign, cell, metric, plugin, profile
