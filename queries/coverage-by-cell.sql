-- What became of every planned cell, one by one, and why?
with

cells as (
    select *
    from outcomes
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        status,
        reason,
        count(*) as blocks,
    from cells
    group by all
)

select * from final
order by campaign, cell, plugin, profile, status, reason
