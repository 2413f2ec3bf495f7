-- What CPU does the same throughput take? Streams only; a comparison holds where
-- all candidates of a cell reached about the same rate.
with

candidates_asked as (
    select *
    from asked
    where
        traffic like '%-stream'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

measured as (
    select
        campaign,
        cell,
        plugin,
        profile,
        count(*) as blocks,
        median(work_rate) as throughput_gbits_per_s,
        median(cpus_busy) as cpus_busy,
        median(cpu_s_per_work) as cpu_s_per_gbit,
        min(cpu_s_per_work) as cpu_s_per_gbit_min,
        max(cpu_s_per_work) as cpu_s_per_gbit_max,
        min(environment)
            != max(environment) as environments_differ,
    from comparable
    where
        cpu_s_per_work is not null
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
    group by all
),

compared as (
    select
        candidates_asked.*,
        measured.* exclude (campaign, cell, plugin, profile, blocks),
        coalesce(measured.blocks, 0) as blocks,
        min(throughput_gbits_per_s) over one_cell
            / nullif(max(throughput_gbits_per_s) over one_cell, 0)
            as throughput_slowest_to_fastest,
        min(cpu_s_per_gbit) over one_cell as cheapest_s_per_gbit,
    from candidates_asked
    left join measured using (campaign, cell, plugin, profile)
    window one_cell as (partition by campaign, cell, profile)
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        profile,
        plugin,
        blocks,
        throughput_gbits_per_s,
        cpus_busy,
        cpu_s_per_gbit,
        cpu_s_per_gbit_min,
        cpu_s_per_gbit_max,
        cpu_s_per_gbit / nullif(cheapest_s_per_gbit, 0) as ratio_to_cheapest,
        if(
            blocks = 0, null, throughput_slowest_to_fastest >= 0.95
        ) as same_throughput,
        nullif(
            concat_ws(
                '; ',
                if(
                    blocks = 0,
                    coalesce(
                        unsupported_reason,
                        'no comparable run that knows its own CPU, see coverage'
                    ),
                    null
                ),
                if(
                    blocks > 0 and throughput_slowest_to_fastest < 0.95,
                    'not the same throughput: CPU per Gbit at different rates',
                    null
                ),
                if(blocks between 1 and 2, 'fewer than 3 blocks', null),
                if(environments_differ, 'environments differ', null)
            ),
            ''
        ) as note,
    from compared
)

select * from final
order by campaign, cell, profile, cpu_s_per_gbit nulls last, plugin
