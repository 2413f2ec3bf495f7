-- How long do the slowest transactions take, all blocks together? Histograms of the
-- blocks are added up and percentiles are read from the sum: means of percentiles
-- would be of nothing.
with

candidates_asked as (
    select *
    from asked
    where
        traffic not like '%-stream'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

runs as materialized (
    select
        campaign,
        cell,
        plugin,
        profile,
        measurement_id,
        latency_us_p99,
        failed_requests,
    from comparable
    where
        traffic not like '%-stream'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

-- A number stands for the four names, since all buckets are grouped by it.
of_runs as materialized (
    select
        campaign,
        cell,
        plugin,
        profile,
        row_number() over () as candidate,
        count(*) as blocks,
        min(latency_us_p99) as latency_us_p99_of_block_min,
        max(latency_us_p99) as latency_us_p99_of_block_max,
        sum(failed_requests)::bigint as failed_requests,
    from runs
    group by all
),

numbered as materialized (
    select measurement_id, candidate
    from runs
    inner join of_runs using (campaign, cell, plugin, profile)
),

buckets as materialized (
    select
        candidate,
        low_us,
        any_value(high_us) as high_us,
        -- As a double, which is exact up to 2 ** 53 and quick to reckon with.
        sum(transactions::double) as transactions,
    from histograms
    inner join numbered using (measurement_id)
    where
        getvariable('campaign') is null
        or histograms.campaign = getvariable('campaign')
    group by all
),

totals as (
    select candidate, sum(transactions) as total from buckets group by all
),

summed as (
    select
        *,
        sum(transactions) over (partition by candidate order by low_us) as seen,
    from buckets
    inner join totals using (candidate)
),

-- The bucket in which each percentile lies, and straight within it. One beyond
-- which fewer than ten transactions lie would be chance.
read as (
    select
        candidate,
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
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        coalesce(blocks, 0) as blocks,
        transactions,
        failed_requests,
        latency_us_p50,
        latency_us_p90,
        latency_us_p99,
        latency_us_p99_9,
        latency_us_p99_99,
        latency_us_max,
        latency_us_p99_of_block_min,
        latency_us_p99_of_block_max,
        nullif(
            concat_ws(
                '; ',
                if(
                    blocks is null,
                    coalesce(
                        unsupported_reason, 'no comparable run, see coverage'
                    ),
                    null
                ),
                if(
                    blocks > 0 and transactions is null,
                    'its tool gives no histogram: use `tool: transact`',
                    null
                ),
                if(blocks < 3, 'fewer than 3 blocks', null)
            ),
            ''
        ) as note,
    from candidates_asked
    left join of_runs using (campaign, cell, plugin, profile)
    left join read using (candidate)
)

select * from final
order by campaign, cell, profile, latency_us_p99 nulls last, plugin
