-- How long transactions take, all comparable blocks of a candidate together. One row per
-- campaign, cell, plugin and profile that has such runs of transactions.
--
-- Histograms of the blocks are added up and percentiles are read from the sum: means of
-- percentiles would be of nothing.
with

runs as (
    select *
    from comparable
    where traffic not like '%-stream'
),

of_runs as (
    select
        campaign,
        cell,
        plugin,
        profile,
        count(*) as blocks,
        min(latency_us_p99) as latency_us_p99_of_block_min,
        max(latency_us_p99) as latency_us_p99_of_block_max,
        sum(failed_requests)::bigint as failed_requests,
    from runs
    group by all
),

buckets as (
    select
        runs.campaign,
        runs.cell,
        runs.plugin,
        runs.profile,
        low_us,
        any_value(high_us) as high_us,
        -- As a double, which is exact up to 2 ** 53 and quick to reckon with.
        sum(transactions::double) as transactions,
    from histograms
    inner join runs using (campaign, measurement_id)
    group by all
),

summed as (
    select
        *,
        sum(transactions) over (candidate order by low_us) as seen,
        sum(transactions) over candidate as total,
    from buckets
    window candidate as (partition by campaign, cell, plugin, profile)
),

-- The bucket in which each percentile lies, and straight within it. One beyond
-- which fewer than ten transactions lie would be chance.
read as (
    select
        campaign,
        cell,
        plugin,
        profile,
        any_value(total)::bigint as transactions,
        min(percentile_in(low_us, high_us, transactions, seen, total, 0.5::double))
            as latency_us_p50,
        min(percentile_in(low_us, high_us, transactions, seen, total, 0.9::double))
            as latency_us_p90,
        min(percentile_in(low_us, high_us, transactions, seen, total, 0.99::double))
            as latency_us_p99,
        min(percentile_in(low_us, high_us, transactions, seen, total, 0.999::double))
            as latency_us_p99_9,
        min(percentile_in(low_us, high_us, transactions, seen, total, 0.9999::double))
            as latency_us_p99_99,
        max(high_us) as latency_us_max,
    from summed
    group by all
),

final as (
    select *
    from of_runs
    left join read using (campaign, cell, plugin, profile)
)

select * from final
