-- How long does a plugin take to come and to go, and what does it use when nothing happens?
with

installs as (
    select *
    from blocks
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

final as (
    select
        campaign,
        plugin,
        count(*) as installs,
        count(*) filter (status = 'failed') as installs_failed,
        count(*) filter (status = 'drifted') as installs_drifted,
        ---------- numerics
        median(install_s) as install_s_median,
        min(install_s) as install_s_min,
        max(install_s) as install_s_max,
        median(ready_s) as ready_s_median,
        min(ready_s) as ready_s_min,
        max(ready_s) as ready_s_max,
        median(remove_s) as remove_s_median,
        min(remove_s) as remove_s_min,
        max(remove_s) as remove_s_max,
        median(idle_busy_cpus) as idle_busy_cpus_median,
        min(idle_busy_cpus) as idle_busy_cpus_min,
        max(idle_busy_cpus) as idle_busy_cpus_max,
        median(plugin_memory_bytes) / 1048576 as plugin_memory_mib_median,
        ---------- what was left behind
        count(*) filter (len(residue) > 0) as installs_with_residue,
        count(*) filter (residue is null) as installs_not_checked,
        list_sort(
            list_distinct(flatten(list(residue) filter (residue is not null)))
        ) as residue,
    from installs
    group by all
)

select * from final
order by campaign, plugin
