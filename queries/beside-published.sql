-- What have the sources published of what was measured here?
with

-- Each figure once for each plugin of ours that comes closest.
closest as (
    select *, unnest(ours) as plugin from published
),

-- One row per run and figure. A component's part of a run's cycles is its share of
-- the samples that are not idle; CPUs that poll while idle count where cycles do.
measured as (
    select
        measurements.campaign,
        measurements.block,
        closest.source,
        closest.published_as,
        closest.unit,
        plugin,
        if(
            closest.component is null,
            measurements.throughput_bits_per_s / 1e9,
            measurements.cycles_per_packet
            * coalesce(list_sum([
                part.samples for part in measurements.cpu_components
                if part.component = closest.component
            ]), 0)
            / list_sum([
                part.samples for part in measurements.cpu_components
                if part.component != 'idle' and (
                    part.component != 'polling'
                    or measurements.cycles_source = 'perf'
                )
            ])
        ) as value,
    from closest
    inner join measurements using (plugin, path, traffic, streams)
    where
        measurements.status = 'ok'
        and measurements.role = 'cell'
        and measurements.direction = 'forward'
    union all
    select
        blocks.campaign,
        blocks.block,
        closest.source,
        closest.published_as,
        closest.unit,
        plugin,
        blocks.plugin_memory_bytes / 1e6 as value,
    from closest
    inner join blocks using (plugin)
    where closest.unit = 'MB'
),

runs as (
    select campaign, block, source, published_as, unit, plugin,
        avg(value) as value,
    from measured
    where value is not null
    group by all
),

here as (
    select
        campaign,
        source,
        published_as,
        unit,
        plugin,
        avg(value) as here,
        count(*) as blocks,
    from runs
    group by all
),

-- All that the source has whose matrix was run; of others what was measured.
wanted as (
    select campaigns.campaign, published.source, published_as, unit
    from campaigns
    inner join published
        on campaigns.document ->> '$.matrix.name' = published.source
    union
    select campaign, source, published_as, unit from here
),

final as (
    select
        wanted.campaign,
        published.source,
        published.published_as,
        published.path,
        published.traffic,
        published.streams,
        published.unit,
        published.published_low,
        published.published_high,
        here.plugin,
        here.here,
        coalesce(here.blocks, 0) as blocks,
        published_conclusions.may_conclude,
    from wanted
    inner join published
        on wanted.source = published.source
        and wanted.published_as = published.published_as
        and wanted.unit is not distinct from published.unit
    left join here
        on wanted.campaign = here.campaign
        and wanted.source = here.source
        and wanted.published_as = here.published_as
        and wanted.unit = here.unit
    inner join published_conclusions
        on wanted.source = published_conclusions.source
        and wanted.unit is not distinct from published_conclusions.unit
    where
        getvariable('campaign') is null
        or wanted.campaign = getvariable('campaign')
)

select * from final
order by campaign, source, unit, published_high desc, published_as, plugin
