-- Which parts of the data path do the cycles of a packet go to? The parts of a
-- candidate add up to its cycles per packet, by blocks of equal weight.
with

candidates_asked as (
    select *
    from asked
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

runs as (
    select *
    from comparable
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

sampled as (
    select * from runs where len(cpu_components) > 0
),

-- One row per run and component; idle time costs nothing, but cycles
-- that are counted are those of CPUs that poll while idle, too.
parts as (
    select
        campaign,
        cell,
        plugin,
        profile,
        cycles_source,
        packets_source,
        measurement_id,
        cycles_per_packet,
        part.component,
        part.samples,
        part.samples
            / sum(part.samples) over (partition by measurement_id) as share,
    from sampled, unnest(cpu_components) as parts_of_run (part)
    where
        part.component != 'idle'
        and (part.component != 'polling' or cycles_source = 'perf')
),

by_source as materialized (
    select
        campaign,
        cell,
        plugin,
        profile,
        cycles_source,
        packets_source,
        count(cpu_components) as blocks,
        count(cycles_per_packet) filter (
            cpu_components is not null
        ) as blocks_with_packets,
        avg(cycles_per_packet) filter (
            cpu_components is not null
        ) as cycles_per_packet_total,
        min(environment) filter (cpu_components is not null)
            != max(environment) filter (cpu_components is not null)
            as environments_differ,
        max(cpu_components_absent_because) filter (
            cpu_components is null
        ) as absent_because,
    from runs
    group by all
),

candidates as (
    select * exclude (absent_because) from by_source where blocks > 0
),

-- A component that a run did not see is a share of zero there.
shared as (
    select
        candidates.*,
        parts.component,
        sum(parts.samples) as samples,
        sum(parts.share) / any_value(candidates.blocks) as share,
        sum(parts.share * parts.cycles_per_packet)
            / nullif(any_value(candidates.blocks_with_packets), 0)
            as cycles_per_packet,
    from candidates
    inner join parts
        using (campaign, cell, plugin, profile, cycles_source, packets_source)
    group by all
),

measured as (
    select
        *,
        sum(samples) over (
            partition by
                campaign, cell, plugin, profile, cycles_source, packets_source
        ) as samples_of_all,
    from shared
),

unsampled as (
    select
        campaign,
        cell,
        plugin,
        profile,
        max(absent_because) as absent_because,
    from by_source
    group by all
),

final as (
    select
        candidates_asked.campaign,
        candidates_asked.cell,
        candidates_asked.plugin,
        candidates_asked.profile,
        measured.cycles_source,
        measured.packets_source,
        coalesce(measured.blocks, 0) as blocks,
        measured.component,
        measured.samples,
        measured.share,
        sqrt(measured.share * (1 - measured.share) / measured.samples_of_all)
            as share_error,
        measured.cycles_per_packet,
        measured.cycles_per_packet_total,
        nullif(
            concat_ws(
                '; ',
                if(
                    measured.blocks is null,
                    coalesce(
                        candidates_asked.unsupported_reason,
                        unsampled.absent_because,
                        'no comparable run, see coverage'
                    ),
                    null
                ),
                if(
                    measured.blocks < 3,
                    'fewer than 3 blocks',
                    null
                ),
                if(
                    measured.environments_differ,
                    'environments differ',
                    null
                )
            ),
            ''
        ) as note,
    from candidates_asked
    left join measured using (campaign, cell, plugin, profile)
    left join unsampled using (campaign, cell, plugin, profile)
)

select * from final
order by campaign, cell, profile, plugin, cycles_source, packets_source,
    share desc, component
