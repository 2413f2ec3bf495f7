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
        count(*) as blocks,
        -- Of several as frequent ones the first by name, else it would be chance.
        mode(reason order by reason) filter (
            reason is not null
        ) as reason_most_frequent,
    from cells
    group by all
)

select * from final
order by campaign, cell, plugin, profile, status
