-- What became of every planned cell, one by one, and why?
with

asked as (
    select
        campaign,
        block,
        path,
        traffic,
        cell,
        plugin,
        profile,
        unsupported_reason,
    from planned
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

measured as (
    select campaign, block, cell, status, reason,
    from measurements
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

-- A resumed block has several rows; how it stands now is what the latest says.
latest_blocks as (
    select
        campaign,
        block,
        arg_max(status, started_at) as block_status,
        arg_max(reason, started_at) as block_reason,
    from blocks
    group by all
),

cells as (
    select
        asked.*,
        case
            when measured.status is not null then measured.status
            when asked.unsupported_reason is not null then 'unsupported'
            when latest_blocks.block_status = 'failed' then 'failed'
            else 'missing'
        end as status,
        case
            when measured.status is not null then measured.reason
            when asked.unsupported_reason is not null then asked.unsupported_reason
            when latest_blocks.block_status = 'failed' then latest_blocks.block_reason
        end as reason,
    from asked
    left join measured using (campaign, block, cell)
    left join latest_blocks using (campaign, block)
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
        mode(reason) as reason_most_frequent,
    from cells
    group by all
)

select * from final
order by campaign, cell, plugin, profile, status
