-- What became of every cell that was planned. One row per campaign, block and cell;
-- reference runs are left out.
--
-- A cell without a measurement in a block that failed counts as failed, for the
-- block's reason, until a resume measures it. What was measured well in a block that
-- drifted is in no comparison, so it is `drifted`, not `ok`.
with

asked_cells as (
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
    where role = 'cell'
),

measured as (
    select campaign, block, cell, install_id, status, reason,
    from measurements
    where role = 'cell'
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

drifted as (
    select *, true as is_drifted, from blocks_drifted
),

final as (
    select
        asked_cells.* exclude (unsupported_reason),
        case
            when measured.status = 'ok' and is_drifted then 'drifted'
            when measured.status is not null then measured.status
            when unsupported_reason is not null then 'unsupported'
            when block_status = 'failed' then 'failed'
            else 'missing'
        end as status,
        case
            when measured.status = 'ok' and is_drifted
                then 'the reference changed by more than the limit in its block'
            when measured.status is not null then measured.reason
            when unsupported_reason is not null then unsupported_reason
            when block_status = 'failed' then block_reason
        end as reason,
    from asked_cells
    left join measured using (campaign, block, cell)
    left join latest_blocks using (campaign, block)
    left join drifted using (campaign, block, install_id)
)

select * from final
