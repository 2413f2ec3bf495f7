-- How long does it take to create an endpoint?
with

created as (
    select campaign, plugin, profile, client_start_ms as start_ms,
    from measurements
    where
        client_start_ms is not null
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

final as (
    select
        campaign,
        plugin,
        profile,
        count(*) as endpoints,
        min(start_ms) as start_ms_min,
        median(start_ms) as start_ms_median,
        quantile_cont(start_ms, 0.9) as start_ms_p90,
        max(start_ms) as start_ms_max,
        list(start_ms order by start_ms) as starts_ms,
    from created
    group by all
)

select * from final
order by campaign, plugin, profile
