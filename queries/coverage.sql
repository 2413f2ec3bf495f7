-- What became of every cell that was planned?
with

asked as (
    select campaign, block, plugin, profile, cell, unsupported_reason,
    from planned
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

measured as (
    select campaign, block, cell, install_id, status, reason,
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

drifted_installs as (
    select campaign, block, install_id, true as is_drifted,
    from blocks
    where status = 'drifted'
),

cells as (
    select
        asked.campaign,
        asked.plugin,
        asked.profile,
        drifted_installs.is_drifted,
        case
            when measured.status is not null then measured.status
            when asked.unsupported_reason is not null then 'unsupported'
            when latest_blocks.block_status = 'failed' then 'failed'
            else 'missing'
        end as status,
        case
            when measured.status is not null then measured.reason
            when asked.unsupported_reason is not null
                then asked.unsupported_reason
            when latest_blocks.block_status = 'failed'
                then latest_blocks.block_reason
        end as reason,
    from asked
    left join measured using (campaign, block, cell)
    left join latest_blocks using (campaign, block)
    left join drifted_installs
        on
            drifted_installs.campaign = measured.campaign
            and drifted_installs.block = measured.block
            and drifted_installs.install_id = measured.install_id
),

final as (
    select
        campaign,
        plugin,
        profile,
        count(*) as asked,
        count(*) filter (status = 'ok') as measured,
        count(*) filter (status = 'invalid') as invalid,
        count(*) filter (status = 'noisy') as noisy,
        count(*) filter (status = 'failed') as failed,
        count(*) filter (status = 'unsupported') as unsupported,
        count(*) filter (status = 'missing') as missing,
        count(*) filter (status = 'ok' and is_drifted) as measured_drifted,
        mode(reason) as reason_most_frequent,
    from cells
    group by all
)

select * from final
order by campaign, plugin, profile
