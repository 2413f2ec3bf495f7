-- How do rate and CPU grow with streams, requests in flight, pairs, flows beside, rules,
-- Services, pods, sizes and offered rates? A series is all cells of a path that differ in one of them alone.
with

first_blocks as (
    select campaign, cell, min(block) as block,
    from planned
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
    group by all
),

-- Everything that was asked of a cell: all columns of `planned` that do not name it.
cells as (
    select
        planned.campaign,
        planned.cell,
        struct_update(
            any_value(planned),
            block := null::varchar,
            plugin := null::varchar,
            profile := null::varchar,
            repeat := null::bigint,
            cell := null::varchar,
            block_order := null::bigint,
            cell_order := null::bigint,
            unsupported_reason := null::varchar
        ) as shape,
    from planned
    inner join first_blocks
        on
            first_blocks.campaign = planned.campaign
            and first_blocks.cell = planned.cell
            and first_blocks.block is not distinct from planned.block
    where
        getvariable('campaign') is null
        or planned.campaign = getvariable('campaign')
    group by all
),

-- One row per cell and dimension. What the series shares is the shape without it.
points as (
    select
        campaign,
        cell,
        unnest([
            {
                'dimension': 'streams',
                'value': shape.streams,
                -- Of HTTP the connections are the streams, each with so many requests.
                'series': struct_update(
                    shape,
                    streams := null::bigint,
                    requests_in_flight := shape.requests_in_flight // shape.streams
                ),
            },
            {
                'dimension': 'requests_in_flight',
                'value': shape.requests_in_flight,
                'series': struct_update(shape, requests_in_flight := null::bigint),
            },
            {
                'dimension': 'pairs',
                'value': shape.pairs,
                'series': struct_update(shape, pairs := null::bigint),
            },
            {
                'dimension': 'load_streams',
                'value': shape.load_streams,
                'series': struct_update(shape, load_streams := null::bigint),
            },
            {
                'dimension': 'policy_rules',
                'value': shape.policy_rules,
                'series': struct_update(shape, policy_rules := null::bigint),
            },
            {
                'dimension': 'scale_services',
                'value': shape.scale_services,
                'series': struct_update(
                    shape,
                    scale_services := null::bigint,
                    scale_endpoints := null::bigint
                ),
            },
            {
                'dimension': 'scale_pods',
                'value': shape.scale_pods,
                'series': struct_update(shape, scale_pods := null::bigint),
            },
            {
                'dimension': 'message_bytes',
                'value': shape.message_bytes,
                'series': struct_update(shape, message_bytes := null::bigint),
            },
            {
                'dimension': 'request_bytes',
                'value': shape.request_bytes,
                'series': struct_update(shape, request_bytes := null::bigint),
            },
            {
                'dimension': 'response_bytes',
                'value': shape.response_bytes,
                'series': struct_update(shape, response_bytes := null::bigint),
            },
            {
                'dimension': 'offered_bits_per_s',
                'value': shape.offered_bits_per_s,
                'series': struct_update(
                    shape, offered_bits_per_s := null::bigint
                ),
            },
            {
                'dimension': 'offered_transactions_per_s',
                'value': shape.offered_transactions_per_s,
                'series': struct_update(
                    shape, offered_transactions_per_s := null::bigint
                ),
            },
        ]) as point,
    from cells
),

series as (
    select
        campaign,
        cell,
        point.dimension as dimension,
        point.value as value,
        min(point.value) over one as value_min,
        max(point.value) over one as value_max,
        arg_min(cell, (point.value, cell)) over one as first_cell,
    from points
    where point.value is not null
    window one as (partition by campaign, point.dimension, point.series)
),

points_of as (
    select measured_candidates.*, series.* exclude (campaign, cell),
    from measured_candidates
    inner join series using (campaign, cell)
    where
        value_min < value_max
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

first_points as (
    select
        campaign,
        dimension,
        first_cell,
        plugin,
        profile,
        arg_min(rate_median, value) as rate_median,
    from points_of
    where value = value_min
    group by all
),

final as (
    select
        campaign,
        path,
        traffic,
        dimension,
        first_cell,
        value,
        cell,
        plugin,
        profile,
        blocks,
        metric,
        points_of.rate_median,
        rate_min,
        rate_max,
        cpu_s_per_work_median as cpu_s_per_work,
        points_of.rate_median
            / nullif(first_points.rate_median, 0) as rate_ratio_to_first,
        value / nullif(value_min, 0) as value_ratio_to_first,
        nullif(
            concat_ws(
                '; ',
                absent_because,
                if(blocks between 1 and 2, 'fewer than 3 blocks', null),
                if(
                    blocks > 0 and first_points.rate_median is null,
                    'the first cell of the series has no number',
                    null
                )
            ),
            ''
        ) as note,
    from points_of
    left join first_points using (campaign, dimension, first_cell, plugin, profile)
)

select * from final
order by
    campaign, path, traffic, dimension, first_cell, plugin, profile, value, cell
