-- What have the sources published of what was measured here? Ours are rows of
-- campaigns with the source's matrix only: other matrices have cells of the same
-- path and traffic that are not the same thing.
with

-- All figures of the source whose matrix a campaign ran.
figures as (
    select campaigns.campaign, published.*
    from campaigns
    inner join published
        on campaigns.document ->> '$.matrix.name' = published.source
    where
        getvariable('campaign') is null
        or campaigns.campaign = getvariable('campaign')
),

-- Each figure once for each plugin of ours that comes closest.
closest as (
    select *, unnest(ours) as plugin from figures
),

-- One row per run and figure. A component's part of a run's cycles is its share of
-- the samples that are not idle; CPUs that poll while idle count where cycles do.
measured as (
    select
        campaign,
        measurements.block,
        closest.published_as,
        closest.unit,
        plugin,
        measurements.profile,
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
    inner join measurements using (campaign, plugin, path, traffic, streams)
    anti join blocks_drifted using (campaign, install_id)
    where
        measurements.status = 'ok'
        and measurements.role = 'cell'
        and measurements.environment_class is distinct from 'emulated'
    union all
    select
        campaign,
        blocks.block,
        closest.published_as,
        closest.unit,
        plugin,
        blocks.profile,
        blocks.plugin_memory_bytes / 1e6 as value,
    from closest
    inner join blocks using (campaign, plugin)
    where closest.unit = 'MB'
),

runs as (
    select
        campaign,
        block,
        published_as,
        unit,
        plugin,
        profile,
        avg(value) as value,
    from measured
    where value is not null
    group by all
),

here as (
    select
        campaign,
        published_as,
        unit,
        plugin,
        profile,
        avg(value) as here,
        count(*) as blocks,
    from runs
    group by all
),

final as (
    select
        figures.campaign,
        figures.source,
        figures.published_as,
        figures.path,
        figures.traffic,
        figures.streams,
        figures.unit,
        figures.published_low,
        figures.published_high,
        here.plugin,
        here.profile,
        here.here,
        coalesce(here.blocks, 0) as blocks,
        published_conclusions.may_conclude,
    from figures
    left join here using (campaign, published_as, unit)
    inner join published_conclusions
        on figures.source = published_conclusions.source
        and figures.unit is not distinct from published_conclusions.unit
)

select * from final
order by campaign, source, unit, published_high desc, published_as,
    plugin, profile
