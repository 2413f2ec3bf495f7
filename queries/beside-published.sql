-- What have the sources published of what was measured here?
with

runs as (
    select
        measurements.campaign,
        measurements.block,
        published.source,
        published.published_as,
        published.unit,
        avg(measurements.throughput_bits_per_s) / 1e9 as value,
    from published
    inner join measurements using (plugin, path, traffic, streams)
    where
        measurements.status = 'ok'
        and measurements.role = 'cell'
        and measurements.direction = 'forward'
        and published.unit = 'Gbit/s'
    group by all
    union all
    select
        blocks.campaign,
        blocks.block,
        published.source,
        published.published_as,
        published.unit,
        avg(blocks.plugin_memory_bytes) / 1e6 as value,
    from published
    inner join blocks using (plugin)
    where published.unit = 'MB' and blocks.plugin_memory_bytes is not null
    group by all
),

here as (
    select
        campaign,
        source,
        published_as,
        unit,
        avg(value) as here,
        count(*) as blocks,
    from runs
    where
        getvariable('campaign') is null
        or campaign = getvariable('campaign')
    group by all
),

final as (
    select
        here.campaign,
        published.source,
        published.published_as,
        published.path,
        published.traffic,
        published.streams,
        published.unit,
        published.published_low,
        published.published_high,
        published.plugin,
        here.here,
        here.blocks,
        published_conclusions.may_conclude,
    from here
    inner join published using (source, published_as, unit)
    inner join published_conclusions using (source, unit)
)

select * from final
order by campaign, source, unit, published_high desc, published_as
