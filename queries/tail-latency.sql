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
    left join latencies using (campaign, cell, plugin, profile)
)

select * from final
order by campaign, cell, profile, latency_us_p99 nulls last, plugin
