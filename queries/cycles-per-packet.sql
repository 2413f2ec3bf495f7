-- How many CPU cycles does one packet cost? Counted and estimated cycles stay
-- apart.
with

candidates_asked as (
    select *
    from asked
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

measured as (
    select
        campaign,
        cell,
        plugin,
        profile,
        cycles_source,
        packets_source,
        count(*) as blocks,
        median(cycles_per_packet) as cycles_per_packet_median,
        min(cycles_per_packet) as cycles_per_packet_min,
        max(cycles_per_packet) as cycles_per_packet_max,
        min(environment)
            != max(environment) as environments_differ,
    from comparable
    where
        cycles_per_packet is not null
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
    group by all
),

final as (
    select
        candidates_asked.campaign,
        candidates_asked.path,
        candidates_asked.traffic,
        candidates_asked.cell,
        measured.cycles_source,
        measured.packets_source,
        candidates_asked.plugin,
        candidates_asked.profile,
        candidates_asked.blocks_planned,
        coalesce(measured.blocks, 0) as blocks,
        measured.cycles_per_packet_median,
        measured.cycles_per_packet_min,
        measured.cycles_per_packet_max,
        nullif(
            concat_ws(
                '; ',
                if(
                    measured.blocks is null,
                    coalesce(
                        candidates_asked.unsupported_reason,
                        'no comparable run that counted packets, see coverage'
                    ),
                    null
                ),
                if(
                    measured.blocks < 3,
                    'fewer than 3 blocks: the order may be chance',
                    null
                ),
                if(
                    measured.environments_differ,
                    'blocks ran in different environments',
                    null
                )
            ),
            ''
        ) as note,
    from candidates_asked
    left join measured using (campaign, cell, plugin, profile)
)

select * from final
order by campaign, cell, cycles_source, packets_source,
    cycles_per_packet_median nulls last, plugin, profile
