-- What became of every cell that was planned?
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
        plugin,
        profile,
        count(*) as asked,
        count(*) filter (status = 'ok') as measured,
        count(*) filter (status = 'drifted') as drifted,
        count(*) filter (status = 'invalid') as invalid,
        count(*) filter (status = 'noisy') as noisy,
        count(*) filter (status = 'failed') as failed,
        count(*) filter (status = 'unsupported') as unsupported,
        count(*) filter (status = 'missing') as missing,
        -- Of several as frequent ones the first by name, else it would be chance.
        mode(reason order by reason) filter (
            reason is not null
        ) as reason_most_frequent,
    from cells
    group by all
)

select * from final
order by campaign, plugin, profile
